//! The budget of runs whose programs never began.

use std::{sync::Arc, time::Duration};

use wm_core::{Phase, RunFilter, RunId, RunRequest, RunStatus};

use super::{Core, backend::insist, driver::asked_to_stop, handle::Run};
use crate::metrics;

/// The pause before the first retry; it doubles from one to the next, as that of a Job's controller does.
const PAUSE: Duration = Duration::from_secs(10);

/// Puts the next attempt of a run on record, if that can't start a program twice and the budget lasts.
///
/// Which attempt is next is told by the one that ended, so that several servers who saw it end make one.
pub(super) async fn next(core: &Core, run: &Run, request: &RunRequest, ended: &RunStatus) -> Option<RunId> {
    let verdict = ended.verdict.as_ref().filter(|verdict| verdict.may_retry)?;
    if core.start_retries == 0 {
        return None;
    }
    let spent = spent(core, &ended.run).await?;
    if spent >= core.start_retries {
        return None;
    }
    let attempt = ended.run.attempt.next();
    let next = RunId { attempt, ..ended.run.clone() };
    let pause = PAUSE.saturating_mul(2_u32.saturating_pow(spent));
    let count = format!("retry {} of {}", spent + 1, core.start_retries);
    let why = format!("attempt {} did not begin: {}", ended.run.attempt, verdict.message);
    let mut status = RunStatus::new(next.clone(), Phase::Pending);
    status.detail = Some(format!("{why}; attempt {attempt} follows in {} s, {count}", pause.as_secs()));
    run.progress.modify(|progress| progress.status = Some(Arc::new(status)));
    tokio::select! {
        biased;
        () = asked_to_stop(run) => return None,
        () = tokio::time::sleep(pause) => {}
    }
    let request = request.for_attempt(attempt).message(format!("Again, since {why}. This is {count}."));
    match insist("submit", || core.manager.submit(&request)).await {
        Ok(_) => {
            metrics::retried("start");
            run.progress.modify(|progress| progress.run = Some(next.clone()));
            Some(next)
        }
        Err(error) => {
            tracing::warn!(workload = %next.workload, %error, "A run that had not begun can't be tried again");
            None
        }
    }
}

/// How many of the attempts before this one, without a gap, did not begin either: known to the backend, so that it counts
/// across servers.
async fn spent(core: &Core, last: &RunId) -> Option<u32> {
    let filter = RunFilter { kind: Some(last.kind), ..RunFilter::of(&last.workload) };
    let runs = insist("list", || core.manager.list(&filter)).await.ok()?;
    let may_retry = |attempt: u32| {
        runs.iter().any(|status| {
            let is_it = status.run.workload == last.workload && status.run.attempt.get() == attempt;
            is_it && status.verdict.as_ref().is_some_and(|verdict| verdict.may_retry)
        })
    };
    let before = (1..last.attempt.get()).rev().take_while(|attempt| may_retry(*attempt));
    u32::try_from(before.count()).ok()
}
