//! All runs, found by the name of their Job or by an id of their workload.

use std::{collections::HashMap, sync::Arc};

use wm_core::WorkloadId;

use super::run::Run;
use crate::view::JobView;

/// Invariant: a Job is listed under each of its ids, and nowhere else.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Boxed, since a table has room for twice as many as it holds.
    by_job: HashMap<Arc<str>, Box<Run>>,
    /// With thousands of runs, asking all of them at each submission would cost more than the submission.
    jobs_of: HashMap<WorkloadId, Vec<Arc<str>>>,
}

impl Runs {
    pub(super) fn get(&self, job: &str) -> Option<&Run> {
        self.by_job.get(job).map(Box::as_ref)
    }

    /// For whatever leaves its Job as it is; [`put_job`](Self::put_job) changes that.
    pub(super) fn get_mut(&mut self, job: &str) -> Option<&mut Run> {
        self.by_job.get_mut(job).map(Box::as_mut)
    }

    pub(super) fn entry(&mut self, job: &str) -> &mut Run {
        self.entry_of(job).1
    }

    /// The run with the one copy of the name that all who keep it share.
    pub(super) fn entry_of(&mut self, job: &str) -> (Arc<str>, &mut Run) {
        let name = self.shared(job);
        let run = self.by_job.entry(Arc::clone(&name)).or_default();
        (name, run)
    }

    fn shared(&self, job: &str) -> Arc<str> {
        self.by_job.get_key_value(job).map_or_else(|| job.into(), |(name, _)| Arc::clone(name))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Run)> {
        self.by_job.iter().map(|(job, run)| (job, run.as_ref()))
    }

    /// The runs that have, or had, a Job that answers to an id.
    pub(super) fn of<'a>(&'a self, id: &WorkloadId) -> impl Iterator<Item = &'a Run> {
        self.jobs_of.get(id).into_iter().flatten().filter_map(|job| self.get(job))
    }

    /// Sets what is known of a Job; gives its run.
    pub(super) fn put_job(&mut self, mut job: JobView) -> &mut Run {
        let name = self.shared(&job.name);
        job.name = Arc::clone(&name);
        let same_ids = self
            .by_job
            .get(&name)
            .and_then(|run| run.job.as_ref())
            .is_some_and(|old| old.run.workload == job.run.workload && old.aliases == job.aliases);
        if !same_ids {
            self.forget_ids(&name);
            for id in ids(&job) {
                let jobs = self.jobs_of.entry(id.clone()).or_default();
                // Nearly all workloads have one Job, and a vector that grows makes room for four.
                jobs.reserve_exact(1);
                jobs.push(Arc::clone(&name));
            }
        }
        let run = self.by_job.entry(name).or_default();
        run.job = Some(job);
        run
    }

    pub(super) fn remove(&mut self, job: &str) {
        self.forget_ids(job);
        self.by_job.remove(job);
    }

    fn forget_ids(&mut self, name: &str) {
        let Some(job) = self.by_job.get(name).and_then(|run| run.job.as_ref()) else { return };
        for id in ids(job) {
            let Some(jobs) = self.jobs_of.get_mut(id) else { continue };
            jobs.retain(|job| **job != *name);
            if jobs.is_empty() {
                self.jobs_of.remove(id);
            }
        }
    }
}

fn ids(job: &JobView) -> impl Iterator<Item = &WorkloadId> {
    job.aliases.iter().chain([&job.run.workload])
}
