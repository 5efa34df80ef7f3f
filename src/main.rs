//! The command `wm`: run a workload, and see what became of it.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
