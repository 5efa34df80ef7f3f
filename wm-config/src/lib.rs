//! Environment variables to typed settings, every problem at once.
