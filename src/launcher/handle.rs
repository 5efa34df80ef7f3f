use std::{error::Error as StdError, fmt, sync::Arc};

use futures::{StreamExt as _, stream};
use wm_core::{
    Error, LogQuery, LogStream, Phase, Result, RunId, RunStatus, StatusStream, Verdict, WorkloadId,
};

use super::{
    Core,
    queue::Ticket,
    slot::{Place, Slots},
    watched::Watched,
};

/// What is known of a run that this launcher sees to its end.
#[derive(Debug)]
pub(super) struct Run {
    workload: WorkloadId,
    /// Its place in the line, if it had to wait.
    ticket: Option<Ticket>,
    pub(super) progress: Watched<Progress>,
}

/// How far a run has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Whether the launch is done: the backend has the run, or can't hold it while it waits.
    pub(super) accepted: bool,
    pub(super) run: Option<RunId>,
    pub(super) status: Option<Arc<RunStatus>>,
    /// How it ended before the backend heard of it.
    pub(super) withdrawn: Option<Box<Verdict>>,
    /// Why nothing more will be known.
    pub(super) failure: Option<Arc<Error>>,
    pub(super) cancel: Cancel,
    /// Whether its driver is gone.
    pub(super) gone: bool,
}

/// How far the last wish to stop a run has come.
#[derive(Clone, Debug, Default)]
pub(super) enum Cancel {
    #[default]
    No,
    Asked,
    UnderWay,
    Failed(Arc<Error>),
}

impl Progress {
    pub(super) fn has_ended(&self) -> bool {
        self.failure.is_some()
            || self.withdrawn.is_some()
            || self.status.as_ref().is_some_and(|status| status.phase.is_terminal())
    }
}

impl Run {
    pub(super) fn new(workload: WorkloadId, place: &Place) -> Self {
        let ticket = match place {
            Place::Slot(_) => None,
            Place::Line(waiting) => Some(waiting.ticket()),
        };
        Self { workload, ticket, progress: Watched::default() }
    }

    pub(super) fn workload(&self) -> &WorkloadId {
        &self.workload
    }

    /// Its place in the line, from 1.
    pub(super) fn position(&self, slots: &Slots) -> Option<usize> {
        slots.position(self.ticket?)
    }

    /// Waits until a fact is true.
    pub(super) fn until(
        &self,
        fact: impl FnMut(&Progress) -> bool + Send,
    ) -> impl Future<Output = ()> + Send {
        self.progress.until(fact)
    }

    /// Waits until the launch is done.
    pub(super) async fn accepted(&self) -> Result<()> {
        self.until(|progress| progress.accepted || progress.has_ended()).await;
        let progress = self.progress.borrow();
        match &progress.failure {
            Some(error) if !progress.accepted => Err(again(error)),
            _ => Ok(()),
        }
    }
}

/// An error for one more caller.
fn again(error: &Arc<Error>) -> Error {
    let copy = Error::new(error.kind(), error.message().to_owned()).with_retryable(error.is_retryable());
    let copy = error.context().fold(copy, |copy, (key, value)| copy.with_context(key, value));
    let copy = match error.retry_after() {
        Some(wait) => copy.with_retry_after(wait),
        None => copy,
    };
    if error.source().is_some() { copy.with_source(Cause(Arc::clone(error))) } else { copy }
}

/// The cause of an error that several callers get.
#[derive(Debug)]
struct Cause(Arc<Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source().map_or(Ok(()), |source| fmt::Display::fmt(source, f))
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()?.source()
    }
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
        self.run.position(&self.core.slots)
    }

    /// Where the run is now; `None` until the backend has told.
    pub fn status(&self) -> Option<RunStatus> {
        let status = self.run.progress.borrow().status.clone()?;
        Some(self.in_line((*status).clone()))
    }

    /// Follows the run: its state now, then each change, its place in the line among them; ends after the terminal
    /// state, or without one when the run is cancelled before the backend heard of it.
    ///
    /// Cancel safety: dropping the stream stops the following, nothing else.
    pub fn follow(&self) -> StatusStream {
        let handle = self.clone();
        let moves = self.core.slots.moves();
        stream::unfold(Some((handle, moves, None)), |following| async {
            let (handle, mut moves, last): (Self, _, Option<RunStatus>) = following?;
            loop {
                moves.borrow_and_update();
                let changed = handle.run.progress.changed();
                let now = handle.run.progress.borrow().clone();
                if let Some(error) = &now.failure {
                    return Some((Err(again(error)), None));
                }
                if now.withdrawn.is_some() {
                    return None;
                }
                if let Some(status) = &now.status {
                    let status = handle.in_line((**status).clone());
                    if status.phase.is_terminal() {
                        return Some((Ok(status), None));
                    }
                    if last.as_ref() != Some(&status) {
                        drop(changed);
                        return Some((Ok(status.clone()), Some((handle, moves, Some(status)))));
                    }
                }
                if handle.position().is_some() {
                    tokio::select! {
                        () = changed => {}
                        // The handle holds the sender.
                        _never_closed = moves.changed() => {}
                    }
                } else {
                    changed.await;
                }
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

    /// Waits for the attempt that comes after this one because its program never began; `None` when the run has ended
    /// without another.
    ///
    /// Cancel safety: dropping the future stops the waiting, nothing else.
    pub async fn retry_of(&self, run: &RunId) -> Option<RunId> {
        let is_another = |progress: &Progress| progress.run.as_ref().is_some_and(|now| now != run);
        self.run.until(|progress| progress.has_ended() || is_another(progress)).await;
        self.run().filter(|now| now != run)
    }

    /// Waits for the end of the run.
    ///
    /// Cancel safety: dropping the future stops the waiting, nothing else.
    ///
    /// # Errors
    /// What keeps the end from being known; a failed run is no error but a verdict.
    pub async fn wait(&self) -> Result<Verdict> {
        loop {
            let changed = self.run.progress.changed();
            {
                let now = self.run.progress.borrow();
                if let Some(error) = &now.failure {
                    return Err(again(error));
                }
                if let Some(verdict) = &now.withdrawn {
                    return Ok((**verdict).clone());
                }
                if let Some(verdict) = now.status.as_ref().and_then(|status| status.verdict.clone()) {
                    return Ok(verdict);
                }
            }
            changed.await;
        }
    }

    /// Stops the run: one that waits leaves the line and has ended at once, one that runs is asked to end.
    ///
    /// Returns when that is under way; [`wait`](Self::wait) tells when it is done. A run that has ended stays as it is.
    /// While the backend is in trouble it is asked again and again.
    ///
    /// Cancel safety: polled once, the run will be stopped, whether or not the future is dropped.
    ///
    /// # Errors
    /// `Unsupported` when the backend can't stop runs; whatever keeps it from doing so.
    pub async fn cancel(&self) -> Result<()> {
        let progress = &self.run.progress;
        progress.modify(|progress| {
            if !progress.has_ended() {
                progress.cancel = Cancel::Asked;
            }
        });
        self.run.until(|progress| progress.has_ended() || !matches!(progress.cancel, Cancel::Asked)).await;
        let now = progress.borrow().clone();
        match (now.cancel, now.run, now.failure) {
            // Nobody follows it any more, but it may go on.
            (_, Some(run), Some(_failure)) => self.core.manager.cancel(&run).await,
            (Cancel::Failed(error), _, None) if !progress.borrow().has_ended() => Err(again(&error)),
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
