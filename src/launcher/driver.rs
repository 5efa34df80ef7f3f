//! The life of one run, from its admission to its end.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use tokio::{sync::oneshot, time::sleep};
use wm_core::{
    Error, ErrorKind, ImageRequest, Outcome, Phase, Reason, Result, RunId, RunRequest, RunStatus, Submission,
    Verdict, Workload, WorkloadId,
};

use super::{
    Core,
    handle::Run,
    slot::{Place, Slot, Waiting},
};

const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

type Accepted = oneshot::Sender<Result<()>>;

/// The error of a run whose driver is gone: it panicked, or the launcher was dropped.
pub(super) fn broken() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "the launcher does not follow the run any more; launch the workload again to take it up",
    )
}

/// Sees a run to its end. The slot is given back when this ends, however it does.
pub(super) async fn drive(
    core: Arc<Core>,
    run: Arc<Run>,
    workload: Box<Workload>,
    place: Place,
    accepted: Accepted,
) {
    // Tells those who wait when this task panics or is dropped.
    let guard = Guard(Arc::clone(&run));
    let id = workload.id().clone();
    let mut accepted = Some(accepted);
    let result = live(&core, &run, workload, place, &mut accepted).await;
    if let Err(error) = result {
        tracing::warn!(workload = %id, %error, "Run given up");
        match accepted.take() {
            Some(accepted) => drop(accepted.send(Err(error))),
            None => run.progress.send_modify(|progress| progress.failure = Some(Arc::new(error))),
        }
    }
    drop(guard);
}

struct Guard(Arc<Run>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.progress.send_if_modified(|progress| {
            let ended = progress.status.as_ref().is_some_and(|status| status.phase.is_terminal());
            if ended || progress.failure.is_some() {
                return false;
            }
            progress.failure = Some(Arc::new(broken()));
            true
        });
    }
}

async fn live(
    core: &Arc<Core>,
    run: &Run,
    workload: Box<Workload>,
    place: Place,
    accepted: &mut Option<Accepted>,
) -> Result<()> {
    let holds = core.manager.capabilities().hold_runs;
    let (place, workload) = match place {
        Place::Line(mut waiting) if !holds => {
            accept(accepted);
            let Some(slot) = turn(run, &mut waiting).await else {
                // The backend never heard of it, so there is no status to end.
                return Err(Error::new(ErrorKind::NotFound, "the run was cancelled while it waited in line"));
            };
            (Place::Slot(slot), workload)
        }
        place => (place, workload),
    };
    let id = workload.id().clone();
    let submission = submit(core, *workload, &place).await?;
    let new = submission.run.clone();
    let place = match place {
        // It runs already, from before a crash: it counts, slot or not.
        Place::Line(waiting) if submission.adopted && !is_held(core, &new).await? => {
            Place::Slot(waiting.promote().await)
        }
        place => place,
    };
    let is_held = matches!(place, Place::Line(_));
    run.progress.send_modify(|progress| {
        progress.run = Some(new.clone());
        progress.status = is_held.then(|| Arc::new(RunStatus::new(new.clone(), Phase::Held)));
    });
    let driven = Driven::new(core, new);
    accept(accepted);
    let _slot = match place {
        // Another task has a slot for the same run.
        place if driven.is_second => {
            drop(place);
            None
        }
        Place::Slot(slot) => {
            // It may be held from before: another server's, or one from before a crash.
            if submission.adopted {
                core.manager.release(&driven.run).await?;
            }
            Some(slot)
        }
        Place::Line(mut waiting) => {
            let Some(slot) = turn(run, &mut waiting).await else {
                drop(waiting);
                core.manager.cancel(&driven.run).await?;
                let verdict = Verdict::new(
                    Outcome::Cancelled,
                    Reason::Cancelled,
                    "the run was cancelled while it waited in line",
                    "",
                );
                show(run, RunStatus::new(driven.run.clone(), Phase::Held).with_verdict(verdict));
                return Ok(());
            };
            core.manager.release(&driven.run).await?;
            Some(slot)
        }
    };
    // A cancel that came while the run was being submitted or released.
    if *run.cancelled.borrow() {
        core.manager.cancel(&driven.run).await?;
    }
    follow(core, run, &driven.run, &id).await
}

async fn submit(core: &Core, workload: Workload, place: &Place) -> Result<Submission> {
    let id = workload.id().clone();
    let image = ImageRequest::new(id.clone(), workload.kind(), workload.snapshot_image().cloned());
    let resolved = core.manager.resolve_image(&image).await?;
    if let Place::Line(waiting) = place
        && let Some(position) = core.slots.position(waiting.ticket())
    {
        log(core, &id, &format!("Queued: number {position} in line.")).await;
    }
    log(core, &id, &resolved.explanation).await;
    let request = RunRequest::new(workload, resolved.image);
    let request = if matches!(place, Place::Line(_)) { request.held() } else { request };
    core.manager.submit(&request).await
}

/// A log that can't be written never fails a run.
async fn log(core: &Core, id: &WorkloadId, message: &str) {
    if let Err(error) = core.manager.log(id, message).await {
        tracing::warn!(workload = %id, %error, "A message could not be added to the log");
    }
}

async fn is_held(core: &Core, run: &RunId) -> Result<bool> {
    Ok(core.manager.status(run).await?.phase == Phase::Held)
}

/// Waits for the turn; `None` when the run is cancelled first.
async fn turn(run: &Run, waiting: &mut Waiting) -> Option<Slot> {
    let mut cancelled = run.cancelled.subscribe();
    tokio::select! {
        biased;
        // The sender lives in the run.
        _ = cancelled.wait_for(|cancelled| *cancelled) => None,
        slot = waiting.turn() => Some(slot),
    }
}

/// Follows a run to its end; asks again whenever the backend's stream breaks.
async fn follow(core: &Core, run: &Run, id: &RunId, workload: &WorkloadId) -> Result<()> {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let broke = match core.manager.watch(id).await {
            Ok(mut states) => loop {
                match states.next().await {
                    Some(Ok(status)) => {
                        pause = SHORTEST_PAUSE;
                        let ended = status.phase.is_terminal();
                        tracing::info!(%workload, attempt = id.attempt.get(), phase = %status.phase, "Phase changed");
                        show(run, status);
                        if ended {
                            return Ok(());
                        }
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            },
            Err(error) => Some(error),
        };
        match broke {
            Some(error) if !error.is_retryable() => return Err(error),
            Some(error) => tracing::warn!(%workload, %error, "Following the run broke, trying again"),
            None => tracing::warn!(%workload, "Following the run ended before the run did, trying again"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn show(run: &Run, status: RunStatus) {
    run.progress.send_modify(|progress| progress.status = Some(Arc::new(status)));
}

fn accept(accepted: &mut Option<Accepted>) {
    if let Some(accepted) = accepted.take() {
        // Whoever asked may be gone; the run goes on.
        drop(accepted.send(Ok(())));
    }
}

/// Marks a run as seen to its end by this task.
struct Driven {
    core: Arc<Core>,
    run: RunId,
    is_second: bool,
}

impl Driven {
    fn new(core: &Arc<Core>, run: RunId) -> Self {
        let mut driven = core.driven.lock().unwrap_or_else(PoisonError::into_inner);
        let is_second = !driven.insert(run.clone());
        drop(driven);
        Self { core: Arc::clone(core), run, is_second }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if !self.is_second {
            self.core.driven.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.run);
        }
    }
}
