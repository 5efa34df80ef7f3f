//! What the manager promises, on the embedded cluster.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod builds;
mod cancelling;
mod containers;
mod contract;
mod cuts;
mod ending;
mod following;
mod held;
mod identity;
mod logs;
mod long_logs;
mod messages;
mod metrics;
mod narrow;
mod preflight;
mod puppet;
mod refusals;
mod secrets;
mod stage;
mod waiting;
mod watching;
mod wire;
mod writes;
