//! The life of one run, from its admission to its end.

use std::{
    future,
    sync::{Arc, PoisonError},
};

use futures::StreamExt as _;
use tokio::time::Instant;
use wm_core::{
    Error, ErrorKind, ImageRequest, Outcome, Phase, Reason, ResolvedImage, Result, RunId, RunRequest,
    RunStatus, Verdict, Workload,
};

use super::{
    Core,
    backend::{guarded, insist, log},
    handle::{Cancel, Run},
    pauses::Pauses,
    registry::Flight,
    retry,
    slot::{Place, Slot},
};
use crate::metrics::{self, Phases};

/// The error of a run whose driver is gone: it panicked, or the launcher was dropped.
pub(super) fn broken() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "the launcher does not follow the run any more; launch the workload again to take it up",
    )
}

/// Sees a run to its end. The slot is given back when this ends, however it does, and before anybody hears of it.
///
/// Thousands of these wait at once, so whatever they do before and beside it is boxed and gone when it is done.
pub(super) async fn drive(core: Arc<Core>, flight: Flight, admitted: Box<(Workload, Place)>) {
    let run = flight.run();
    match live(&core, &flight, admitted).await {
        Ok(End::Told(status)) => run.progress.modify(|progress| progress.status = Some(status)),
        Ok(End::Withdrawn(None)) => {
            metrics::cancelled("in line");
            metrics::finished(&withdrawn());
            run.progress.modify(|progress| progress.withdrawn = Some(Box::new(withdrawn())));
        }
        Ok(End::Withdrawn(Some(id))) => {
            let status = RunStatus::new(id.clone(), Phase::Held).with_verdict(withdrawn());
            metrics::cancelled("in line");
            Phases::default().enter(&status);
            run.progress.modify(|progress| progress.status = Some(Arc::new(status)));
            if let Err(error) = insist("cancel", || core.manager.cancel(&id)).await {
                tracing::error!(workload = %id.workload, %error, "A run that was cancelled in line stays on record");
            }
        }
        Err(error) => {
            metrics::given_up(&error);
            tracing::warn!(workload = %run.workload(), %error, "Run given up");
            run.progress.modify(|progress| progress.failure = Some(Arc::new(error)));
        }
    }
}

/// How a driver's work ends.
enum End {
    /// The backend told the terminal state.
    Told(Arc<RunStatus>),
    /// It was cancelled in line; the backend has it on record or never heard of it.
    Withdrawn(Option<RunId>),
}

fn withdrawn() -> Verdict {
    let message = "the run was cancelled while it waited in line";
    Verdict::new(Outcome::Cancelled, Reason::Cancelled, message, "")
}

async fn live(core: &Arc<Core>, flight: &Flight, admitted: Box<(Workload, Place)>) -> Result<End> {
    let run = flight.run();
    let Some(submitted) = Box::pin(submitted(core, flight, admitted)).await? else {
        return Ok(End::Withdrawn(None));
    };
    let Submitted { request, id, place, mut release } = submitted;
    let mut request = Some(request);
    let mut driven = Driven::new(core, id);
    // Where another task has a slot for the same run, this one needs none.
    let mut place = (!driven.is_second).then_some(place);
    let mut slot = None;
    let end = loop {
        let id = &driven.run;
        let mut phases = if driven.is_second { Phases::of_another() } else { Phases::default() };
        if let Some(status) = &run.progress.borrow().status {
            phases.enter(status);
        }
        let end = tokio::select! {
            end = follow(core, run, id, &mut phases, &mut request) => End::Told(end?),
            error = not_begun(begin(core, run, id, place.take(), release, &mut slot)) => return Err(error),
            () = stop(core, run, id) => End::Withdrawn(Some(id.clone())),
        };
        let (End::Told(told), Some(request)) = (&end, &request) else { break end };
        let Some(next) = Box::pin(retry::next(core, run, request, told)).await else { break end };
        driven = Driven::new(core, next);
        release = false;
    };
    if let Some(slot) = slot {
        slot.complete();
    }
    Ok(end)
}

/// A run that the backend has on record.
struct Submitted {
    request: Box<RunRequest>,
    id: RunId,
    place: Place,
    /// Whether it may have to be released when its turn has come.
    release: bool,
}

/// Sees to it that the backend has the run on record; `None` when it is cancelled before the backend hears of it.
async fn submitted(
    core: &Core,
    flight: &Flight,
    mut admitted: Box<(Workload, Place)>,
) -> Result<Option<Submitted>> {
    let run = flight.run();
    let holds = core.manager.capabilities().hold_runs;
    if let Place::Line(waiting) = &mut admitted.1
        && !holds
    {
        run.progress.modify(|progress| progress.accepted = true);
        let turn = Box::pin(async {
            queued(core, run).await;
            waiting.turn().await
        });
        let slot = tokio::select! {
            biased;
            () = asked_to_stop(run) => return Ok(None),
            slot = turn => slot,
        };
        admitted.1 = Place::Slot(slot);
    }
    // Somebody who waits for the launch is told of trouble at once; later there is nobody to tell.
    let waits = !run.progress.borrow().accepted;
    let resolved = {
        let (workload, place) = &*admitted;
        tokio::select! {
            biased;
            () = asked_to_stop(run) => return Ok(None),
            resolved = resolved(core, flight, workload, place, waits) => resolved?,
        }
    };
    let (workload, place) = *admitted;
    // Its turn may have come meanwhile.
    let held = matches!(&place, Place::Line(waiting) if core.slots.position(waiting.ticket()).is_some());
    let request = RunRequest::new(workload, resolved.image).message(resolved.explanation);
    let request = Box::new(if held { request.held() } else { request });
    let submit = || core.manager.submit(&request);
    let began = Instant::now();
    let submission =
        if waits { guarded(async { submit().await }).await } else { insist("submit", submit).await };
    let submission = metrics::submitted(began, submission)?;
    let id = submission.run;
    run.progress.modify(|progress| {
        progress.run = Some(id.clone());
        // Of an adopted run only the backend knows where it is.
        progress.status =
            (held && !submission.adopted).then(|| Arc::new(RunStatus::new(id.clone(), Phase::Held)));
        progress.accepted = true;
    });
    Ok(Some(Submitted { request, id, place, release: held || (holds && submission.adopted) }))
}

/// Finds the image, once nothing is in the way.
async fn resolved(
    core: &Core,
    flight: &Flight,
    workload: &Workload,
    place: &Place,
    waits: bool,
) -> Result<ResolvedImage> {
    flight.predecessor_gone().await;
    if matches!(place, Place::Line(_)) {
        queued(core, flight.run()).await;
    }
    let request =
        ImageRequest::new(workload.id().clone(), workload.kind(), workload.snapshot_image().cloned());
    let resolve = || core.manager.resolve_image(&request);
    let began = Instant::now();
    let resolved =
        if waits { guarded(async { resolve().await }).await } else { insist("resolve image", resolve).await };
    metrics::resolved(began, resolved)
}

async fn queued(core: &Core, run: &Run) {
    if let Some(position) = run.position(&core.slots) {
        log(&*core.manager, run.workload(), &format!("Queued: number {position} in line.")).await;
    }
}

/// Ends only when the run can't be started.
fn not_begun<'a>(
    begin: impl Future<Output = Result<()>> + Send + 'a,
) -> impl Future<Output = Error> + Send + 'a {
    let begin = Box::pin(begin);
    async move {
        match begin.await {
            Ok(()) => future::pending().await,
            Err(error) => error,
        }
    }
}

/// Starts the run when its turn has come, and keeps its slot.
async fn begin(
    core: &Core,
    run: &Run,
    id: &RunId,
    place: Option<Place>,
    release: bool,
    slot: &mut Option<Slot>,
) -> Result<()> {
    match place {
        Some(Place::Slot(own)) => *slot = Some(own),
        Some(Place::Line(mut waiting)) => {
            let turn = tokio::select! {
                turn = waiting.turn() => Some(turn),
                () = runs_already(run) => None,
            };
            *slot = Some(match turn {
                Some(turn) => turn,
                // It runs from before a crash or by another hand: it counts, slot or not.
                None => waiting.promote().await,
            });
        }
        None => return Ok(()),
    }
    if release && let Err(error) = insist("release", || core.manager.release(id)).await {
        // That it is gone is told by whoever follows it.
        if error.kind() != ErrorKind::NotFound {
            return Err(error);
        }
    }
    Ok(())
}

fn runs_already(run: &Run) -> impl Future<Output = ()> {
    run.until(|progress| progress.status.as_ref().is_some_and(|status| status.phase > Phase::Held))
}

pub(super) fn asked_to_stop(run: &Run) -> impl Future<Output = ()> {
    run.until(|progress| matches!(progress.cancel, Cancel::Asked))
}

/// Stops the run as often as it is asked for; ends when the run is still in line.
async fn stop(core: &Core, run: &Run, id: &RunId) {
    loop {
        asked_to_stop(run).await;
        let held = run.progress.borrow().status.as_ref().is_some_and(|status| status.phase == Phase::Held);
        if held && run.position(&core.slots).is_some() {
            return;
        }
        let answer = match insist("cancel", || core.manager.cancel(id)).await {
            Ok(()) => {
                metrics::cancelled("under way");
                Cancel::UnderWay
            }
            Err(error) => {
                metrics::cancelled("failed");
                Cancel::Failed(Arc::new(error))
            }
        };
        run.progress.modify(|progress| progress.cancel = answer);
    }
}

/// Follows a run to its end; asks again whenever the backend's stream breaks. The end itself is not shown yet. The
/// request is given up when the program has begun: no attempt is made of it then, and thousands would take memory.
async fn follow(
    core: &Core,
    run: &Run,
    id: &RunId,
    phases: &mut Phases,
    request: &mut Option<Box<RunRequest>>,
) -> Result<Arc<RunStatus>> {
    let mut pauses: Option<Box<Pauses>> = None;
    loop {
        let broke = match guarded(async { core.manager.watch(id).await }).await {
            Ok(mut states) => loop {
                match guarded(async { states.next().await.transpose() }).await {
                    Ok(Some(status)) => {
                        let before = run.progress.borrow().status.clone();
                        if before.as_ref().is_none_or(|before| before.phase != status.phase) {
                            // A stream that only repeats itself before it breaks is no progress.
                            pauses = None;
                        }
                        phases.enter(&status);
                        if status.phase == Phase::Running {
                            *request = None;
                        }
                        let status = Arc::new(status);
                        if status.verdict.is_some() {
                            return Ok(status);
                        }
                        if status.phase.is_terminal() {
                            let message = "the backend ended the run without a verdict";
                            return Err(Error::new(ErrorKind::Unexpected, message)
                                .with_context("run", id.to_string()));
                        }
                        run.progress.modify(|progress| progress.status = Some(status));
                    }
                    Ok(None) => {
                        break Error::new(
                            ErrorKind::Unavailable,
                            "the stream of states ended before the run did",
                        );
                    }
                    Err(error) => break error,
                }
            },
            Err(error) => error,
        };
        if !broke.is_retryable() {
            return Err(broke);
        }
        metrics::retried("watch");
        tracing::warn!(workload = %id.workload, error = %broke, "Following the run broke, trying again");
        Box::pin(pauses.get_or_insert_with(|| Box::new(Pauses::new())).after(&broke)).await;
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
