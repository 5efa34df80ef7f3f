//! A backend in memory that keeps the contract, and can be told to break it in one way.

mod fault;
mod harness;
mod manager;
mod process;
mod reading;
mod world;

pub(crate) use self::{fault::Fault, harness::MemoryHarness};
