//! Runs things on demand.
