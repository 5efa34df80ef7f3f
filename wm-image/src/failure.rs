//! Why a build failed: which instruction, why, and what to do about it.

mod cause;
mod instructions;
#[cfg(test)]
mod tests;

use std::{error::Error as StdError, fmt};

use wm_core::{Attempt, Error, ErrorKind, ImageReference, Outcome, Reason, Verdict};

use crate::{
    failure::{
        cause::{Cause, Phase},
        instructions::{Instruction, base, failing},
    },
    naming::Wanted,
    plan::{BuildId, BuildPlan},
};

/// A build that failed. It is the source of the error that everyone gets who waited for the image.
#[derive(Clone, Debug)]
pub struct BuildFailed {
    image: ImageReference,
    build: BuildId,
    attempt: Attempt,
    verdict: Verdict,
}

impl BuildFailed {
    pub(crate) fn new(plan: &BuildPlan, attempt: Attempt, verdict: Verdict) -> Self {
        Self { image: plan.image.clone(), build: plan.id.clone(), attempt, verdict }
    }

    /// How and why it failed, with the last lines of its log.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// An error for one of those who waited.
    pub(crate) fn to_error(&self) -> Error {
        let Verdict { message, advice, .. } = &self.verdict;
        Error::new(kind(&self.verdict), format!("the image could not be built: {message}; {advice}"))
            // The same Dockerfile fails again; a build is tried again when somebody asks again.
            .with_retryable(false)
            .with_context("image", self.image.as_str())
            .with_context("build", format!("{} attempt {}", self.build, self.attempt))
            .with_source(self.clone())
    }
}

impl fmt::Display for BuildFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.verdict.message)
    }
}

impl StdError for BuildFailed {}

/// What the caller can do, by what the verdict says.
fn kind(verdict: &Verdict) -> ErrorKind {
    match verdict.reason {
        Reason::DeadlineExceeded | Reason::ScheduleTimeout | Reason::StartTimeout | Reason::Unschedulable => {
            ErrorKind::Timeout
        }
        Reason::QuotaExceeded => ErrorKind::QuotaExceeded,
        Reason::Refused => ErrorKind::PermissionDenied,
        Reason::Evicted | Reason::Disrupted | Reason::NodeLost | Reason::PodDeleted | Reason::JobDeleted => {
            ErrorKind::Unavailable
        }
        Reason::OutOfMemory | Reason::ImagePull | Reason::InvalidImage | Reason::Configuration => {
            ErrorKind::InvalidConfig
        }
        _ => Cause::of(&verdict.evidence.log_tail)
            .map_or(ErrorKind::InvalidRequest, |found| found.cause.kind()),
    }
}

/// Says of a build's end what went wrong in the build, where the cluster only knows how its container ended.
pub(crate) fn explain(mut verdict: Verdict, wanted: &Wanted) -> Verdict {
    verdict.outcome = Outcome::Failed;
    let log = &verdict.evidence.log_tail;
    let is_log_asked =
        matches!(verdict.reason, Reason::ExitCode | Reason::BackendFailure | Reason::StartError);
    let of_base = Cause::of(log).filter(|found| is_log_asked && found.cause.is_about_base());
    let at = match of_base {
        Some(found) => base(&wanted.dockerfile, found.line),
        None => failing(&wanted.dockerfile, log),
    };
    if let Some(Instruction { line, text }) = &at {
        verdict.evidence.facts.insert("dockerfile line", format!("{line}: {text}"));
    }
    match verdict.reason {
        _ if is_log_asked => of_log(verdict, at.as_ref()),
        Reason::OutOfMemory => {
            verdict.message = match &at {
                Some(at) => format!("the builder ran out of memory at {at}"),
                None => "the builder ran out of memory".to_owned(),
            };
            "give the builder more memory with …_BUILDER_RESOURCES (it needs about twice the size of the largest layer)"
                .clone_into(&mut verdict.advice);
            verdict
        }
        Reason::Evicted => {
            verdict.message = format!("the builder was evicted: {}", verdict.message);
            "if it ran out of disk, ask for more ephemeral-storage with …_BUILDER_RESOURCES; else launch again"
                .clone_into(&mut verdict.advice);
            verdict
        }
        Reason::DeadlineExceeded => {
            verdict.message = match &at {
                Some(at) => format!("the build took longer than it may; it was at {at}"),
                None => "the build took longer than it may".to_owned(),
            };
            "look in the log where it stood still; if it is only slow, raise …_BUILDER_TIMEOUT_SECONDS"
                .clone_into(&mut verdict.advice);
            verdict
        }
        Reason::ImagePull | Reason::InvalidImage => {
            verdict.message = format!("the builder's own image does not start: {}", verdict.message);
            "set …_BUILDER_IMAGE to a copy that the nodes can pull, and …_IMAGE_PULL_SECRETS if it needs credentials"
                .clone_into(&mut verdict.advice);
            verdict
        }
        Reason::Refused => {
            verdict.message = format!("the cluster refuses the builder's pod: {}", verdict.message);
            "kaniko is admitted at the Pod Security level baseline, buildkit and buildah only at privileged: choose with …_BUILDER_ENGINE, or build in a namespace that allows it"
                .clone_into(&mut verdict.advice);
            verdict
        }
        // What the cluster says of these is all there is to say.
        _ => verdict,
    }
}

/// The container ended by itself, so its log says why.
fn of_log(mut verdict: Verdict, at: Option<&Instruction>) -> Verdict {
    let log = &verdict.evidence.log_tail;
    let Some(found) = Cause::of(log) else {
        let last = log.iter().rev().find(|line| !line.trim().is_empty());
        let exit =
            verdict.evidence.exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
        verdict.message = match (at, last) {
            (Some(at), Some(last)) => format!("the builder ended{exit} at {at}: {}", last.trim()),
            (None, Some(last)) => format!("the builder ended{exit}: {}", last.trim()),
            (_, None) => format!("the builder ended{exit} and its log says nothing"),
        };
        "read the build's log, which is part of the workload's".clone_into(&mut verdict.advice);
        verdict.reason = Reason::ImageBuild;
        return verdict;
    };
    // Pushing is no instruction's fault.
    let place = match (found.cause.phase(), at) {
        (Phase::Instruction, Some(at)) => format!(" at {at}"),
        (Phase::Fetch, Some(at)) if found.cause.is_about_base() => format!(" at {at}"),
        _ => String::new(),
    };
    let line = match found.cause {
        Cause::Command => Cause::last_words(log).unwrap_or(found.line),
        _ => found.line,
    };
    let line = line.trim().trim_end_matches('.');
    verdict.message = format!("{}{place}: {line}", found.cause.sentence());
    found.cause.advice().clone_into(&mut verdict.advice);
    verdict.reason = if found.cause == Cause::OutOfMemory { Reason::OutOfMemory } else { Reason::ImageBuild };
    verdict
}
