//! What the shared watches have seen of all runs: the one place that followers look at.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Mutex,
};

use jiff::Timestamp;
use tokio::sync::watch;
use wm_core::{Outcome, Reason, RunFilter, RunId, RunStatus, Verdict, WorkloadId};

use crate::{
    status::status,
    view::{JobView, PodView},
};

/// How many deleted Jobs are remembered: more than can be deleted between a POST and its answer.
const MOST_DELETED: usize = 1024;

/// All runs, by the name of their Job.
#[derive(Debug, Default)]
pub(crate) struct Board {
    runs: Mutex<HashMap<String, Run>>,
    /// The UIDs of the Jobs that were deleted last, so that none of them comes back by an answer that was late.
    deleted: Mutex<VecDeque<String>>,
    synced: watch::Sender<Synced>,
}

/// Which kinds have been listed once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) jobs: bool,
    pub(crate) pods: bool,
}

#[derive(Debug, Default)]
struct Run {
    job: Option<JobView>,
    pods: Vec<PodView>,
    /// The last pod that was deleted: its last state tells why the Job failed.
    lost: Option<PodView>,
    /// The Job was seen and is gone.
    gone: bool,
    /// A caller of ours cancelled it.
    cancelled: bool,
    changed: Option<watch::Sender<()>>,
}

impl Run {
    fn notify(&self) {
        if let Some(changed) = &self.changed {
            changed.send_replace(());
        }
    }

    fn status(&self) -> Option<RunStatus> {
        let job = self.job.as_ref()?;
        let pods = if self.pods.is_empty() && job.is_finished() { self.lost.as_slice() } else { &self.pods };
        let now = status(job, pods);
        if !self.gone || now.phase.is_terminal() {
            return Some(now);
        }
        let verdict = if self.cancelled || job.cancelled {
            cancelled()
        } else {
            Verdict::new(
                Outcome::Failed,
                Reason::JobDeleted,
                "the Job was deleted before the runner had ended",
                format!(
                    "find out who deletes Jobs in the namespace: kubectl -n {} get events --field-selector involvedObject.name={}",
                    job.namespace, job.name
                ),
            )
        };
        Some(now.with_verdict(verdict))
    }

    fn is_needless(&self) -> bool {
        let unwatched = self.changed.as_ref().is_none_or(|changed| changed.receiver_count() == 0);
        unwatched && self.pods.is_empty() && (self.gone || self.job.is_none())
    }
}

impl Board {
    /// Waits until both kinds have been listed once.
    pub(crate) async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        // The sender lives as long as the board.
        let _never_closed = synced.wait_for(|synced| synced.jobs && synced.pods).await;
    }

    pub(crate) fn is_synced(&self) -> bool {
        let synced = *self.synced.borrow();
        synced.jobs && synced.pods
    }

    pub(crate) fn set_synced(&self, change: impl FnOnce(&mut Synced)) {
        self.synced.send_modify(change);
    }

    pub(crate) fn put_job(&self, job: JobView) {
        let mut runs = self.lock();
        let run = runs.entry(job.name.clone()).or_default();
        // A new Job of an old name begins anew.
        if run.job.as_ref().is_some_and(|old| old.uid != job.uid) {
            run.gone = false;
            run.cancelled = false;
        }
        run.job = Some(job);
        run.notify();
    }

    /// Adds a Job that we made, unless the watch was faster: whoever asks next must find it.
    pub(crate) fn add_job(&self, job: JobView) {
        let is_deleted = self.deleted().contains(&job.uid);
        let known = self
            .lock()
            .get(&job.name)
            .is_some_and(|run| run.job.as_ref().is_some_and(|old| old.uid == job.uid));
        if !is_deleted && !known {
            self.put_job(job);
        }
    }

    pub(crate) fn remove_job(&self, name: &str, last: Option<JobView>) {
        if let Some(last) = &last {
            let mut deleted = self.deleted();
            deleted.push_back(last.uid.clone());
            if deleted.len() > MOST_DELETED {
                deleted.pop_front();
            }
        }
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(name) else { return };
        if last.is_some() {
            run.job = last;
        }
        run.gone = true;
        run.notify();
        if run.is_needless() {
            runs.remove(name);
        }
    }

    pub(crate) fn put_pod(&self, pod: PodView) {
        let mut runs = self.lock();
        let run = runs.entry(pod.job.clone()).or_default();
        match run.pods.iter_mut().find(|known| known.uid == pod.uid) {
            Some(known) => *known = pod,
            None => run.pods.push(pod),
        }
        run.notify();
    }

    /// Takes a deleted pod off; its last state counts once more for those who follow.
    pub(crate) fn remove_pod(&self, pod: &PodView) {
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(&pod.job) else { return };
        run.pods.retain(|known| known.uid != pod.uid);
        // What a deleted pod becomes is told by its controller alone, which goes on from here.
        if !run.gone {
            run.lost = Some(PodView { deleting: true, ..pod.clone() });
        }
        run.notify();
        if run.is_needless() {
            runs.remove(&pod.job);
        }
    }

    /// After a list: whatever of the kind is not in it is gone.
    pub(crate) fn keep_jobs(&self, listed: &HashSet<String>) {
        let missing: Vec<_> = {
            let runs = self.lock();
            let known = runs.iter().filter(|(_, run)| run.job.is_some() && !run.gone);
            known.map(|(name, _)| name.clone()).filter(|name| !listed.contains(name)).collect()
        };
        for name in missing {
            self.remove_job(&name, None);
        }
    }

    pub(crate) fn keep_pods(&self, listed: &HashSet<String>) {
        let missing: Vec<_> = {
            let runs = self.lock();
            runs.values()
                .flat_map(|run| &run.pods)
                .filter(|pod| !listed.contains(&pod.uid))
                .cloned()
                .collect()
        };
        for pod in missing {
            self.remove_pod(&pod);
        }
    }

    /// Whether a caller of ours cancelled a run that somebody follows.
    pub(crate) fn is_cancelled(&self, job: &str) -> bool {
        self.lock().get(job).is_some_and(|run| run.cancelled)
    }

    /// Remembers that a caller of ours cancelled the run, to tell it from a deletion by others.
    pub(crate) fn mark_cancelled(&self, job: &str) {
        if let Some(run) = self.lock().get_mut(job) {
            run.cancelled = true;
            run.notify();
        }
    }

    pub(crate) fn status(&self, job: &str) -> Option<RunStatus> {
        self.lock().get(job)?.status()
    }

    pub(crate) fn pods(&self, job: &str) -> Vec<PodView> {
        self.lock().get(job).map(|run| run.pods.clone()).unwrap_or_default()
    }

    /// The Jobs that answer to an id, oldest first.
    pub(crate) fn jobs_of(&self, id: &WorkloadId) -> Vec<JobView> {
        let runs = self.lock();
        let answers = |job: &&JobView| job.run.workload == *id || job.aliases.contains(id);
        let present = runs.values().filter(|run| !run.gone).filter_map(|run| run.job.as_ref());
        let mut jobs: Vec<_> = present.filter(answers).cloned().collect();
        jobs.sort_by(|a, b| order(a).cmp(&order(b)));
        jobs
    }

    /// The runs that pass a filter, oldest first.
    pub(crate) fn list(&self, filter: &RunFilter) -> Vec<RunStatus> {
        let runs = self.lock();
        let mut present: Vec<_> = runs.values().filter(|run| !run.gone && run.job.is_some()).collect();
        present.sort_by(|a, b| a.job.as_ref().map(order).cmp(&b.job.as_ref().map(order)));
        let found = present.into_iter().filter_map(Run::status);
        found.filter(|status| passes(status, filter)).collect()
    }

    /// Hears of each change of a run, from now on.
    pub(crate) fn subscribe(&self, job: &str) -> watch::Receiver<()> {
        let mut runs = self.lock();
        let run = runs.entry(job.to_owned()).or_default();
        run.changed.get_or_insert_with(|| watch::channel(()).0).subscribe()
    }

    /// Forgets a run that nobody follows any more and that is gone.
    pub(crate) fn release(&self, job: &str) {
        let mut runs = self.lock();
        if runs.get(job).is_some_and(Run::is_needless) {
            runs.remove(job);
        }
    }

    fn deleted(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.deleted.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Run>> {
        // No code panics while it holds the lock, so what a poisoned one holds is whole.
        self.runs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

pub(crate) fn cancelled() -> Verdict {
    Verdict::new(Outcome::Cancelled, Reason::Cancelled, "the run was cancelled", "")
}

/// Oldest first: by the cluster's clock, and within its whole seconds by the submitters'.
pub(crate) fn order(job: &JobView) -> (Option<Timestamp>, Option<Timestamp>, &RunId) {
    (job.created, job.submitted, &job.run)
}

pub(crate) fn passes(status: &RunStatus, filter: &RunFilter) -> bool {
    let named = |id: &WorkloadId| status.run.workload == *id || status.aliases.contains(id);
    filter.workload.as_ref().is_none_or(named)
        && filter.kind.is_none_or(|kind| status.run.kind == kind)
        && (!filter.unfinished || !status.phase.is_terminal())
}
