//! Sees to it that no run waits for ever, and that its log says what it waits for.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::api::PropagationPolicy;
use serde_json::json;
use tokio::time::Instant;
use wm_core::RunId;

use crate::{
    api::Api,
    board::{Board, RunView, Snapshot},
    clocks::Limits,
    diagnosis::Finding,
    error::CallError,
    event::EventView,
    messages::Message,
    names,
    record::{self, Ended, Waits},
    rights::Rights,
    unplaced::Unplaced,
    view::{JobView, PodView},
    vigil::{Step, Vigil},
};

/// Runs are looked after side by side, this many.
const AT_ONCE: usize = 8;
/// All runs without a pod are asked about with one request, and not more often.
const REFUSALS: Duration = Duration::from_secs(2);

/// Acts for runs that wait.
#[derive(Clone, Debug)]
pub(crate) struct Steward {
    pub(crate) api: Api,
    pub(crate) board: Arc<Board>,
    pub(crate) rights: Rights,
    pub(crate) limits: Limits,
    pub(crate) unplaced: Arc<Unplaced>,
    clock: Clock,
    asked_refusals: Arc<Mutex<Option<Instant>>>,
}

/// The time of day, which goes on by the runtime's clock.
#[derive(Clone, Copy, Debug)]
struct Clock {
    origin: Timestamp,
    at: Instant,
}

impl Clock {
    fn now(&self) -> Timestamp {
        self.origin.checked_add(self.at.elapsed()).unwrap_or(Timestamp::MAX)
    }

    fn instant(&self, time: Timestamp) -> Instant {
        self.at + Duration::try_from(time.duration_since(self.origin)).unwrap_or_default()
    }
}

/// What a look at a run comes to.
enum Look {
    /// There is something to do about it.
    Act(Step, Box<JobView>),
    /// Nothing, until it changes or this time has come.
    Rest(Option<Timestamp>),
    /// It needs nobody any more; whatever changes, it is looked at anew.
    Done,
}

impl Steward {
    pub(crate) fn new(
        api: &Api,
        board: &Arc<Board>,
        rights: Rights,
        limits: Limits,
        unplaced: &Arc<Unplaced>,
    ) -> Self {
        Self {
            api: api.clone(),
            board: Arc::clone(board),
            rights,
            limits,
            unplaced: Arc::clone(unplaced),
            clock: Clock { origin: Timestamp::now(), at: Instant::now() },
            asked_refusals: Arc::default(),
        }
    }

    /// Looks after all runs in our care, until it is dropped.
    pub(crate) async fn attend(self) {
        let mut vigils: HashMap<Arc<str>, (Vigil, Option<Instant>)> = HashMap::new();
        let mut timers: BTreeSet<(Instant, Arc<str>)> = BTreeSet::new();
        loop {
            let first = timers.first().map(|(time, _)| *time);
            let names = tokio::select! {
                names = self.board.stirred() => names,
                () = sleep_until(first) => {
                    let now = Instant::now();
                    let due = timers.iter().take_while(|(time, _)| *time <= now);
                    due.map(|(_, name)| Arc::clone(name)).collect()
                }
            };
            let mut looked = Vec::new();
            let mut busy = Vec::new();
            for name in names {
                let (mut vigil, timer) = vigils.remove(&name).unwrap_or_default();
                if let Some(timer) = timer {
                    timers.remove(&(timer, Arc::clone(&name)));
                }
                match self.board.look(&name, |run| self.decide(&mut vigil, run)) {
                    Some(Look::Act(step, job)) => busy.push((name, vigil, step, job)),
                    Some(Look::Rest(next)) => looked.push((name, Some((vigil, next)))),
                    Some(Look::Done) | None => {}
                }
            }
            if !busy.is_empty() {
                let busy =
                    stream::iter(busy).map(|(name, vigil, step, job)| self.see_to(name, vigil, step, job));
                looked.extend(Box::pin(busy.buffer_unordered(AT_ONCE).collect::<Vec<_>>()).await);
            }
            for (name, kept) in looked {
                let Some((vigil, next)) = kept else { continue };
                let timer = next.map(|next| self.clock.instant(next));
                timers.extend(timer.map(|timer| (timer, Arc::clone(&name))));
                vigils.insert(name, (vigil, timer));
            }
        }
    }

    /// Does this about a run, and whatever is to be done then; gives what is remembered of it, if that matters any more.
    async fn see_to(
        &self,
        name: Arc<str>,
        mut vigil: Vigil,
        mut step: Step,
        mut job: Box<JobView>,
    ) -> (Arc<str>, Option<(Vigil, Option<Timestamp>)>) {
        loop {
            self.act(&mut vigil, step, &job).await;
            match self.board.look(&name, |run| self.decide(&mut vigil, run)) {
                Some(Look::Act(next, now)) => (step, job) = (next, now),
                Some(Look::Rest(next)) => return (name, Some((vigil, next))),
                Some(Look::Done) | None => return (name, None),
            }
        }
    }

    /// Does what is to be done about a run that is looked at now and then.
    pub(crate) async fn look_at(&self, vigil: &mut Vigil, run: &Snapshot) {
        while let Look::Act(step, job) = self.decide(vigil, run.view()) {
            self.act(vigil, step, &job).await;
        }
    }

    /// Decides in place: nearly every change of a run calls for nothing, and a copy of it would cost more than that.
    fn decide(&self, vigil: &mut Vigil, run: RunView<'_>) -> Look {
        match vigil.step(run, &self.limits, self.clock.now()) {
            Step::Wait(_) if run.job.is_finished() => Look::Done,
            Step::Wait(None) if run.pods.iter().any(PodView::has_begun) => Look::Done,
            Step::Wait(next) => Look::Rest(next),
            step => Look::Act(step, Box::new(run.job.clone())),
        }
    }

    async fn act(&self, vigil: &mut Vigil, step: Step, job: &JobView) {
        let done = match &step {
            Step::Wait(_) => Ok(()),
            Step::AskRefusals => self.ask_refusals().await,
            Step::AskAbout(pod) => self.ask_about(&job.name, pod).await,
            Step::Say(waits, text) => self.say(job, waits, text).await,
            Step::End(finding) => self.end(job, finding).await,
            Step::Remove(pod) => self.remove(job, pod).await,
        };
        if let Err(error) = done {
            tracing::warn!(
                ?error,
                job = &*job.name,
                "A run that waits could not be looked after, trying again"
            );
            vigil.failed(&step, self.clock.now());
        }
    }

    async fn ask_refusals(&self) -> Result<(), CallError> {
        let now = Instant::now();
        {
            let mut asked = self.asked_refusals.lock().unwrap_or_else(PoisonError::into_inner);
            let is_fresh = asked.is_some_and(|asked| now.duration_since(asked) < REFUSALS);
            if is_fresh || !self.rights.list_events {
                return Ok(());
            }
            *asked = Some(now);
        }
        let events = self.api.refusals().await?;
        let jobs = self.board.cared_for();
        let mut of_jobs: HashMap<&str, Vec<EventView>> = HashMap::new();
        for event in events {
            if let Some(name) = jobs.get(&event.about.uid) {
                of_jobs.entry(name).or_default().push(event);
            }
        }
        for (name, events) in of_jobs {
            self.board.add_events(name, events);
        }
        Ok(())
    }

    async fn ask_about(&self, job: &str, pod: &str) -> Result<(), CallError> {
        if self.rights.list_events {
            let events = self.api.events_of(pod).await?;
            self.board.add_events(job, events);
        }
        Ok(())
    }

    async fn say(&self, job: &JobView, waits: &Waits, text: &str) -> Result<(), CallError> {
        tracing::info!(workload = %job.run.workload, attempt = job.run.attempt.get(), "{text}");
        let messages = Message::lines(text);
        if !self.rights.patch_jobs {
            self.unplaced.keep(&job.run.workload, messages);
            return Ok(());
        }
        let said = record::amend(&self.api, &job.name, |object| {
            let now = JobView::new(object).filter(|now| now.uid == job.uid && !now.is_finished())?;
            // Another server has said it.
            if now.waits.as_ref().is_some_and(|other| other.words == waits.words) {
                return None;
            }
            Some(json!({ "metadata": { "annotations": {
                names::WAITS: json!(waits).to_string(),
                names::MESSAGES: record::with_messages(object, &messages),
            }}}))
        });
        ignore_gone(said.await.map(|_| ()))
    }

    /// Ends a run: its Job stays, failed, with the verdict. Without the right to change it, it is deleted as when it is
    /// cancelled.
    async fn end(&self, job: &JobView, finding: &Finding) -> Result<(), CallError> {
        let RunId { workload, attempt, .. } = &job.run;
        tracing::info!(%workload, attempt = attempt.get(), reason = %finding.reason, "Run given up");
        let ended = Ended::new(finding.clone());
        let messages =
            Message::lines(&format!("Given up: {}. What helps: {}.", finding.words, finding.advice));
        if self.rights.patch_jobs {
            let amended = record::amend(&self.api, &job.name, |object| {
                JobView::new(object).filter(|now| {
                    now.uid == job.uid
                        && now.ended.is_none()
                        && !(now.is_finished() || now.deleting || now.suspended)
                })?;
                Some(json!({
                    "metadata": { "annotations": {
                        names::VERDICT: json!(ended).to_string(),
                        names::MESSAGES: record::with_messages(object, &messages),
                    }},
                    // The Job's controller ends the pod and keeps the Job, so that nobody takes its name for free.
                    "spec": { "activeDeadlineSeconds": 1 },
                }))
            });
            return ignore_gone(amended.await.map(|_| ()));
        }
        self.unplaced.keep(workload, messages);
        self.board.mark_ended(&job.name, ended);
        let policy = PropagationPolicy::Foreground;
        let deleted = if self.rights.delete_job {
            self.api.delete_job(&job.name, &job.uid, policy).await
        } else if self.rights.delete_jobs {
            self.api.delete_jobs_with(&names::one_attempt(&job.run), policy).await
        } else {
            tracing::warn!(job = &*job.name, "The role has no right to end a run that waits for ever");
            Ok(())
        };
        ignore_gone(deleted)
    }

    /// Takes a pod off whose node does not answer, if it is still that pod.
    async fn remove(&self, job: &JobView, pod: &PodView) -> Result<(), CallError> {
        let node = pod.node.as_deref().unwrap_or("(none)");
        if !self.rights.delete_pod {
            tracing::warn!(
                pod = &*pod.name,
                node,
                "A pod does not end; its node may be dead. The role has no right to remove it: kubectl -n {} delete pod {} --grace-period=0 --force",
                job.namespace,
                pod.name
            );
            return Ok(());
        }
        tracing::warn!(
            pod = &*pod.name,
            node,
            "A pod does not end, its node is taken for dead: removing the pod by force"
        );
        ignore_gone(self.api.remove_pod(&pod.name, &pod.uid).await)
    }
}

/// What is gone, or another object of that name, needs nothing any more.
fn ignore_gone(result: Result<(), CallError>) -> Result<(), CallError> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 409) => Ok(()),
        other => other,
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
