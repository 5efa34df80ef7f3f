use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use futures::future::join_all;
use kube::{Client, api::PropagationPolicy};
use serde_json::{Value, json};
use tracing::instrument;
use wm_core::{
    Attempt, AttemptRequest, Capabilities, Error, ErrorKind, ImageRequest, ImageStrategy, LogQuery,
    LogStream, Report, ResolvedImage, Result, RunFilter, RunId, RunRequest, RunStatus, StatusStream,
    Submission, WorkloadId, WorkloadManager,
};

use crate::{
    api::Api,
    board,
    builds::Builds,
    follow::not_found,
    manifest::{self, SecretMode},
    messages::Message,
    metrics, names,
    order::Order,
    reader, record,
    rights::Rights,
    security::Restriction,
    settings::{KubernetesSettings, PodSecurity},
    shared::Shared,
    view::{JobObject, JobView},
};

/// Runs workloads as Jobs of one namespace of a Kubernetes cluster.
///
/// All runs are followed by one watch on Jobs and one on Pods, which end with the manager and its streams.
#[derive(Clone)]
pub struct KubernetesWorkloadManager {
    shared: Arc<Shared>,
    images: Arc<dyn ImageStrategy>,
    companion: Option<Arc<dyn Any + Send + Sync>>,
}

impl KubernetesWorkloadManager {
    /// Makes a manager on a cluster; asks it once which rights there are.
    ///
    /// # Errors
    /// `InvalidConfig` when the settings break a rule of the API.
    pub async fn new(
        client: Client,
        settings: KubernetesSettings,
        images: Arc<dyn ImageStrategy>,
    ) -> Result<Self> {
        settings.check()?;
        let api = Api::new(client, &settings.namespace);
        let rights = Rights::ask(&api).await;
        Ok(Self { shared: Arc::new(Shared::new(api, settings, rights)), images, companion: None })
    }

    /// Keeps something alive as long as the manager, for example the cluster that it runs on.
    #[must_use]
    pub fn keeping(mut self, companion: impl Any + Send + Sync) -> Self {
        self.companion = Some(Arc::new(companion));
        self
    }

    /// The builds of images in the same namespace, followed by the same watches.
    pub fn builds(&self) -> Builds {
        Builds::new(Arc::clone(&self.shared))
    }

    /// The same manager with another way to find images, for one that builds them with [`builds`](Self::builds).
    #[must_use]
    pub fn with_images(mut self, images: Arc<dyn ImageStrategy>) -> Self {
        self.images = images;
        self
    }
}

/// Adds messages to a workload's log: to its last Job, or to this manager's memory until there is one.
pub(crate) async fn write(shared: &Shared, workload: &WorkloadId, messages: &[Message]) -> Result<()> {
    if shared.rights.patch_jobs && shared.rights.list_jobs {
        shared.follow().await;
        if let Some(job) = shared.known_jobs_of(workload).await?.last() {
            metrics::messages("job", messages.len());
            return Box::pin(annotate(&shared.api, job, messages)).await;
        }
    }
    metrics::messages("memory", messages.len());
    shared.unplaced.keep(workload, messages.to_vec());
    Ok(())
}

async fn annotate(api: &Api, job: &JobView, new: &[Message]) -> Result<()> {
    let add = |object: &JobObject| {
        let all = record::with_messages(object, new);
        Some(json!({ "metadata": { "annotations": { names::MESSAGES: all } } }))
    };
    match record::amend(api, &job.name, add).await {
        Ok(_) => Ok(()),
        Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 409) => {
            let message = "the message could not be kept: the Job changes all the time";
            Err(Error::new(ErrorKind::Unavailable, message).with_context("job", &*job.name))
        }
        Err(error) => Err(error.into_error("the message could not be kept", api.namespace())),
    }
}

impl fmt::Debug for KubernetesWorkloadManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesWorkloadManager")
            .field("namespace", &self.shared.api.namespace())
            .field("images", &self.images)
            .field("keeps_a_companion", &self.companion.is_some())
            .finish_non_exhaustive()
    }
}

/// Builds the objects that a run would be submitted as, without a cluster. Secret values are left out.
///
/// # Errors
/// As [`KubernetesWorkloadManager`] would give for the run.
pub fn render(request: &RunRequest, settings: &KubernetesSettings) -> Result<Vec<Value>> {
    settings.check()?;
    let attempt = match request.workload.attempt() {
        AttemptRequest::Exactly(attempt) => attempt,
        AttemptRequest::Next => Attempt::FIRST,
    };
    let run = RunId { workload: request.workload.id().clone(), kind: request.workload.kind(), attempt };
    let restriction =
        Restriction::of(settings.pod_security, settings.pod_security == PodSecurity::Restricted);
    let manifests = manifest::job(request, &run, settings, restriction, SecretMode::Reference, &[], None)?;
    let mut objects = vec![manifests.job];
    if manifests.has_secret {
        let mut secret =
            manifest::secret(Order::Run(request), &run, &settings.namespace, "(the uid of the Job)");
        if let Some(values) = secret["stringData"].as_object_mut() {
            values.values_mut().for_each(|value| *value = json!("(secret)"));
        }
        objects.push(secret);
    }
    Ok(objects)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl WorkloadManager for KubernetesWorkloadManager {
    fn capabilities(&self) -> Capabilities {
        let rights = &self.shared.rights;
        Capabilities {
            hold_runs: rights.patch_jobs,
            watch: rights.watch,
            keep_secrets: rights.create_secrets,
            cancel: rights.delete_job || rights.delete_jobs,
            follow_logs: true,
            resume_logs: true,
            build_images: self.images.capabilities().build_images,
        }
    }

    #[instrument(skip_all, fields(namespace = self.shared.api.namespace()))]
    async fn preflight(&self) -> Result<Report> {
        let report = self.shared.preflight(self.images.as_ref()).await?;
        metrics::preflight(&report);
        Ok(report)
    }

    async fn resolve_image(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        self.images.resolve(request).await
    }

    #[instrument(skip_all, fields(workload = %request.workload.id()))]
    async fn submit(&self, request: &RunRequest) -> Result<Submission> {
        self.shared.submit(request).await
    }

    #[instrument(skip_all, fields(workload = %run.workload, attempt = run.attempt.get()))]
    async fn release(&self, run: &RunId) -> Result<()> {
        let api = &self.shared.api;
        let name = names::job(run);
        // The name does not tell the kind.
        if self.shared.status_of(run).await?.is_none() {
            return Err(not_found(run, api.namespace()));
        }
        let patch = json!({ "spec": { "suspend": false } });
        match api.patch_job::<JobObject>(&name, &patch).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Err(not_found(run, api.namespace())),
            Err(error) => Err(error.into_error("the held run could not be started", api.namespace())),
        }
    }

    #[instrument(skip_all, fields(workload = %run.workload, attempt = run.attempt.get()))]
    async fn status(&self, run: &RunId) -> Result<RunStatus> {
        let status = self.shared.status_of(run).await?;
        let status = status.ok_or_else(|| not_found(run, self.shared.api.namespace()))?;
        Ok(self.shared.with_evidence(status).await)
    }

    #[instrument(skip_all, fields(workload = %run.workload, attempt = run.attempt.get()))]
    async fn watch(&self, run: &RunId) -> Result<StatusStream> {
        self.shared.watch(run).await
    }

    #[instrument(skip_all)]
    async fn list(&self, filter: &RunFilter) -> Result<Vec<RunStatus>> {
        if self.shared.follows() {
            let told = self.shared.board.list(filter).into_iter();
            return Ok(join_all(told.map(|status| self.shared.confirmed(status))).await);
        }
        let api = &self.shared.api;
        let refuse = |error: crate::error::CallError| {
            error.into_error("the runs could not be listed", api.namespace())
        };
        let mut selector = names::OURS.to_owned();
        if let Some(id) = &filter.workload {
            selector = format!("{selector},{}", names::answers_to(id));
        }
        let jobs = api.jobs_with(&selector).await.map_err(refuse)?;
        let pods = api.pods_with(names::OURS).await.map_err(refuse)?;
        let board = board::Board::default();
        jobs.iter().filter_map(JobView::new).for_each(|job| board.put_job(job));
        pods.iter().filter_map(crate::view::PodView::new).for_each(|pod| board.put_pod(pod));
        Ok(board.list(filter))
    }

    #[instrument(skip_all, fields(workload = %workload))]
    async fn logs(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        reader::open(Arc::clone(&self.shared), workload.clone(), query.clone()).await
    }

    #[instrument(skip_all, fields(workload = %workload))]
    async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()> {
        write(&self.shared, workload, &Message::lines(message)).await
    }

    #[instrument(skip_all, fields(workload = %run.workload, attempt = run.attempt.get()))]
    async fn cancel(&self, run: &RunId) -> Result<()> {
        let api = &self.shared.api;
        let name = names::job(run);
        let job: JobObject = match api.job(&name).await {
            Ok(job) => job,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into_error("the run could not be cancelled", api.namespace())),
        };
        let Some(job) = JobView::new(&job).filter(|job| job.run == *run) else { return Ok(()) };
        let pods = self.shared.pods_of(&name, run).await?;
        if crate::status::status(&job, &pods, &[]).phase.is_terminal() {
            return Ok(());
        }
        self.shared.board.mark_cancelled(&name);
        if self.shared.rights.patch_jobs {
            // So that those who follow it elsewhere can tell it from a deletion by others.
            let patch = json!({ "metadata": { "annotations": { names::CANCELLED: "true" } } });
            if let Err(error) = api.patch_job::<serde::de::IgnoredAny>(&name, &patch).await {
                tracing::warn!(?error, job = name, "The Job could not be marked as cancelled");
            }
        }
        // In the foreground the Job stays until its pod has ended, so that its last lines can be read.
        let policy = PropagationPolicy::Foreground;
        let deleted = if self.shared.rights.delete_job {
            api.delete_job(&name, &job.uid, policy).await
        } else if self.shared.rights.delete_jobs {
            api.delete_jobs_with(&names::one_attempt(run), policy).await
        } else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the role has no right to delete Jobs; `wm role` prints the Role that has it",
            ));
        };
        match deleted {
            Err(error) if !error.is_not_found() => {
                Err(error.into_error("the run could not be cancelled", api.namespace()))
            }
            _ => Ok(()),
        }
    }

    #[instrument(skip_all, fields(workload = %workload))]
    async fn delete(&self, workload: &WorkloadId) -> Result<()> {
        let api = &self.shared.api;
        self.shared.forget_messages(workload).await?;
        let selector = format!("{},{}", names::OURS, names::answers_to(workload));
        let deleted = if self.shared.rights.delete_jobs {
            api.delete_jobs_with(&selector, PropagationPolicy::Background).await
        } else {
            let mut result = Ok(());
            for job in self.shared.jobs_of(workload).await? {
                result = api.delete_job(&job.name, &job.uid, PropagationPolicy::Background).await;
            }
            result
        };
        match deleted {
            Err(error) if !error.is_not_found() => {
                Err(error.into_error("the runs could not be deleted", api.namespace()))
            }
            _ => Ok(()),
        }
    }
}
