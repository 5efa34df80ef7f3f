//! Builds of images: Jobs like those of runs, of a pod that somebody else describes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use serde_json::Value;
use tracing::instrument;
use wm_core::{
    Attempt, EnvironmentValue, Error, ErrorKind, Result, RunId, RunStatus, Verdict, WorkloadId, WorkloadKind,
};

use crate::{follow::not_found, manager, messages::Message, names, order::Order, shared::Shared};

/// Asks for a Job that builds an image.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// What the build is called: derived from all that it is made of, so that others who need the same ask for it too.
    pub id: WorkloadId,
    /// Which try at it.
    pub attempt: Attempt,
    /// The hash of all that it is made of: a Job of the same name with another one is a conflict.
    pub fingerprint: String,
    /// A `PodTemplateSpec` with a container `builder`. What all pods get by the settings is added: the service account
    /// unless it names one, node selector, tolerations, pull secrets.
    pub template: Value,
    /// Variables of the container whose values must not be in the Job.
    pub secrets: BTreeMap<String, EnvironmentValue>,
    /// How long the pod may run.
    pub timeout: Duration,
}

/// The builds of a namespace.
///
/// A build has a log like a workload has one, under its id. It is no workload's: nothing but to delete its own id
/// removes it before its time to live.
#[derive(Clone, Debug)]
pub struct Builds {
    shared: Arc<Shared>,
}

impl Builds {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Creates the Job, or finds the one that is there: `None` says that it was created, else where it was when it was
    /// found.
    ///
    /// Cancel safety: dropped at any point, the Job is there or not; ask again.
    ///
    /// # Errors
    /// `Conflict` when something else has the name; what the cluster refuses.
    #[instrument(skip_all, fields(build = %request.id, attempt = request.attempt.get()))]
    pub async fn submit(&self, request: &BuildRequest) -> Result<Option<RunStatus>> {
        let run = Self::run(&request.id, request.attempt);
        self.shared.submit_order(Order::Build(request), run).await
    }

    /// Waits until an attempt has ended; gives how, and what its container wrote into its termination log.
    ///
    /// Cancel safety: dropping the future stops the waiting, never the build.
    ///
    /// # Errors
    /// `NotFound` when there is no such attempt, or no longer.
    #[instrument(skip_all, fields(build = %id, attempt = attempt.get()))]
    pub async fn end(&self, id: &WorkloadId, attempt: Attempt) -> Result<(Verdict, Option<String>)> {
        let run = Self::run(id, attempt);
        let mut states = self.shared.watch(&run).await?;
        let mut end = None;
        while let Some(status) = states.try_next().await? {
            end = status.verdict;
        }
        let end = end.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the build could not be followed to its end; ask again")
                .with_context("build", run.to_string())
        })?;
        let pods = self.shared.ended_pods_of(&names::job(&run), &run).await?;
        let told = pods.iter().filter_map(|pod| pod.terminated()?.message.clone()).next_back();
        Ok((end, told))
    }

    /// Tells where an attempt is.
    ///
    /// # Errors
    /// `NotFound` when there is no such attempt, or no longer.
    pub async fn status(&self, id: &WorkloadId, attempt: Attempt) -> Result<RunStatus> {
        let run = Self::run(id, attempt);
        let status = self.shared.status_of(&run).await?;
        status.ok_or_else(|| not_found(&run, self.shared.api.namespace()))
    }

    /// Lets the log of an attempt be a part of a workload's log, in the place of a message. Twice is as once.
    ///
    /// # Errors
    /// What keeps it from being written.
    #[instrument(skip_all, fields(workload = %workload, build = %id, attempt = attempt.get()))]
    pub async fn include(&self, workload: &WorkloadId, id: &WorkloadId, attempt: Attempt) -> Result<()> {
        manager::write(&self.shared, workload, &[Message::of_build(id, attempt)]).await
    }

    /// Adds a message to a workload's log.
    ///
    /// # Errors
    /// What keeps it from being written.
    #[instrument(skip_all, fields(workload = %workload))]
    pub async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()> {
        manager::write(&self.shared, workload, &Message::lines(message)).await
    }

    fn run(id: &WorkloadId, attempt: Attempt) -> RunId {
        RunId { workload: id.clone(), kind: WorkloadKind::Build, attempt }
    }
}
