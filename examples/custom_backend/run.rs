//! One run: what is known of it, and what is asked of it.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::watch;
use wm_core::{
    Error, ErrorKind, Outcome, Phase, Reason, Result, RunId, RunRequest, RunStatus, StatusStream, Submission,
    Verdict, WorkloadId,
};

use super::log::Log;

/// Of how many lines the end of the log is evidence.
const EVIDENCE_LINES: usize = 50;

/// What is asked of a process; it only gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    /// It may go on.
    No,
    /// It shall end within its grace.
    Ask,
    /// It is killed.
    Kill,
}

pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) aliases: Vec<WorkloadId>,
    pub(super) log: Arc<Log>,
    fingerprint: String,
    status: watch::Sender<RunStatus>,
    stop: watch::Sender<Stop>,
}

impl Run {
    pub(super) fn new(id: RunId, fingerprint: String, request: &RunRequest, log: Arc<Log>) -> Self {
        let aliases: Vec<_> = request.workload.aliases().cloned().collect();
        let mut status = RunStatus::new(id.clone(), Phase::Starting);
        status.image = Some(request.image.to_string());
        status.created = Some(Timestamp::now());
        status.aliases.clone_from(&aliases);
        log.open(id.attempt);
        Self {
            id,
            aliases,
            log,
            fingerprint,
            status: watch::channel(status).0,
            stop: watch::channel(Stop::No).0,
        }
    }

    /// Takes the run for one that is submitted again.
    pub(super) fn adopt(&self, fingerprint: &str) -> Result<Submission> {
        if self.fingerprint == fingerprint {
            return Ok(Submission::new(self.id.clone(), true));
        }
        Err(Error::new(ErrorKind::Conflict, "the workload has a run of another spec")
            .with_context("run", self.id.to_string()))
    }

    pub(super) fn status(&self) -> RunStatus {
        self.status.borrow().clone()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.status.borrow().phase.is_terminal()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut RunStatus)) {
        self.status.send_modify(change);
    }

    /// Ends the run; its log ends first, so that who reads the verdict can read all of it.
    pub(super) fn end(&self, mut verdict: Verdict) {
        verdict.evidence.log_tail = self.log.last_lines(self.id.attempt, EVIDENCE_LINES);
        self.log.close(self.id.attempt);
        self.update(|status| {
            status.finished = Some(Timestamp::now());
            *status = status.clone().with_verdict(verdict);
        });
    }

    /// Its state now, then each change, up to the end.
    pub(super) fn watch(&self) -> StatusStream {
        let mut changes = self.status.subscribe();
        changes.mark_changed();
        stream::unfold(Some(changes), |changes| async {
            let mut changes = changes?;
            if changes.changed().await.is_err() {
                let last = changes.borrow().clone();
                return Some((Ok(last.with_verdict(lost())), None));
            }
            let status = changes.borrow_and_update().clone();
            let has_ended = status.phase.is_terminal();
            Some((Ok(status), (!has_ended).then_some(changes)))
        })
        .boxed()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        // The sender is ours, so it does not go meanwhile.
        let _ended = self.status.subscribe().wait_for(|status| status.phase.is_terminal()).await.is_ok();
    }

    pub(super) fn stop(&self, stop: Stop) {
        self.stop.send_if_modified(|now| {
            let is_worse = *now < stop;
            *now = stop.max(*now);
            is_worse
        });
    }

    /// Waits until this, or worse, is asked of it.
    pub(super) async fn stopped(&self, stop: Stop) {
        let _asked = self.stop.subscribe().wait_for(|now| *now >= stop).await.is_ok();
    }
}

fn lost() -> Verdict {
    Verdict::new(
        Outcome::Failed,
        Reason::BackendFailure,
        "the manager went, and its processes with it",
        "submit the workload again",
    )
}
