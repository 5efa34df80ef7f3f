//! What the shared watches have seen of all runs: the one place that followers look at.

mod changes;
mod run;
mod runs;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use wm_core::{RunFilter, RunId, RunStatus, WorkloadId, WorkloadKind};

pub(crate) use self::{
    changes::Changes,
    run::{RunView, Snapshot, cancelled},
};
use self::{run::Run, runs::Runs};
use crate::{
    event::EventView,
    record::Ended,
    view::{JobView, PodView},
};

/// How many deleted Jobs are remembered: more than can be deleted between a POST and its answer.
const MOST_DELETED: usize = 1024;

/// Of one run so many reports are kept, the last ones.
const MOST_EVENTS: usize = 20;

/// All runs, by the name of their Job.
#[derive(Debug, Default)]
pub(crate) struct Board {
    runs: Mutex<Runs>,
    /// The UIDs of the Jobs that were deleted last, so that none of them comes back by an answer that was late.
    deleted: Mutex<VecDeque<String>>,
    synced: watch::Sender<Synced>,
    /// The runs in our care that have changed.
    stirred: Mutex<BTreeSet<Arc<str>>>,
    stirs: Notify,
}

/// Which kinds have been listed once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) jobs: bool,
    pub(crate) pods: bool,
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
        let known = runs.get(&job.name);
        // Most changes of a Job are in fields that nobody here reads.
        if known.is_some_and(|run| !run.gone && run.job.as_ref() == Some(&job)) {
            return;
        }
        let old = known.and_then(|run| run.job.as_ref());
        let is_another = old.is_some_and(|old| old.uid != job.uid);
        let name = Arc::clone(&job.name);
        let run = runs.put_job(job);
        // A new Job of an old name begins anew.
        if is_another {
            run.gone = false;
            run.cancelled = false;
            run.ended = None;
            run.events = None;
        }
        run.notify();
        self.stir(run, &name);
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
        if let Some(last) = last
            && runs.get(name).is_some()
        {
            runs.put_job(last);
        }
        let Some(run) = runs.get_mut(name) else { return };
        run.gone = true;
        run.notify();
        self.stir(run, name);
        if run.is_needless() {
            runs.remove(name);
        }
    }

    pub(crate) fn put_pod(&self, mut pod: PodView) {
        let mut runs = self.lock();
        let (name, run) = runs.entry_of(&pod.job);
        pod.job = Arc::clone(&name);
        match run.pods.iter_mut().find(|known| known.uid == pod.uid) {
            Some(known) if *known == pod => return,
            Some(known) => *known = pod,
            None => {
                // Nearly all runs have one pod, and a vector that grows makes room for four.
                run.pods.reserve_exact(1);
                run.pods.push(pod);
            }
        }
        run.notify();
        self.stir(run, &name);
    }

    /// Adds what the cluster reported about a run that is there.
    pub(crate) fn add_events(&self, job: &str, events: Vec<EventView>) {
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(job) else { return };
        let known = run.events.get_or_insert_default();
        let before = known.len();
        for event in events {
            if !known.contains(&event) {
                known.push(event);
            }
        }
        if known.len() > before {
            known.drain(..known.len().saturating_sub(MOST_EVENTS));
            run.notify();
            self.stir(run, job);
        }
    }

    /// Takes a deleted pod off; its last state counts once more for those who follow.
    pub(crate) fn remove_pod(&self, pod: &PodView) {
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(&pod.job) else { return };
        run.pods.retain(|known| known.uid != pod.uid);
        // What a deleted pod becomes is told by its controller alone, which goes on from here.
        if !run.gone {
            run.lost = Some(Box::new(PodView { deleting: true, ..pod.clone() }));
        }
        run.notify();
        self.stir(run, &pod.job);
        if run.is_needless() {
            runs.remove(&pod.job);
        }
    }

    /// The Jobs that are known and not in a list.
    pub(crate) fn jobs_beside(&self, listed: &HashSet<Arc<str>>) -> Vec<Arc<str>> {
        let runs = self.lock();
        let known = runs.iter().filter(|(_, run)| run.job.is_some() && !run.gone);
        known.map(|(name, _)| Arc::clone(name)).filter(|name| !listed.contains(name)).collect()
    }

    /// After a list: the pods that are not in it are gone.
    pub(crate) fn keep_pods(&self, listed: &HashSet<String>) {
        let missing: Vec<_> = {
            let runs = self.lock();
            runs.iter()
                .flat_map(|(_, run)| &run.pods)
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

    /// Remembers why we ended a run, where its Job can't hold that.
    pub(crate) fn mark_ended(&self, job: &str, ended: Ended) {
        if let Some(run) = self.lock().get_mut(job) {
            run.ended = Some(Box::new(ended));
            run.notify();
        }
    }

    /// Why we ended a run, where its Job could not hold that.
    pub(crate) fn ended(&self, job: &str) -> Option<Ended> {
        self.lock().get(job)?.ended.as_deref().cloned()
    }

    /// Takes a run into our care: from now on its changes are told by [`stirred`](Self::stirred).
    pub(crate) fn care_for(&self, job: &str) {
        let mut runs = self.lock();
        let run = runs.entry(job);
        if !std::mem::replace(&mut run.cared_for, true) {
            self.stir(run, job);
        }
    }

    /// Waits until runs in our care have changed; gives their names.
    pub(crate) async fn stirred(&self) -> BTreeSet<Arc<str>> {
        loop {
            let stirs = self.stirs.notified();
            let names =
                std::mem::take(&mut *self.stirred.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            if !names.is_empty() {
                return names;
            }
            stirs.await;
        }
    }

    fn stir(&self, run: &Run, job: &str) {
        if run.cared_for {
            let name = run.job.as_ref().map_or_else(|| job.into(), |job| Arc::clone(&job.name));
            self.stirred.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name);
            self.stirs.notify_one();
        }
    }

    /// Looks at all that is known of a run that is there; nobody else does meanwhile.
    pub(crate) fn look<T>(&self, job: &str, look: impl FnOnce(RunView<'_>) -> T) -> Option<T> {
        self.lock().get(job)?.view().map(look)
    }

    /// The Jobs of the runs in our care, by their UIDs.
    pub(crate) fn cared_for(&self) -> HashMap<String, Arc<str>> {
        let runs = self.lock();
        let cared = runs.iter().filter(|(_, run)| run.cared_for && !run.gone);
        cared.filter_map(|(name, run)| Some((run.job.as_ref()?.uid.clone(), Arc::clone(name)))).collect()
    }

    pub(crate) fn status(&self, job: &str) -> Option<RunStatus> {
        self.lock().get(job)?.status()
    }

    pub(crate) fn job(&self, name: &str) -> Option<JobView> {
        self.lock().get(name)?.job.clone()
    }

    pub(crate) fn pods(&self, job: &str) -> Vec<PodView> {
        self.lock().get(job).map(|run| run.pods.clone()).unwrap_or_default()
    }

    /// The Jobs that answer to an id, oldest first.
    pub(crate) fn jobs_of(&self, id: &WorkloadId) -> Vec<JobView> {
        let runs = self.lock();
        let present = runs.of(id).filter(|run| !run.gone);
        let mut jobs: Vec<_> = present.filter_map(|run| run.job.clone()).collect();
        jobs.sort_by(|a, b| order(a).cmp(&order(b)));
        jobs
    }

    /// The runs that pass a filter, oldest first.
    pub(crate) fn list(&self, filter: &RunFilter) -> Vec<RunStatus> {
        let runs = self.lock();
        let asked: Vec<_> = match &filter.workload {
            Some(id) => runs.of(id).collect(),
            None => runs.iter().map(|(_, run)| run).collect(),
        };
        let mut present: Vec<_> = asked.into_iter().filter(|run| !run.gone && run.job.is_some()).collect();
        present.sort_by(|a, b| a.job.as_ref().map(order).cmp(&b.job.as_ref().map(order)));
        let found = present.into_iter().filter_map(Run::status);
        found.filter(|status| passes(status, filter)).collect()
    }

    /// Hears of each change of a run, from now on.
    pub(crate) fn subscribe(&self, job: &str) -> Changes {
        let mut runs = self.lock();
        let run = runs.entry(job);
        run.changed.get_or_insert_default().subscribe()
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Runs> {
        // No code panics while it holds the lock, so what a poisoned one holds is whole.
        self.runs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// When an attempt was asked for, as exactly as that is known.
pub(crate) fn begun(job: &JobView) -> Option<Timestamp> {
    job.submitted.or(job.created)
}

/// Oldest first: by the cluster's clock, and within its whole seconds by the submitters'.
pub(crate) fn order(job: &JobView) -> (Option<Timestamp>, Option<Timestamp>, &RunId) {
    (job.created, job.submitted, &job.run)
}

pub(crate) fn passes(status: &RunStatus, filter: &RunFilter) -> bool {
    // A list of all is one of what the server's users have.
    let is_asked_for = |kind| kind != WorkloadKind::Build || filter.workload.is_some();
    let named = |id: &WorkloadId| status.run.workload == *id || status.aliases.contains(id);
    filter.workload.as_ref().is_none_or(named)
        && filter.kind.map_or_else(|| is_asked_for(status.run.kind), |kind| status.run.kind == kind)
        && (!filter.unfinished || !status.phase.is_terminal())
}
