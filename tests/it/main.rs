//! Whole flows on the embedded cluster.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod cli;
mod golden;
mod zenml_calls;
