//! A backend against `wm-core` alone, as a crate of its own would hold it: each run is a process group of this machine.
//!
//! What it knows is in memory: its runs end with the manager, and their logs are forgotten with it. It holds no run
//! back, so a launcher keeps those that wait in a line of its own; and it has no images.

mod board;
mod factory;
mod log;
mod manager;
mod process;
mod run;

pub(crate) use self::factory::{SOURCE, SubprocessFactory};
