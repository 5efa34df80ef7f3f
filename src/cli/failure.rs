//! Why a command could not do its work, and what to do next.

use std::{error::Error as _, fmt::Write as _, io};

use serde_json::json;
use wm_config::Problems;
use wm_core::{Error, ErrorKind};

use super::{
    exit,
    output::{self, Output, error_line},
};

/// What a command returns: its exit code, or why there is no better one.
pub(crate) type CommandResult = Result<u8, Failure>;

/// The failure of a command.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Cause,
    code: u8,
    advice: Option<String>,
}

#[derive(Debug)]
enum Cause {
    Error(Error),
    Problems(Problems),
    /// Nobody reads stdout any more, which is no fault.
    NoReader,
}

impl Failure {
    /// A mistake in how the command was called.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidRequest, message.into()).into()
    }

    /// Says what to do next, in place of what the kind of error says.
    #[must_use]
    pub(crate) fn advising(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The failure of `wm run`, whose exit codes are apart from the runner's as far as possible.
    #[must_use]
    pub(crate) fn of_run(mut self) -> Self {
        if self.code != exit::USAGE {
            self.code = exit::NOT_RUN;
        }
        self
    }

    pub(crate) fn is_no_reader(&self) -> bool {
        matches!(self.cause, Cause::NoReader)
    }

    /// Whether the error is of this kind.
    pub(crate) fn is(&self, kind: ErrorKind) -> bool {
        matches!(&self.cause, Cause::Error(error) if error.kind() == kind)
    }

    /// Sets the exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Tells the failure, and gives the exit code.
    pub(crate) fn report(self, output: Output) -> u8 {
        let told = match &self.cause {
            Cause::NoReader => Ok(()),
            Cause::Error(error) if output.is_json() => output::object(&json!({ "error": {
                "kind": error.kind(),
                "message": error.message(),
                "context": error.context().collect::<std::collections::BTreeMap<_, _>>(),
                "causes": causes(error),
                "advice": self.advice_for(error),
            }})),
            Cause::Problems(problems) if output.is_json() => tell_problems(problems),
            Cause::Error(error) => {
                error_line(format_args!("{}", self.text(error)));
                Ok(())
            }
            Cause::Problems(problems) => {
                error_line(format_args!("error: {problems}\n  next: {MEND}"));
                Ok(())
            }
        };
        match told {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => exit::FAILED,
            _ => self.code,
        }
    }

    fn text(&self, error: &Error) -> String {
        let mut text = format!("error: {error}");
        for cause in causes(error) {
            // Writing to a String can't fail.
            let _infallible = write!(text, "\n  cause: {cause}");
        }
        let _infallible = write!(text, "\n  next: {}", self.advice_for(error));
        text
    }

    fn advice_for(&self, error: &Error) -> String {
        self.advice.clone().unwrap_or_else(|| advice(error))
    }
}

const MEND: &str =
    "mend these variables; docs/configuration.md describes all, `wm config` shows what is in effect";

fn tell_problems(problems: &Problems) -> io::Result<()> {
    problems.iter().try_for_each(|problem| output::object(&json!({ "problem": problem })))?;
    output::object(&json!({ "error": {
        "kind": ErrorKind::InvalidConfig,
        "message": format!("the configuration has {} problem(s)", problems.len()),
        "context": {},
        "causes": [],
        "advice": MEND,
    }}))
}

/// The texts behind an error, each once: a message may repeat what is behind it.
fn causes(error: &Error) -> Vec<String> {
    let mut told = error.to_string();
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.contains(&text) {
            told.push_str(&text);
            causes.push(text);
        }
        source = cause.source();
    }
    causes
}

fn advice(error: &Error) -> String {
    if let Some(wait) = error.retry_after() {
        return format!("try again in {} s", wait.as_secs().max(1));
    }
    match error.kind() {
        ErrorKind::InvalidConfig => "`wm config` shows every setting and where it comes from",
        ErrorKind::InvalidRequest => "`--help` behind the command shows what it takes, with an example",
        ErrorKind::NotFound => "`wm ps --all` lists what there is",
        ErrorKind::Conflict => "take another id, or look at what has this one: `wm status ID`",
        ErrorKind::PermissionDenied => "`wm role` prints the Role that has the rights: wm role | kubectl apply -f -",
        ErrorKind::Unsupported => "`wm config` shows what is in effect; the message says what it can't do",
        ErrorKind::QueueFull | ErrorKind::RateLimited | ErrorKind::Timeout => "try again in a moment",
        ErrorKind::QuotaExceeded => {
            "delete what is not needed any more (`wm ps --all`, `wm delete ID`), or have the quota raised"
        }
        ErrorKind::Unavailable => {
            "check that the cluster answers (kubectl cluster-info) and that KUBECONFIG leads to it; then try again"
        }
        _ => "run it again with -vv, and report what it prints",
    }
    .to_owned()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: exit::of_error(error.kind()), cause: Cause::Error(error), advice: None }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self { cause: Cause::Problems(problems), code: exit::USAGE, advice: None }
    }
}

/// What can't be written: only stdout is written to with care.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { cause: Cause::NoReader, code: exit::OK, advice: None };
        }
        Self::from(Error::new(ErrorKind::Unexpected, format!("the output can't be written: {error}")))
            .advising("check where the output goes: is the disk full?")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_ends_in_what_to_do_next() {
        for kind in [
            ErrorKind::InvalidConfig,
            ErrorKind::InvalidRequest,
            ErrorKind::NotFound,
            ErrorKind::Conflict,
            ErrorKind::PermissionDenied,
            ErrorKind::Unsupported,
            ErrorKind::QueueFull,
            ErrorKind::QuotaExceeded,
            ErrorKind::RateLimited,
            ErrorKind::Unavailable,
            ErrorKind::Timeout,
            ErrorKind::Unexpected,
        ] {
            let error = Error::new(kind, "no");
            let text = Failure::from(Error::new(kind, "no")).text(&error);
            let last = text.lines().last().unwrap();
            assert!(last.starts_with("  next: ") && last.len() > 20, "{text}");
        }
    }

    #[test]
    fn a_cause_that_the_message_repeats_is_told_once() {
        let error = Error::new(ErrorKind::Unavailable, "no answer: connection refused")
            .with_source(io::Error::other("connection refused"));
        assert_eq!(causes(&error), Vec::<String>::new());
        let error = Error::new(ErrorKind::Unavailable, "no answer")
            .with_source(io::Error::other("connection refused"));
        assert_eq!(causes(&error), ["connection refused"]);
    }

    #[test]
    fn a_failed_submission_has_a_code_that_is_not_the_runners_but_a_usage_error_keeps_its_own() {
        let code = |kind| Failure::from(Error::new(kind, "no")).of_run().code;
        assert_eq!(code(ErrorKind::NotFound), exit::NOT_RUN);
        assert_eq!(code(ErrorKind::Unavailable), exit::NOT_RUN);
        assert_eq!(code(ErrorKind::InvalidRequest), exit::USAGE);
    }

    #[test]
    fn a_closed_pipe_is_no_fault() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.is_no_reader());
        assert_eq!(failure.report(Output::new(true)), exit::OK);
    }
}
