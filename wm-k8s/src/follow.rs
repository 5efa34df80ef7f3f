//! The states of one run as they change, and what a failed one leaves as evidence.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use async_stream::try_stream;
use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use kube::api::LogParams;
use wm_core::{Error, ErrorKind, Evidence, Outcome, Reason, Result, RunId, RunStatus, StatusStream, Verdict};

use crate::{
    board::{self, Changes},
    event::EventView,
    names,
    shared::Shared,
    status::status,
    vigil::Vigil,
};

/// How often a manager asks for a run whose role can't list.
const POLL: Duration = Duration::from_secs(3);
const TAIL_LINES: u8 = 50;
/// A line of evidence is cut behind this many bytes.
const TAIL_LINE: usize = 2000;

pub(crate) fn not_found(run: &RunId, namespace: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "there is no such run: it was never submitted, or it ended and was removed",
    )
    .with_context("run", run.to_string())
    .with_context("namespace", namespace)
}

/// Follows one run on the board. Thousands of them live at once, so it is kept small: not the last state is
/// remembered but its hash.
struct Follower {
    shared: Arc<Shared>,
    name: String,
    changes: Changes,
    hasher: RandomState,
    last: Option<u64>,
}

impl Follower {
    /// The next state, and itself unless that is the last one.
    async fn next(mut self: Box<Self>) -> Option<(Result<RunStatus>, Option<Box<Self>>)> {
        loop {
            self.changes.skip();
            if let Some(status) = self.shared.board.status(&self.name) {
                if status.phase.is_terminal() {
                    return Some((Ok(Box::pin(self.end(status)).await), None));
                }
                let hash = Some(self.hasher.hash_one(&status));
                if self.last != hash {
                    self.last = hash;
                    return Some((Ok(status), Some(self)));
                }
            }
            self.changes.changed().await;
        }
    }

    async fn end(self: Box<Self>, status: RunStatus) -> RunStatus {
        drop(self.changes);
        self.shared.board.release(&self.name);
        self.shared.with_evidence(status).await
    }
}

impl Shared {
    pub(crate) async fn watch(self: &Arc<Self>, run: &RunId) -> Result<StatusStream> {
        if !self.follow().await {
            return self.poll(run).await;
        }
        let shared = Arc::clone(self);
        let run = run.clone();
        let name = names::job(&run);
        let changes = shared.board.subscribe(&name);
        // The watch may be behind: a Job that was made a moment ago is there all the same.
        if shared.status_of(&run).await?.is_none() {
            drop(changes);
            shared.board.release(&name);
            return Err(not_found(&run, shared.api.namespace()));
        }
        shared.board.care_for(&name);
        let follower = Follower { shared, name, changes, hasher: RandomState::new(), last: None };
        let followed =
            stream::unfold(Some(Box::new(follower)), |follower| async move { follower?.next().await });
        Ok(followed.boxed())
    }

    /// Asks again and again, for a role that has neither list nor watch.
    async fn poll(self: &Arc<Self>, run: &RunId) -> Result<StatusStream> {
        let shared = Arc::clone(self);
        let run = run.clone();
        let Some(first) = shared.status_of(&run).await? else {
            return Err(not_found(&run, shared.api.namespace()));
        };
        let name = names::job(&run);
        // Nothing is told here but that a caller of ours cancels the run.
        let followed = shared.board.subscribe(&name);
        Ok(try_stream! {
            let mut last = first;
            let mut vigil = Vigil::default();
            loop {
                if last.phase.is_terminal() {
                    drop(followed);
                    shared.board.release(&name);
                    yield shared.with_evidence(last).await;
                    return;
                }
                yield last.clone();
                loop {
                    tokio::time::sleep(POLL).await;
                    match shared.snapshot_of(&run).await {
                        Ok(Some(now)) => {
                            let status = status(&now.job, &now.pods, &now.events);
                            shared.steward.look_at(&mut vigil, &now).await;
                            if status != last {
                                last = status;
                                break;
                            }
                        }
                        Ok(None) => {
                            let verdict = match shared.board.ended(&name) {
                                Some(ended) => ended.verdict(&[], Evidence::default()),
                                None if shared.board.is_cancelled(&name) => board::cancelled(),
                                None => gone(),
                            };
                            last = last.with_verdict(verdict);
                            break;
                        }
                        Err(error) if error.is_retryable() => tracing::warn!(%error, "Poll failed, trying again"),
                        Err(error) => Err(error)?,
                    }
                }
            }
        }
        .boxed())
    }

    /// Adds what the cluster reported and the last lines to a failed run's verdict.
    pub(crate) async fn with_evidence(&self, told: RunStatus) -> RunStatus {
        let mut status = self.confirmed(told).await;
        let Some(verdict) = status.verdict.as_mut().filter(|verdict| verdict.outcome == Outcome::Failed)
        else {
            return status;
        };
        let pod = status.place.get("pod");
        if let Some(pod) = pod {
            verdict.evidence.log_tail = self.last_lines(pod, names::container(status.run.kind)).await;
        }
        let about: Vec<_> = [status.place.get("job"), pod].into_iter().flatten().collect();
        let events = self.events_about(&about).await;
        verdict.evidence.events =
            events.iter().filter(|event| event.is_warning()).map(EventView::line).collect();
        status
    }

    async fn last_lines(&self, pod: &str, container: &str) -> Vec<String> {
        let params = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(i64::from(TAIL_LINES)),
            ..LogParams::default()
        };
        let Ok(stream) = self.api.log(pod, &params).await else { return Vec::new() };
        let bytes: Vec<u8> = stream
            .try_fold(Vec::new(), |mut all, chunk| async move {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await
            .unwrap_or_default();
        tail(&bytes)
    }

    /// What the cluster reported about these objects, oldest first; nothing where the role can't list events.
    async fn events_about(&self, objects: &[&str]) -> Vec<EventView> {
        if !self.rights.list_events {
            return Vec::new();
        }
        let asked = join_all(objects.iter().map(|object| self.api.events_of(object))).await;
        let mut events: Vec<_> = asked.into_iter().flat_map(Result::unwrap_or_default).collect();
        events.sort_by_key(EventView::last);
        events
    }
}

fn tail(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(usize::from(TAIL_LINES));
    lines[start..].iter().map(|line| line[..line.floor_char_boundary(TAIL_LINE)].to_owned()).collect()
}

fn gone() -> Verdict {
    Verdict::new(
        Outcome::Failed,
        Reason::JobDeleted,
        "the Job vanished before its end was seen",
        "find out who deletes Jobs in the namespace, or give them more time to live (…_TTL_SECONDS_AFTER_FINISHED)",
    )
}
