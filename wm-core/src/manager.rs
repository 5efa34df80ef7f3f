use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::Serialize;

use crate::{
    Error, ErrorKind, ImageRequest, LogQuery, LogStream, Report, ResolvedImage, Result, RunFilter, RunId,
    RunRequest, RunStatus, Submission, WorkloadId,
};

/// The states of a run, as they change; the last one is terminal.
pub type StatusStream = BoxStream<'static, Result<RunStatus>>;

/// What a backend can do beyond the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one ability, named after what it allows")]
pub struct Capabilities {
    /// Put a run on record without starting it.
    pub hold_runs: bool,
    /// Tell a change of state when it happens, without asking again and again.
    pub watch: bool,
    /// Keep secret environment values apart from the rest of a run's description.
    pub keep_secrets: bool,
    /// Stop a run that has begun.
    pub cancel: bool,
    /// Read a log while it is written.
    pub follow_logs: bool,
    /// Read a log on from the place of any of its lines.
    pub resume_logs: bool,
    /// Build a runner's image on demand.
    pub build_images: bool,
}

/// Runs workloads somewhere: what a backend implements.
///
/// A run is its [`RunId`]: submitting it twice, from two servers or after a crash, gives one run. Dropping a future
/// or a stream stops our waiting, never the run; only [`cancel`](Self::cancel) and [`delete`](Self::delete) stop one.
/// Whatever takes a [`WorkloadId`] takes an alias.
///
/// There are no default methods, so that a wrapper can't silently lose one; conveniences are in
/// [`WorkloadManagerExt`].
#[async_trait]
pub trait WorkloadManager: fmt::Debug + Send + Sync + 'static {
    /// What it can do. A missing ability is [`ErrorKind::Unsupported`] when asked for, never a silent nothing.
    fn capabilities(&self) -> Capabilities;

    /// Looks whether runs can be expected to work, and tells what is in their way with what mends it.
    ///
    /// It starts nothing and changes nothing. What is wrong is a finding, and so is what can't be found out. Each
    /// warning and failure says what mends it.
    ///
    /// # Errors
    /// What keeps it from looking at all, and is no matter of the set-up.
    async fn preflight(&self) -> Result<Report>;

    /// Finds the image that a workload's runner starts from, and builds it where that is the strategy.
    ///
    /// # Errors
    /// `InvalidRequest` when the workload lacks what the strategy needs.
    async fn resolve_image(&self, request: &ImageRequest) -> Result<ResolvedImage>;

    /// Creates the run, or adopts the one that is there already.
    ///
    /// For an exact attempt: the same attempt with the same [fingerprint](crate::Workload::fingerprint) is adopted,
    /// whatever its phase. For the next: an unfinished attempt with the same fingerprint is adopted; after finished
    /// ones the attempt behind the last is created. A held run stays held when it is adopted by a request that is
    /// held too, and is left as it is otherwise: [`release`](Self::release) starts it. The request's messages become
    /// part of the log with the run that they come with; an adopted one has had its own.
    ///
    /// Cancel safety: dropped at any point, the run is either there or not; submitting again tells.
    ///
    /// # Errors
    /// `Conflict` when the attempt exists with another fingerprint or another is unfinished; `Unsupported` for a held
    /// run without [`Capabilities::hold_runs`].
    async fn submit(&self, request: &RunRequest) -> Result<Submission>;

    /// Starts a held run; nothing happens when it is not held any more.
    ///
    /// # Errors
    /// `NotFound` when there is no such run.
    async fn release(&self, run: &RunId) -> Result<()>;

    /// Tells where a run is now.
    ///
    /// # Errors
    /// `NotFound` when there is no such run, or no longer.
    async fn status(&self, run: &RunId) -> Result<RunStatus>;

    /// Follows a run: its state now, then each change; the stream ends after the terminal state.
    ///
    /// Any number of callers may follow a run. A run that vanishes ends with a verdict too.
    ///
    /// # Errors
    /// `NotFound` when there is no such run.
    async fn watch(&self, run: &RunId) -> Result<StatusStream>;

    /// Lists runs, oldest first.
    async fn list(&self, filter: &RunFilter) -> Result<Vec<RunStatus>>;

    /// Reads a workload's log: one log over all its attempts, oldest first, with the manager's messages.
    ///
    /// A followed log ends when all attempts that it has have ended. Who has seen a run's terminal state can read the
    /// whole log of it.
    ///
    /// # Errors
    /// `NotFound` when nothing is known of the workload; `Unsupported` to follow without [`Capabilities::follow_logs`]
    /// and to read on from a place without [`Capabilities::resume_logs`]; `InvalidRequest` for a place that is none of
    /// this log.
    async fn logs(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream>;

    /// Adds a message of the server's to a workload's log, whether or not it has runs yet. Each of its lines is a
    /// [`LogRecord`](crate::LogRecord); a line break at its end begins no further one.
    ///
    /// What was written under an id belongs to every workload that has it as an alias later.
    async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()>;

    /// Stops a run: its program is asked to end, and killed after its grace. Returns when that is under way.
    ///
    /// Those who follow the run see it end as cancelled. A run that has ended stays as it is; of one that is gone
    /// nothing is left to stop, which is no error.
    ///
    /// # Errors
    /// `Unsupported` without [`Capabilities::cancel`].
    async fn cancel(&self, run: &RunId) -> Result<()>;

    /// Deletes all runs of a workload with their logs, running ones too. To delete nothing is no error.
    async fn delete(&self, workload: &WorkloadId) -> Result<()>;
}

/// What can be made of the methods of any [`WorkloadManager`].
#[async_trait]
pub trait WorkloadManagerExt: WorkloadManager {
    /// Finds the latest run of a workload, by id or alias.
    ///
    /// # Errors
    /// `NotFound` when it has none.
    async fn latest(&self, workload: &WorkloadId) -> Result<RunStatus> {
        let runs = self.list(&RunFilter::of(workload)).await?;
        runs.into_iter().next_back().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "there is no run of this workload: it was never submitted, or it ended and was removed",
            )
            .with_context("workload", workload.as_str())
        })
    }
}

impl<M: WorkloadManager + ?Sized> WorkloadManagerExt for M {}
