use std::{fmt, sync::Arc};

use futures::{StreamExt as _, stream};
use tokio::sync::watch;
use wm_core::{
    Error, LogQuery, LogStream, Phase, Result, RunId, RunStatus, StatusStream, Verdict, WorkloadId,
};

use super::{Core, driver, queue::Ticket, slot::Place};

/// What is known of a run that this launcher sees to its end.
#[derive(Debug)]
pub(super) struct Run {
    workload: WorkloadId,
    /// Its place in the line, if it had to wait.
    ticket: Option<Ticket>,
    pub(super) progress: watch::Sender<Progress>,
    /// Set by a caller who wants a waiting run to leave the line.
    pub(super) cancelled: watch::Sender<bool>,
}

/// How far a run has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) run: Option<RunId>,
    pub(super) status: Option<Arc<RunStatus>>,
    /// Why nothing more will be known.
    pub(super) failure: Option<Arc<Error>>,
}

impl Progress {
    fn has_ended(&self) -> bool {
        self.failure.is_some() || self.status.as_ref().is_some_and(|status| status.phase.is_terminal())
    }
}

impl Run {
    pub(super) fn new(workload: WorkloadId, place: &Place) -> Self {
        let ticket = match place {
            Place::Slot(_) => None,
            Place::Line(waiting) => Some(waiting.ticket()),
        };
        Self {
            workload,
            ticket,
            progress: watch::channel(Progress::default()).0,
            cancelled: watch::channel(false).0,
        }
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.progress.borrow().failure.as_deref().map(again)
    }
}

/// An error for one more caller.
fn again(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.message().to_owned()).with_retryable(error.is_retryable());
    error.context().fold(copy, |copy, (key, value)| copy.with_context(key, value))
}

/// A run that was launched: to follow, await or cancel it.
///
/// Any number of clones may be used at once; the run goes on when all are dropped.
#[derive(Clone)]
pub struct RunHandle {
    run: Arc<Run>,
    core: Arc<Core>,
}

impl RunHandle {
    pub(super) fn new(run: Arc<Run>, core: Arc<Core>) -> Self {
        Self { run, core }
    }

    /// The workload's id.
    pub fn workload(&self) -> &WorkloadId {
        &self.run.workload
    }

    /// The run; `None` while it waits in line for a backend that can't hold runs.
    pub fn run(&self) -> Option<RunId> {
        self.run.progress.borrow().run.clone()
    }

    /// Its place in the line, from 1; `None` when it does not wait.
    pub fn position(&self) -> Option<usize> {
        self.core.slots.position(self.run.ticket?)
    }

    /// Where the run is now; `None` until the backend has told.
    pub fn status(&self) -> Option<RunStatus> {
        let progress = self.run.progress.borrow().clone();
        let status = progress.status?;
        Some(self.in_line((*status).clone()))
    }

    /// Follows the run: its state now, then each change, its place in the line among them; ends after the terminal
    /// state.
    ///
    /// Cancel safety: dropping the stream stops the following, nothing else.
    pub fn follow(&self) -> StatusStream {
        let handle = self.clone();
        let progress = self.run.progress.subscribe();
        let moves = self.core.slots.moves();
        stream::unfold(Some((handle, progress, moves, None)), |following| async {
            let (handle, mut progress, mut moves, last): (Self, _, _, Option<RunStatus>) = following?;
            loop {
                moves.borrow_and_update();
                let now = progress.borrow_and_update().clone();
                if let Some(error) = &now.failure {
                    return Some((Err(again(error)), None));
                }
                if let Some(status) = &now.status {
                    let status = handle.in_line((**status).clone());
                    if status.phase.is_terminal() {
                        return Some((Ok(status), None));
                    }
                    if last.as_ref() != Some(&status) {
                        return Some((Ok(status.clone()), Some((handle, progress, moves, Some(status)))));
                    }
                }
                // The handle holds both senders.
                let _changed = if handle.position().is_some() {
                    tokio::select! {
                        changed = progress.changed() => changed,
                        changed = moves.changed() => changed,
                    }
                } else {
                    progress.changed().await
                };
            }
        })
        .boxed()
    }

    /// Reads the log of the workload.
    ///
    /// # Errors
    /// As [`WorkloadManager::logs`](wm_core::WorkloadManager::logs).
    pub async fn logs(&self, query: &LogQuery) -> Result<LogStream> {
        self.core.manager.logs(&self.run.workload, query).await
    }

    /// Waits for the end of the run.
    ///
    /// Cancel safety: dropping the future stops the waiting, nothing else.
    ///
    /// # Errors
    /// What keeps the end from being known; a failed run is no error but a verdict.
    pub async fn wait(&self) -> Result<Verdict> {
        let mut progress = self.run.progress.subscribe();
        loop {
            {
                let now = progress.borrow_and_update();
                if let Some(error) = &now.failure {
                    return Err(again(error));
                }
                if let Some(verdict) = now.status.as_ref().and_then(|status| status.verdict.clone()) {
                    return Ok(verdict);
                }
            }
            if progress.changed().await.is_err() {
                return Err(driver::broken());
            }
        }
    }

    /// Stops the run: one that waits leaves the line, one that runs is asked to end.
    ///
    /// Returns when that is under way; [`wait`](Self::wait) tells when it is done. A run that has ended stays as it is.
    /// Cancel safety: dropped before it returns, the run may be stopped or not.
    ///
    /// # Errors
    /// `Unsupported` when the backend can't stop runs; whatever keeps it from doing so.
    pub async fn cancel(&self) -> Result<()> {
        let progress = self.run.progress.borrow().clone();
        if progress.has_ended() {
            return Ok(());
        }
        // One that waits is taken out of the line by its driver, which then cancels what the backend holds.
        self.run.cancelled.send_replace(true);
        match &progress.run {
            Some(run) if self.position().is_none() => self.core.manager.cancel(run).await,
            _ => Ok(()),
        }
    }

    /// Says where in the line a run is that the backend holds.
    fn in_line(&self, mut status: RunStatus) -> RunStatus {
        if status.phase == Phase::Held
            && let Some(position) = self.position()
        {
            status.detail = Some(format!("number {position} in line"));
        }
        status
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle")
            .field("workload", &self.run.workload)
            .field("run", &self.run())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
