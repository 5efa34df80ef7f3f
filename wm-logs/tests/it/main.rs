//! What the archive promises, over stores that behave and stores that don't.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod archived;
mod backend;
mod chain;
mod contract;
mod faulty;
