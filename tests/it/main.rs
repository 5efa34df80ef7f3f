//! Whole flows on the embedded cluster.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod archived;
mod cli;
mod contract;
mod custom_backend;
mod documents;
mod golden;
mod images;
mod thousand;
mod zenml_calls;
