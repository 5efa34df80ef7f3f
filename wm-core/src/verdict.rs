use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// How a run ended and why, for a person and for a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, as one word for programs.
    pub reason: Reason,
    /// Why, as one sentence.
    pub message: String,
    /// What to do about it, with the command to run; empty after a success.
    pub advice: String,
    /// Whether another attempt may well succeed, and can't do anything twice: the program certainly never began, and what
    /// kept it from that tends to pass. False when any of it is in doubt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_retry: bool,
    /// What it is concluded from.
    pub evidence: Evidence,
}

impl Verdict {
    /// Makes a verdict without evidence.
    pub fn new(
        outcome: Outcome,
        reason: Reason,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            outcome,
            reason,
            message: message.into(),
            advice: advice.into(),
            may_retry: false,
            evidence: Evidence::default(),
        }
    }

    /// Sets whether another attempt may well succeed and can't do anything twice.
    #[must_use]
    pub fn with_retry(mut self, may_retry: bool) -> Self {
        self.may_retry = may_retry;
        self
    }

    /// Sets what it is concluded from.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    /// Whether the run did what it was asked to.
    pub fn is_success(&self) -> bool {
        self.outcome == Outcome::Succeeded
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome, self.message)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it was asked to.
    Succeeded,
    /// It did not.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reason {
    /// The program ended with exit code 0.
    Completed,
    /// The program ended with another exit code.
    ExitCode,
    /// A container needed more memory than its limit.
    OutOfMemory,
    /// The time that it may run was over.
    DeadlineExceeded,
    /// The image can't be pulled.
    ImagePull,
    /// The image's name is none.
    InvalidImage,
    /// The image can't be built.
    ImageBuild,
    /// The container can't be made from its configuration.
    Configuration,
    /// The program can't be started.
    StartError,
    /// No machine took the run in the time that it may wait for one.
    Unschedulable,
    /// A quota left no room for the run in the time that it may wait.
    QuotaExceeded,
    /// A policy of the cluster refuses what the run needs.
    Refused,
    /// The run was not accepted, or had no machine, in the time that it may wait, and nothing says why.
    ScheduleTimeout,
    /// The program had not begun in the time that it may take to start, and nothing says why.
    StartTimeout,
    /// The node evicted the pod.
    Evicted,
    /// The cluster took the node away from the pod, or the node did not take it: a drain, a preemption.
    Disrupted,
    /// The node is gone.
    NodeLost,
    /// The pod was deleted by somebody else.
    PodDeleted,
    /// The Job was deleted by somebody else before it ended.
    JobDeleted,
    /// A caller stopped it.
    Cancelled,
    /// The backend says that it failed, and nothing says more.
    BackendFailure,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a verdict is concluded from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The exit code of the container that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Facts by name: `pod`, `node`, `container`, `container reason`, `pod message`, `job reason`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<&'static str, String>,
    /// What the cluster reported about it, oldest first: `Warning BackOff: …`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The last lines of its log, 50 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
}
