//! What all operations of a manager share.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock},
};

use tokio::{
    sync::{OnceCell, Semaphore},
    task::JoinSet,
};
use wm_core::{Attempt, Result, RunId, RunStatus, WorkloadId, WorkloadKind};

use crate::{
    api::{Api, CALLS_AT_ONCE},
    board::{self, Board, Snapshot},
    clocks::Limits,
    error::CallError,
    messages::Message,
    names,
    order::Order,
    rights::Rights,
    security::Restriction,
    settings::{KubernetesSettings, PodSecurity},
    status::status,
    steward::Steward,
    unplaced::Unplaced,
    view::{JobObject, JobView, PodView},
    watch,
};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) api: Api,
    pub(crate) settings: KubernetesSettings,
    pub(crate) rights: Rights,
    pub(crate) board: Arc<Board>,
    watches: OnceLock<Watches>,
    restriction: OnceCell<Restriction>,
    pub(crate) unplaced: Arc<Unplaced>,
    pub(crate) steward: Steward,
    /// The right to build a Job and send it.
    pub(crate) turns: Semaphore,
}

/// The tasks of the watches, which end with the manager.
#[derive(Debug)]
struct Watches {
    _tasks: Mutex<JoinSet<()>>,
}

impl Shared {
    pub(crate) fn new(api: Api, settings: KubernetesSettings, rights: Rights) -> Self {
        let (board, unplaced) = (Arc::default(), Arc::default());
        let steward = Steward::new(&api, &board, rights, Limits::new(&settings), &unplaced);
        Self {
            api,
            settings,
            rights,
            board,
            watches: OnceLock::new(),
            restriction: OnceCell::new(),
            unplaced,
            steward,
            turns: Semaphore::new(CALLS_AT_ONCE),
        }
    }

    /// Starts the shared watches if they don't run, and waits for their first lists. False where the role has no list.
    pub(crate) async fn follow(&self) -> bool {
        if !self.rights.list_jobs {
            return false;
        }
        self.watches.get_or_init(|| {
            let mut tasks = watch::start(&self.api, &self.board, self.rights.watch);
            tasks.spawn(self.steward.clone().attend());
            Watches { _tasks: Mutex::new(tasks) }
        });
        self.board.synced().await;
        true
    }

    /// Whether the board can be asked instead of the cluster.
    pub(crate) fn follows(&self) -> bool {
        self.board.is_synced()
    }

    /// The container's restriction: asks once for the namespace's level where that decides.
    pub(crate) async fn restriction(&self) -> Restriction {
        *self
            .restriction
            .get_or_init(|| async {
                let ask = self.settings.pod_security == PodSecurity::Auto && self.rights.get_namespace;
                let namespace = if ask { self.api.namespace_object().await.ok() } else { None };
                let level = namespace.as_ref().and_then(|namespace| {
                    namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].as_str()
                });
                Restriction::of(self.settings.pod_security, level == Some("restricted"))
            })
            .await
    }

    /// The Jobs that answer to an id, oldest first, as far as the watch has seen them: no request while it runs.
    pub(crate) async fn known_jobs_of(&self, id: &WorkloadId) -> Result<Vec<JobView>> {
        if self.follows() { Ok(self.board.jobs_of(id)) } else { Box::pin(self.jobs_of(id)).await }
    }

    /// The Jobs that answer to an id, oldest first. The cluster is asked before the answer is none, since another
    /// manager may have made one a moment ago.
    pub(crate) async fn jobs_of(&self, id: &WorkloadId) -> Result<Vec<JobView>> {
        let known = if self.follows() { self.board.jobs_of(id) } else { Vec::new() };
        if !known.is_empty() {
            return Ok(known);
        }
        let selector = format!("{},{}", names::OURS, names::answers_to(id));
        let jobs = if self.rights.list_jobs {
            self.api.jobs_with(&selector).await
        } else {
            self.jobs_by_pods(id, &selector).await
        };
        let jobs =
            jobs.map_err(|error| error.into_error("the runs could not be listed", self.api.namespace()))?;
        let mut jobs: Vec<_> = jobs.iter().filter_map(JobView::new).collect();
        jobs.sort_by(|a, b| board::order(a).cmp(&board::order(b)));
        Ok(jobs)
    }

    /// The same for a role that may list Pods alone: their labels name their Jobs.
    async fn jobs_by_pods(&self, id: &WorkloadId, by_alias: &str) -> Result<Vec<JobObject>, CallError> {
        let by_id = format!("{},{}={id}", names::OURS, names::ID);
        // The first attempt may have no pod yet.
        let kind = WorkloadKind::Run;
        let first = RunId { workload: id.clone(), kind, attempt: Attempt::FIRST };
        let mut jobs: BTreeSet<Arc<str>> = BTreeSet::from([names::job(&first).into()]);
        for selector in [&by_id, by_alias] {
            let pods = self.api.pods_with(selector).await?;
            jobs.extend(pods.iter().filter_map(PodView::new).map(|pod| pod.job));
        }
        let mut found = Vec::new();
        for job in jobs {
            match self.api.job(&job).await {
                Ok(job) => found.push(job),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The Job of a run; the cluster is asked before the answer is none.
    pub(crate) async fn job_of(&self, run: &RunId) -> Result<Option<JobView>> {
        let name = names::job(run);
        if self.follows()
            && let Some(job) = self.board.job(&name)
        {
            return Ok(Some(job).filter(|job| job.run == *run));
        }
        match self.api.job::<JobObject>(&name).await {
            Ok(job) => Ok(JobView::new(&job).filter(|job| job.run == *run)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into_error("the Job could not be read", self.api.namespace())),
        }
    }

    /// The Pods of a Job.
    pub(crate) async fn pods_of(&self, job: &str, run: &RunId) -> Result<Vec<PodView>> {
        if self.follows() {
            return Ok(self.board.pods(job));
        }
        self.listed_pods_of(run).await
    }

    /// The Pods of a Job that has ended, of which one must have too: the watch on Pods may be behind the one on Jobs.
    pub(crate) async fn ended_pods_of(&self, job: &str, run: &RunId) -> Result<Vec<PodView>> {
        let known = self.pods_of(job, run).await?;
        if !self.follows() || known.iter().any(PodView::has_ended) {
            return Ok(known);
        }
        self.listed_pods_of(run).await
    }

    async fn listed_pods_of(&self, run: &RunId) -> Result<Vec<PodView>> {
        let pods = self.api.pods_with(&names::one_attempt(run)).await;
        let pods =
            pods.map_err(|error| error.into_error("the pods could not be listed", self.api.namespace()))?;
        Ok(pods.iter().filter_map(PodView::new).collect())
    }

    /// Where a run is now, from the board or the cluster; `None` when it is gone.
    pub(crate) async fn status_of(&self, run: &RunId) -> Result<Option<RunStatus>> {
        let name = names::job(run);
        if self.follows()
            && let Some(status) = self.board.status(&name)
        {
            // The name does not tell the kind.
            return Ok(Some(status).filter(|status| status.run == *run));
        }
        let found = self.snapshot_of(run).await?;
        Ok(found.map(|run| status(&run.job, &run.pods, &run.events)))
    }

    /// What the cluster knows of a run; `None` when it is gone.
    pub(crate) async fn snapshot_of(&self, run: &RunId) -> Result<Option<Snapshot>> {
        let name = names::job(run);
        let job: JobObject = match self.api.job(&name).await {
            Ok(job) => job,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => {
                return Err(error
                    .into_error("the run's state could not be read", self.api.namespace())
                    .with_context("job", name));
            }
        };
        let Some(job) = JobView::new(&job).filter(|job| job.run == *run) else { return Ok(None) };
        let pods = self.pods_of(&name, run).await?;
        Ok(Some(Snapshot { job, pods, events: Vec::new() }))
    }

    /// Looks again why a run failed that its Job alone tells of: its pod may have ended in another way, or got further,
    /// than the watch has told yet.
    pub(crate) async fn confirmed(&self, told: RunStatus) -> RunStatus {
        let Some(verdict) = &told.verdict else { return told };
        if verdict.is_success() || verdict.evidence.exit_code.is_some() || !self.follows() {
            return told;
        }
        let name = names::job(&told.run);
        let Some(job) = self.board.job(&name).filter(JobView::is_finished) else { return told };
        match self.ended_pods_of(&name, &told.run).await {
            Ok(pods) if pods.iter().any(PodView::has_ended) => status(&job, &pods, &[]),
            _ => told,
        }
    }

    /// The messages that the first Job of a workload is to hold, under each of its ids.
    pub(crate) fn unplaced_of(&self, order: Order<'_>) -> Vec<(WorkloadId, Vec<Message>)> {
        order.ids().map(|id| (id.clone(), self.unplaced.of(id))).collect()
    }

    /// Forgets the messages that a Job holds now.
    pub(crate) fn placed(&self, messages: &[(WorkloadId, Vec<Message>)]) {
        for (id, messages) in messages {
            self.unplaced.forget(id, messages.len());
        }
    }

    /// Forgets the messages that nothing but this manager's memory holds, under all ids of a workload.
    pub(crate) async fn forget_messages(&self, id: &WorkloadId) -> Result<()> {
        if self.unplaced.is_empty() {
            return Ok(());
        }
        let jobs = self.jobs_of(id).await?;
        let own = jobs.iter().flat_map(|job| job.aliases.iter().chain([&job.run.workload]));
        for id in own.chain([id]) {
            self.unplaced.forget(id, usize::MAX);
        }
        Ok(())
    }
}
