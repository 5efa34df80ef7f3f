//! The controllers: what a real cluster's controller manager does for Jobs and what they own.

mod garbage;
mod job;
mod namespace;
mod queue;
mod ttl;

use std::time::Duration;

use tokio::task::JoinSet;

use self::job::JobController;
pub(crate) use self::job::{admit_pod, request_limits};
use crate::{
    clock::Clock,
    faults::Faults,
    policy::{self, Policy},
    recorder::Recorder,
    store::Store,
};

/// How fast the controllers are. The defaults are those of a real cluster, but for the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControllerOptions {
    /// How long changes of a Job's pods are gathered before the Job is looked at. A real cluster takes 1 s.
    pub(crate) job_sync_delay: Duration,
    /// How long a Job waits after its first failed pod; doubled with each further one.
    pub(crate) job_backoff: Duration,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self { job_sync_delay: Duration::from_millis(100), job_backoff: Duration::from_secs(10) }
    }
}

/// The running controllers. They stop when it is dropped.
#[derive(Debug)]
pub(crate) struct Controllers {
    policy: Policy,
    _tasks: JoinSet<()>,
}

impl Controllers {
    pub(crate) fn start(
        store: &Store,
        recorder: &Recorder,
        clock: &Clock,
        options: ControllerOptions,
        faults: &Faults,
    ) -> Self {
        let policy = Policy::new(store.clone());
        let mut tasks = JoinSet::new();
        let jobs = JobController::new(
            store.clone(),
            recorder.clone(),
            clock.clone(),
            options,
            faults.clone(),
            policy.clone(),
        );
        tasks.spawn(jobs.run());
        tasks.spawn(garbage::run(store.clone()));
        tasks.spawn(policy::count_quotas(store.clone()));
        tasks.spawn(namespace::run(store.clone()));
        tasks.spawn(ttl::run(store.clone(), clock.clone()));
        tasks.spawn(recorder.clone().expire());
        Self { policy, _tasks: tasks }
    }

    /// What namespaces allow, which whoever creates objects asks.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }
}
