//! Chooses the image that a runner starts from.
