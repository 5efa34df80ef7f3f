//! Which runs there are, and whose log is whose.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinSet;
use wm_core::{
    Attempt, AttemptRequest, Error, ErrorKind, Result, RunFilter, RunId, RunRequest, RunStatus, Submission,
    Workload, WorkloadId,
};

use super::{
    factory::Options,
    log::Log,
    process::{self, Launch},
    run::Run,
};

/// All that the backend knows. It is read and changed under a lock that no `await` is held over.
#[derive(Default)]
pub(super) struct Board {
    /// Oldest first.
    runs: Vec<Arc<Run>>,
    /// By the workload's own id; by another one only until a run tells whose alias it is.
    logs: BTreeMap<WorkloadId, Arc<Log>>,
    /// One per process: dropped with the board, they take their processes with them.
    tasks: JoinSet<()>,
}

impl Board {
    /// Starts a run or adopts the one that is there already.
    pub(super) fn submit(&mut self, request: &RunRequest, options: &Options) -> Result<Submission> {
        let workload = &request.workload;
        let fingerprint = workload.fingerprint();
        let mut attempts = self.runs.iter().filter(|run| run.id.workload == *workload.id());
        let attempt = match workload.attempt() {
            AttemptRequest::Exactly(attempt) => match attempts.find(|run| run.id.attempt == attempt) {
                Some(run) => return run.adopt(&fingerprint),
                None => attempt,
            },
            AttemptRequest::Next => {
                if let Some(run) = attempts.clone().find(|run| !run.has_ended()) {
                    return run.adopt(&fingerprint);
                }
                attempts.map(|run| run.id.attempt).max().map_or(Attempt::FIRST, Attempt::next)
            }
        };
        let id = RunId { workload: workload.id().clone(), kind: workload.kind(), attempt };
        let log = self.log_of(workload);
        request.messages.iter().for_each(|message| log.say(message));
        let run = Arc::new(Run::new(id.clone(), fingerprint, request, log));
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(process::live(Arc::clone(&run), Launch::new(workload, options)));
        self.runs.push(run);
        Ok(Submission::new(id, false))
    }

    pub(super) fn run(&self, id: &RunId) -> Result<Arc<Run>> {
        let found = self.runs.iter().find(|run| run.id == *id).map(Arc::clone);
        found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "there is no such run: it was never submitted, or it was deleted")
                .with_context("run", id.to_string())
        })
    }

    pub(super) fn list(&self, filter: &RunFilter) -> Vec<RunStatus> {
        let owner = filter.workload.as_ref().map(|id| self.owner(id));
        let passes = |run: &&Arc<Run>| {
            owner.is_none_or(|owner| run.id.workload == *owner)
                && filter.kind.is_none_or(|kind| run.id.kind == kind)
                && !(filter.unfinished && run.has_ended())
        };
        self.runs.iter().filter(passes).map(|run| run.status()).collect()
    }

    /// The log of a workload of which something is known.
    pub(super) fn log(&self, id: &WorkloadId) -> Result<Arc<Log>> {
        self.logs.get(self.owner(id)).map(Arc::clone).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "nothing is known of this workload")
                .with_context("workload", id.as_str())
        })
    }

    /// The log of a workload, whether or not anything is known of it.
    pub(super) fn log_to_write(&mut self, id: &WorkloadId) -> Arc<Log> {
        let owner = self.owner(id).clone();
        Arc::clone(self.logs.entry(owner).or_default())
    }

    /// Takes a workload off the board, and returns the runs that it had.
    pub(super) fn forget(&mut self, id: &WorkloadId) -> Vec<Arc<Run>> {
        let owner = self.owner(id).clone();
        self.logs.remove(&owner);
        self.runs.extract_if(.., |run| run.id.workload == owner).collect()
    }

    /// The workload that an id stands for: its own, else the latest that has it as an alias.
    fn owner<'a>(&'a self, id: &'a WorkloadId) -> &'a WorkloadId {
        let is_own = self.runs.iter().any(|run| run.id.workload == *id);
        let by_alias = || self.runs.iter().rev().find(|run| run.aliases.contains(id));
        if is_own { id } else { by_alias().map_or(id, |run| &run.id.workload) }
    }

    /// The log for a new run, with what was written under an alias before anything told whose it is.
    fn log_of(&mut self, workload: &Workload) -> Arc<Log> {
        for alias in workload.aliases() {
            if self.owner(alias) == alias
                && !self.runs.iter().any(|run| run.id.workload == *alias)
                && let Some(early) = self.logs.remove(alias)
            {
                self.logs.entry(workload.id().clone()).or_default().take_from(&early);
            }
        }
        Arc::clone(self.logs.entry(workload.id().clone()).or_default())
    }
}
