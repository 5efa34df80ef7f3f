use std::fmt;

use async_trait::async_trait;
use wm_core::{Attempt, Result, Verdict, WorkloadId};

use crate::plan::{BuildId, BuildPlan};

/// Where builds run: the seam to a cluster.
///
/// A build is named by its id and the number of the attempt, and is shared by all who need its image, on all servers.
/// Dropping a future stops the waiting, never the build. A build belongs to no workload: deleting one leaves it alone.
#[async_trait]
pub trait BuilderJobs: fmt::Debug + Send + Sync + 'static {
    /// Creates this attempt of the build, or finds the one that is there, and tells which. What is found is told by one
    /// look at it: whether it had ended *before* this call came.
    ///
    /// # Errors
    /// `Conflict` when something else has the name (another fingerprint); what the cluster refuses, in its words:
    /// `PermissionDenied`, `QuotaExceeded`, `InvalidRequest`, `NotFound` for the namespace. Trouble that passes has been
    /// ridden out before it is told.
    async fn submit(&self, plan: &BuildPlan, attempt: Attempt) -> Result<BuildSubmission>;

    /// Waits until the attempt has ended; of one that had ended it tells the end at once.
    ///
    /// # Errors
    /// `NotFound` when there is no such attempt, or no longer and nothing is known of its end.
    async fn end(&self, build: &BuildId, attempt: Attempt) -> Result<BuildEnd>;

    /// Makes the log of the attempt, as it is and will be, a part of a workload's log. Twice is as once.
    async fn include(&self, workload: &WorkloadId, build: &BuildId, attempt: Attempt) -> Result<()>;

    /// Adds a message to a workload's log.
    async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()>;
}

/// What became of asking for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuildSubmission {
    /// It was created.
    Created,
    /// It was there and has not ended.
    Joined,
    /// It was there and had ended well.
    Succeeded,
    /// It was there and had failed: a matter of earlier callers.
    Failed,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuildEnd {
    /// How and why; with the container's exit code and the last lines of its log in the evidence.
    pub verdict: Verdict,
    /// What the container wrote into its termination log, whole, where the pod is still there. After a failure it may
    /// hold the end of the log.
    pub termination_message: Option<String>,
}

impl BuildEnd {
    /// Tells an end.
    pub fn new(verdict: Verdict, termination_message: Option<String>) -> Self {
        Self { verdict, termination_message }
    }
}
