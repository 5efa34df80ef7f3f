use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::{Attempt, ImageReference, Place, RunId, Verdict, Workload, WorkloadId, WorkloadKind};

/// Asks a backend to run a workload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunRequest {
    /// What to run.
    pub workload: Workload,
    /// The image to start from.
    pub image: ImageReference,
    /// Whether the run is only put on record, to be started by [`release`](crate::WorkloadManager::release).
    pub held: bool,
    /// What to add to the workload's log with the run, as [`log`](crate::WorkloadManager::log) would: nothing when the
    /// run is there already.
    pub messages: Vec<String>,
}

impl RunRequest {
    /// Asks to start a workload from an image at once.
    pub fn new(workload: Workload, image: ImageReference) -> Self {
        Self { workload, image, held: false, messages: Vec::new() }
    }

    /// Asks for another attempt of the same workload, with other messages.
    #[must_use]
    pub fn for_attempt(&self, attempt: Attempt) -> Self {
        let Self { workload, image, .. } = self;
        Self::new(workload.clone().at_attempt(attempt), image.clone())
    }

    /// Adds a message to the workload's log if that makes the run.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.messages.push(text.into());
        self
    }

    /// Asks to put the run on record without starting it.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }
}

/// What became of a [`RunRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Submission {
    /// The run.
    pub run: RunId,
    /// Whether it was there already: from this caller before, from another server, from before a crash.
    pub adopted: bool,
}

impl Submission {
    /// Names the run, and says whether it was there already.
    pub fn new(run: RunId, adopted: bool) -> Self {
        Self { run, adopted }
    }
}

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// On record, waiting for its turn.
    Held,
    /// Accepted; no machine has it yet.
    Pending,
    /// A machine has it; its image is pulled, its container made.
    Starting,
    /// The program runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It did what it was asked to.
    Succeeded,
    /// It did not.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl Phase {
    /// Whether nothing comes after it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Held => "held",
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct RunStatus {
    /// The run.
    pub run: RunId,
    /// Where it is in its life.
    pub phase: Phase,
    /// What it waits for, in words, while something keeps it from going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The image that it starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When it was put on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When its program began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// Other ids under which it is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<WorkloadId>,
    /// Where to find it in the backend: `namespace`, `job`, `pod`, `node`, `process`.
    #[serde(skip_serializing_if = "Place::is_empty")]
    pub place: Place,
    /// How it ended and why; present exactly in a terminal phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

impl RunStatus {
    /// Says where a run is, and nothing more yet.
    pub fn new(run: RunId, phase: Phase) -> Self {
        Self {
            run,
            phase,
            detail: None,
            image: None,
            created: None,
            started: None,
            finished: None,
            aliases: Vec::new(),
            place: Place::default(),
            verdict: None,
        }
    }

    /// Ends the run with a verdict, which sets the phase.
    #[must_use]
    pub fn with_verdict(mut self, verdict: Verdict) -> Self {
        self.phase = match verdict.outcome {
            crate::Outcome::Succeeded => Phase::Succeeded,
            crate::Outcome::Failed => Phase::Failed,
            crate::Outcome::Cancelled => Phase::Cancelled,
        };
        self.detail = None;
        self.verdict = Some(verdict);
        self
    }
}

/// Which runs to list; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only those of this workload, by id or alias.
    pub workload: Option<WorkloadId>,
    /// Only those whose workload id names this.
    pub kind: Option<WorkloadKind>,
    /// Only those that have not ended.
    pub unfinished: bool,
}

impl RunFilter {
    /// All runs of a workload, by id or alias.
    pub fn of(workload: &WorkloadId) -> Self {
        Self { workload: Some(workload.clone()), ..Self::default() }
    }
}
