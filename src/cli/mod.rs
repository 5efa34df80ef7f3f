//! The command line: one file a command, and what they share.

mod age;
mod cancel;
mod completions;
mod config;
mod delete;
mod diagnostics;
mod doctor;
mod exit;
mod failure;
mod follow;
mod image;
mod interrupts;
mod lines;
mod local;
mod logs;
mod manifests;
mod output;
mod progress;
mod ps;
mod render;
mod role;
mod run;
mod session;
mod status;
mod table;
mod verdict;
mod workload;

use std::{env, ffi::OsString, process::ExitCode, time::Duration};

use clap::Parser;
use serde_json::json;
use wm_core::{Error, ErrorKind};

use self::{
    failure::{CommandResult, Failure},
    output::Output,
};

/// How long threads that block may hold the end up.
const LAST_THREADS: Duration = Duration::from_secs(1);

const AFTER_HELP: &str = "\
Try it: wm run -- sh -c 'echo hello; exit 3'

With nothing configured, runs are processes of this machine, on an embedded cluster. For a real one:
  export ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE=kubernetes
  export ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE=zenml-workload-manager
  export ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT=zenml-workload-manager
and KUBECONFIG, or the pod's own service account. `wm config` shows what is in effect.";

/// Runs workloads as Kubernetes Jobs, follows them, and tells how they ended
#[derive(clap::Parser)]
#[command(name = "wm", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = format!("{AFTER_HELP}\n\n{}", exit::TABLE))]
struct CommandLine {
    /// Print one JSON object a line on stdout, errors too
    #[arg(long, global = true)]
    json: bool,

    /// Tell on stderr what is done; twice, also each request. `RUST_LOG` wins over it
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Run(Box<run::RunArguments>),
    Ps(ps::PsArguments),
    Status(status::StatusArguments),
    Logs(logs::LogsArguments),
    Cancel(cancel::CancelArguments),
    Delete(delete::DeleteArguments),
    Render(Box<render::RenderArguments>),
    Image(Box<image::ImageArguments>),
    Config(config::ConfigArguments),
    Doctor(doctor::DoctorArguments),
    Role(role::RoleArguments),
    Local(local::LocalArguments),
    Completions(completions::CompletionsArguments),
}

/// Runs the command of this process's arguments.
pub(crate) fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => return refused(&error),
    };
    let output = Output::new(command_line.json);
    diagnostics::install(command_line.verbose);
    let result = run(command_line.command, output);
    ExitCode::from(result.unwrap_or_else(|failure| failure.report(output)))
}

fn run(command: Command, output: Output) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::from(Error::new(ErrorKind::Unexpected, format!("the threads can't be started: {error}")))
    })?;
    let result = runtime.block_on(execute(command, output));
    // An embedded cluster ends with its tasks, and its processes with it.
    runtime.shutdown_timeout(LAST_THREADS);
    result
}

async fn execute(command: Command, output: Output) -> CommandResult {
    match command {
        Command::Run(arguments) => arguments.run(output).await,
        Command::Ps(arguments) => arguments.run(output).await,
        Command::Status(arguments) => arguments.run(output).await,
        Command::Logs(arguments) => arguments.run(output).await,
        Command::Cancel(arguments) => arguments.run(output).await,
        Command::Delete(arguments) => arguments.run(output).await,
        Command::Render(arguments) => arguments.run(output).await,
        Command::Image(arguments) => arguments.run(output).await,
        Command::Config(arguments) => arguments.run(output),
        Command::Doctor(arguments) => arguments.run(output).await,
        Command::Role(arguments) => arguments.run(output),
        Command::Local(arguments) => arguments.run(output).await,
        Command::Completions(arguments) => arguments.run(output),
    }
}

/// Tells what clap says: help, the version, or what is wrong with the arguments.
fn refused(error: &clap::Error) -> ExitCode {
    let wants_json = is_json(env::args_os().skip(1));
    // Whether somebody reads it or not, the exit code is the same.
    let _unread = if wants_json && error.use_stderr() {
        output::object(&json!({ "error": {
            "kind": ErrorKind::InvalidRequest,
            "message": error.to_string().trim_end(),
            "context": {},
            "causes": [],
            "advice": "`--help` behind the command shows what it takes, with an example",
        }}))
    } else {
        error.print()
    };
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE))
}

/// Whether JSON is asked for by arguments that can't be read otherwise.
fn is_json(arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_an_example() {
        let command = CommandLine::command();
        for subcommand in command.get_subcommands() {
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("  wm {}", subcommand.get_name())), "{}", subcommand.get_name());
        }
    }

    #[test]
    fn a_programs_own_json_is_not_ours() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>().into_iter();
        assert!(is_json(words("run --json --nonsense")));
        assert!(!is_json(words("run --nonsense -- program --json")));
    }
}
