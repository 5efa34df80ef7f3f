//! What developers run: the checks, the generated files, the benchmarks.

#![expect(clippy::print_stdout, reason = "what a developer's tool prints is its result")]

#[cfg(feature = "bench")]
mod bench;
mod checks;
#[cfg(feature = "bench")]
mod faults;
mod generated;
mod release;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What went wrong, for a person to read.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What developers run.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs every check that a change must pass, but the tests.
    Ci,
    /// Writes the generated files.
    Generate {
        /// Only tells whether they are up to date.
        #[arg(long)]
        check: bool,
    },
    /// Measures what a run costs in the launcher, beside a lower bound; built for release.
    #[cfg(feature = "bench")]
    Bench(bench::Options),
    /// Measures what a run costs in the launcher, beside a lower bound; built for release.
    #[cfg(not(feature = "bench"))]
    #[command(disable_help_flag = true)]
    Bench {
        /// Options of the benchmark; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<std::ffi::OsString>,
    },
    /// Tries every fault of the embedded cluster, alone and in pairs, and prints what became of the runs.
    #[cfg(feature = "bench")]
    Faults(faults::Options),
    /// Tries every fault of the embedded cluster, alone and in pairs, and prints what became of the runs.
    #[cfg(not(feature = "bench"))]
    #[command(disable_help_flag = true)]
    Faults {
        /// Options; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<std::ffi::OsString>,
    },
    /// One side of the benchmark, in a process of its own.
    #[cfg(feature = "bench")]
    #[command(hide = true)]
    BenchSide(bench::Plan),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Ci => checks::run(),
        Task::Generate { check: true } => generated::check(),
        Task::Generate { check: false } => generated::write(),
        #[cfg(feature = "bench")]
        Task::Bench(_) if cfg!(debug_assertions) => release::bench(std::env::args_os().skip(2)),
        #[cfg(feature = "bench")]
        Task::Bench(options) => bench::run(&options),
        #[cfg(not(feature = "bench"))]
        Task::Bench { options } => release::bench(options),
        #[cfg(feature = "bench")]
        Task::Faults(options) => faults::run(&options),
        #[cfg(not(feature = "bench"))]
        Task::Faults { options } => release::faults(options),
        #[cfg(feature = "bench")]
        Task::BenchSide(plan) => bench::run_side(&plan),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
