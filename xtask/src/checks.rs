//! Every check that a change must pass, but the tests, which are `cargo test --workspace`.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::{Failure, generated, workspace};

struct Check {
    name: &'static str,
    action: Action,
    /// What to do when it fails.
    advice: &'static str,
}

enum Action {
    Cargo { arguments: &'static str, environment: &'static [(&'static str, &'static str)] },
    Function(fn() -> Result<(), Failure>),
}

const fn cargo(arguments: &'static str) -> Action {
    Action::Cargo { arguments, environment: &[] }
}

const CHECKS: &[Check] = &[
    Check { name: "format", action: cargo("fmt --all --check"), advice: "cargo fmt --all" },
    Check {
        name: "generated files",
        action: Action::Function(generated::check),
        advice: "cargo xtask generate",
    },
    Check {
        name: "lints",
        action: cargo("clippy --workspace --all-targets --all-features --locked -- --deny warnings"),
        advice: "mend the code; an exception is `#[expect(.., reason = \"..\")]`",
    },
    Check {
        name: "documentation",
        action: Action::Cargo {
            arguments: "doc --workspace --no-deps --all-features --locked",
            environment: &[("RUSTDOCFLAGS", "--deny warnings")],
        },
        advice: "mend the doc comments",
    },
    Check {
        name: "library without the command line",
        action: cargo("check --package workload-manager --lib --no-default-features --locked"),
        advice: "what only `wm` needs belongs behind the feature `cli` or `local`",
    },
    Check {
        name: "dependencies",
        action: Action::Function(dependencies),
        advice: "see what brings the crate in: cargo tree --invert CRATE; the rules are in deny.toml",
    },
];

/// Runs all checks, whether or not one fails, and sums up.
pub(crate) fn run() -> Result<(), Failure> {
    let results: Vec<_> = CHECKS
        .iter()
        .map(|check| {
            println!("== {}", check.name);
            let started = Instant::now();
            let outcome = check.action.run();
            if let Err(failure) = &outcome {
                println!("{failure}");
            }
            (check, outcome.is_ok(), started.elapsed())
        })
        .collect();
    println!("== summary");
    for (check, passed, took) in &results {
        println!("{}", summary(check, *passed, *took));
    }
    let failed = results.iter().filter(|(_, passed, _)| !passed).count();
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} checks failed", CHECKS.len()).into()) }
}

fn summary(check: &Check, passed: bool, took: Duration) -> String {
    let line = format!(
        "{:<6}  {:<32}  {:>6.1} s",
        if passed { "ok" } else { "FAILED" },
        check.name,
        took.as_secs_f64()
    );
    if passed { line } else { format!("{line}  {}", check.advice) }
}

impl Action {
    fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Cargo { arguments, environment } => {
                let mut command = workspace::cargo();
                command.args(arguments.split(' ')).envs(environment.iter().copied());
                succeed(&mut command)
            }
            Self::Function(function) => function(),
        }
    }
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| format!("{} can't be started: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command)).into()) }
}

fn shown(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once("cargo".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Banned crates, licenses and sources. The advisories need a database from the network, so they are not part of it.
fn dependencies() -> Result<(), Failure> {
    let installed = workspace::cargo().args(["deny", "--version"]).output()?;
    if !installed.status.success() {
        return Err("cargo-deny is missing: cargo install --locked cargo-deny".into());
    }
    succeed(workspace::cargo().args([
        "deny",
        "--all-features",
        "--locked",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_a_failed_check_says_what_to_do() {
        let line = summary(&CHECKS[0], false, Duration::from_millis(1250));
        assert!(line.starts_with("FAILED  format"), "{line}");
        assert!(line.ends_with("cargo fmt --all"), "{line}");
    }

    #[test]
    fn the_summary_of_a_passed_check_has_no_advice() {
        let line = summary(&CHECKS[0], true, Duration::from_millis(1250));
        assert!(line.starts_with("ok ") && line.ends_with(" s"), "{line}");
    }
}
