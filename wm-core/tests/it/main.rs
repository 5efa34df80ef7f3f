//! The conformance kit proves backends; these tests prove the kit: it passes what is right and catches each fault.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod batches;
mod chunk_faults;
mod faults;
mod image_reference;
mod manager_faults;
mod memory;
mod store_faults;
mod strategy_faults;
