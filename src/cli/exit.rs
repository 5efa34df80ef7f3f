//! The exit codes of `wm`, as its help documents them.

use wm_core::ErrorKind;
use workload_manager::{Outcome, Reason, Verdict};

pub(crate) const OK: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const NOT_FOUND: u8 = 4;
pub(crate) const CLUSTER: u8 = 5;
/// As `timeout` exits.
const TIME_LIMIT: u8 = 124;
/// As `docker run` exits when the fault is its own.
pub(crate) const NOT_RUN: u8 = 125;
/// As a shell tells of a program that Ctrl-C ended.
pub(crate) const CANCELLED: u8 = 130;
/// As a shell tells of a program that was killed, which is what Linux does when memory runs out.
const KILLED: u8 = 137;

/// The table that `wm --help` prints.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done; with `run`: the runner succeeded
  1    the run failed without an exit code of its own, or something unexpected happened
  2    the usage or the configuration is wrong; `wm config` says what
  4    there is no such run; with `image probe`: no such image
  5    the cluster can't be reached, or refuses; with `doctor`: something keeps runs from working

  `wm run` exits with the runner's own code (1 to 255), and with
  124  the runner exceeded its time limit
  125  the run could not be submitted, or its end could not be seen
  130  the run was cancelled, by Ctrl-C or by somebody else
  137  the runner was killed, in most cases for want of memory";

/// The code for an error of any command.
pub(crate) fn of_error(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidConfig | ErrorKind::InvalidRequest => USAGE,
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::Unexpected => FAILED,
        _ => CLUSTER,
    }
}

/// The code for the end of a run.
pub(crate) fn of_verdict(verdict: &Verdict) -> u8 {
    match verdict.outcome {
        Outcome::Succeeded => OK,
        Outcome::Cancelled => CANCELLED,
        Outcome::Failed => of_failure(verdict),
    }
}

/// Only a runner that ended by itself, or for want of memory, has a code of its own; else its code is that of its killer.
fn of_failure(verdict: &Verdict) -> u8 {
    let own = verdict.evidence.exit_code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0);
    match verdict.reason {
        Reason::ExitCode => own.unwrap_or(FAILED),
        Reason::OutOfMemory => own.unwrap_or(KILLED),
        Reason::DeadlineExceeded => TIME_LIMIT,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use wm_core::Evidence;

    use super::*;

    fn verdict(outcome: Outcome, reason: Reason, exit_code: Option<i32>) -> Verdict {
        let mut evidence = Evidence::default();
        evidence.exit_code = exit_code;
        Verdict::new(outcome, reason, "", "").with_evidence(evidence)
    }

    #[test]
    fn a_runner_that_ended_by_itself_passes_its_code_on() {
        for code in 1..=255_u8 {
            let verdict = verdict(Outcome::Failed, Reason::ExitCode, Some(code.into()));
            assert_eq!(of_verdict(&verdict), code);
        }
    }

    #[test]
    fn a_failed_run_never_exits_with_zero() {
        for reason in [Reason::ExitCode, Reason::OutOfMemory, Reason::Evicted, Reason::ImagePull] {
            for code in [None, Some(0), Some(256), Some(-1)] {
                assert_ne!(of_verdict(&verdict(Outcome::Failed, reason, code)), OK, "{reason} {code:?}");
            }
        }
    }

    #[test]
    fn the_killers_code_is_not_the_runners() {
        assert_eq!(of_verdict(&verdict(Outcome::Failed, Reason::DeadlineExceeded, Some(137))), TIME_LIMIT);
        assert_eq!(of_verdict(&verdict(Outcome::Failed, Reason::Evicted, Some(137))), FAILED);
        assert_eq!(of_verdict(&verdict(Outcome::Failed, Reason::OutOfMemory, Some(137))), KILLED);
        assert_eq!(of_verdict(&verdict(Outcome::Cancelled, Reason::Cancelled, Some(143))), CANCELLED);
    }

    #[test]
    fn the_help_names_every_code() {
        for code in [OK, FAILED, USAGE, NOT_FOUND, CLUSTER, TIME_LIMIT, NOT_RUN, CANCELLED, KILLED] {
            assert!(TABLE.lines().any(|line| line.trim_start().starts_with(&format!("{code} "))), "{code}");
        }
    }
}
