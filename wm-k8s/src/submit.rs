//! Creating a run or adopting the one that is there.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use kube::api::PropagationPolicy;
use serde_json::Value;
use tokio::sync::SemaphorePermit;
use wm_core::{Attempt, AttemptRequest, Error, ErrorKind, Result, RunId, RunRequest, RunStatus, Submission};

use crate::{
    error::{CallError, Refusal},
    lost,
    manifest::{self, SecretMode},
    metrics, names,
    order::Order,
    settings::PlainSecrets,
    shared::Shared,
    status::status,
    view::{JobObject, JobView},
};

/// How often a name that is being deleted is tried again.
const GONE_POLL: Duration = Duration::from_millis(250);
/// Deletion may take as long as a pod's grace; after this somebody has to look.
const GONE_TRIES: u32 = 1200;

/// The right to build a Job and send it. The semaphore is never closed, so there is none only after it was given back.
type Turn<'a> = Option<SemaphorePermit<'a>>;

enum Created {
    Ours(String),
    Taken(Box<JobView>),
}

impl Shared {
    /// Creates this attempt, or tells where the one is that is there.
    pub(crate) async fn submit_order(&self, order: Order<'_>, run: RunId) -> Result<Option<RunStatus>> {
        let turn = self.turns.acquire().await.ok();
        let secrets = self.secret_mode(order)?;
        match self.create(order, &run, secrets, turn).await? {
            Created::Ours(uid) => {
                self.finish(order, run, &uid, secrets, false).await?;
                Ok(None)
            }
            Created::Taken(job) => {
                self.adopt(order, &job, secrets).await?;
                let pods = self.pods_of(&job.name, &job.run).await?;
                Ok(Some(status(&job, &pods, &[])))
            }
        }
    }

    pub(crate) async fn submit(&self, request: &RunRequest) -> Result<Submission> {
        // Of a thousand at once only those whose turn it is take memory for more than their place in the line.
        let turn = self.turns.acquire().await.ok();
        Box::pin(self.submit_now(request, turn)).await
    }

    async fn submit_now(&self, request: &RunRequest, turn: Turn<'_>) -> Result<Submission> {
        if request.held && !self.rights.patch_jobs {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a run can't be held: the role has no right to patch Jobs, so it could never be started",
            ));
        }
        let order = Order::Run(request);
        let secrets = self.secret_mode(order)?;
        let mut run = RunId {
            workload: request.workload.id().clone(),
            kind: request.workload.kind(),
            attempt: Attempt::FIRST,
        };
        match request.workload.attempt() {
            AttemptRequest::Exactly(attempt) => {
                run.attempt = attempt;
                match self.create(order, &run, secrets, turn).await? {
                    Created::Ours(uid) => self.finish(order, run, &uid, secrets, false).await,
                    Created::Taken(job) => self.adopt(order, &job, secrets).await,
                }
            }
            AttemptRequest::Next => self.submit_next(order, run, secrets, turn).await,
        }
    }

    async fn submit_next(
        &self,
        order: Order<'_>,
        mut run: RunId,
        secrets: SecretMode,
        mut turn: Turn<'_>,
    ) -> Result<Submission> {
        // Earlier attempts may be gone, so the first free name tells nothing: ask for the last.
        let jobs = self.known_jobs_of(&run.workload).await?;
        let own = jobs.iter().filter(|job| job.run.workload == run.workload);
        if let Some(last) = own.max_by_key(|job| job.run.attempt) {
            run.attempt = last.run.attempt;
            // The name of one that is being deleted is free when it is gone, which `create` waits for.
            if !last.deleting {
                if !self.has_ended(last).await? {
                    return self.adopt(order, last, secrets).await;
                }
                run.attempt = run.attempt.next();
            }
        }
        loop {
            match self.create(order, &run, secrets, turn.take()).await? {
                Created::Ours(uid) => return self.finish(order, run, &uid, secrets, false).await,
                Created::Taken(job) if self.has_ended(&job).await? => run.attempt = run.attempt.next(),
                Created::Taken(job) => return self.adopt(order, &job, secrets).await,
            }
        }
    }

    /// Whether an attempt is over, by its Job or by its pod.
    async fn has_ended(&self, job: &JobView) -> Result<bool> {
        if job.is_finished() {
            return Ok(true);
        }
        let pods = self.pods_of(&job.name, &job.run).await?;
        Ok(status(job, &pods, &[]).phase.is_terminal())
    }

    fn secret_mode(&self, order: Order<'_>) -> Result<SecretMode> {
        if self.rights.create_secrets {
            return Ok(SecretMode::Reference);
        }
        if !order.secrets().is_empty() && self.settings.plain_secrets == PlainSecrets::Refuse {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                "the role has no right to create Secrets, and the settings forbid secret values in a Job; `wm role` prints the Role that has it",
            )
            .with_context("namespace", self.api.namespace()));
        }
        Ok(SecretMode::Plain)
    }

    /// Creates the Job, waiting for a namesake that is being deleted.
    async fn create(
        &self,
        order: Order<'_>,
        run: &RunId,
        secrets: SecretMode,
        mut turn: Turn<'_>,
    ) -> Result<Created> {
        let unplaced = self.unplaced_of(order);
        let mut messages: Vec<_> = unplaced.iter().flat_map(|(_, messages)| messages).cloned().collect();
        messages.extend(order.messages());
        messages.sort_by_key(|message| message.time);
        let restriction = self.restriction().await;
        let submitted = Timestamp::now();
        let name = names::job(run);
        for _ in 0..GONE_TRIES {
            let (sent, posted) = {
                // Given back while this waits, which may take minutes.
                let _turn = match turn.take() {
                    Some(turn) => Some(turn),
                    None => self.turns.acquire().await.ok(),
                };
                let manifests =
                    order.manifests(run, &self.settings, restriction, secrets, &messages, submitted)?;
                let posted = self.api.create_job(&manifests.text).await;
                (manifests.job, posted)
            };
            match posted {
                Ok(made) => {
                    let uid = self.keep(&sent, &made, &name).await?;
                    self.placed(&unplaced);
                    return Ok(Created::Ours(uid));
                }
                Err(error) if error.refusal().is_some_and(Refusal::is_being_deleted) => {
                    tokio::time::sleep(GONE_POLL).await;
                }
                Err(error) if error.refusal().is_some_and(Refusal::is_taken) => {
                    match self.taken(&name).await? {
                        // The answer to an earlier try was lost: it is this very submission's.
                        Some((job, made)) if job.submitted == Some(submitted) && job.run == *run => {
                            let uid = self.keep(&sent, &made, &name).await?;
                            self.placed(&unplaced);
                            return Ok(Created::Ours(uid));
                        }
                        Some((job, _)) if job.deleting => tokio::time::sleep(GONE_POLL).await,
                        Some((job, _)) => return Ok(Created::Taken(Box::new(job))),
                        // Deleted between the two calls.
                        None => {}
                    }
                }
                Err(error) => return Err(self.refuse(error, &name)),
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "a Job of this name has been in deletion for minutes; see what holds it: kubectl describe job",
        )
        .with_context("job", name))
    }

    /// Takes a new Job as ours, if the server kept what counts; gives its UID.
    async fn keep(&self, sent: &Value, made: &[u8], name: &str) -> Result<String> {
        let unreadable = |error| self.refuse(CallError::Unreadable(error), name);
        let job: JobObject = serde_json::from_slice(made).map_err(unreadable)?;
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let lost = lost::fields(sent, made).map_err(unreadable)?;
        self.check_kept(&lost, name, &uid).await?;
        // Who asks before the watch has it must find it.
        if let Some(job) = JobView::new(&job).filter(|_| self.follows()) {
            self.board.add_job(job);
        }
        Ok(uid)
    }

    /// The Job that has the name already, read and as it is.
    async fn taken(&self, name: &str) -> Result<Option<(JobView, Bytes)>> {
        let made = match self.api.job_text(name).await {
            Ok(job) => job,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(self.refuse(error, name)),
        };
        let job = serde_json::from_slice::<JobObject>(&made).ok().as_ref().and_then(JobView::new);
        job.map(|job| Some((job, made))).ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                "a Job of this name was not made by a workload manager; delete or rename it",
            )
            .with_context("job", name.to_owned())
            .with_context("namespace", self.api.namespace())
        })
    }

    async fn adopt(&self, order: Order<'_>, job: &JobView, secrets: SecretMode) -> Result<Submission> {
        if job.fingerprint != order.fingerprint() || job.run.kind != order.kind() {
            metrics::conflicted();
            let message = match order.attempt() {
                AttemptRequest::Exactly(_) => {
                    "this attempt exists with another command, image or environment"
                }
                AttemptRequest::Next => {
                    "an attempt of this workload with another command, image or environment has not ended; cancel it first"
                }
            };
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_context("run", job.run.to_string())
                .with_context("job", &*job.name));
        }
        metrics::adopted();
        // Whoever made it may have died before the Secret was there.
        self.finish(order, job.run.clone(), &job.uid, secrets, true).await
    }

    async fn finish(
        &self,
        order: Order<'_>,
        run: RunId,
        uid: &str,
        secrets: SecretMode,
        adopted: bool,
    ) -> Result<Submission> {
        if !order.secrets().is_empty() && secrets == SecretMode::Reference {
            let secret = manifest::secret(order, &run, self.api.namespace(), uid);
            if let Err(error) = self.api.create_secret(&secret).await {
                let error = error
                    .into_error(
                        "the Secret of the run could not be created, so it was withdrawn",
                        self.api.namespace(),
                    )
                    .with_context("job", names::job(&run));
                if !adopted {
                    self.withdraw(&names::job(&run), uid).await;
                }
                return Err(error);
            }
        }
        tracing::info!(workload = %run.workload, attempt = run.attempt.get(), adopted, "Run submitted");
        Ok(Submission::new(run, adopted))
    }

    /// Takes back a Job that can't run as it was asked for.
    async fn withdraw(&self, name: &str, uid: &str) {
        if let Err(error) = self.api.delete_job(name, uid, PropagationPolicy::Background).await
            && !error.is_not_found()
        {
            tracing::warn!(?error, job = name, "A Job that can't run could not be deleted");
        }
    }

    /// An old server drops fields that it does not know: said, and refused where the run would mean something else.
    async fn check_kept(&self, lost: &[String], name: &str, uid: &str) -> Result<()> {
        if lost.is_empty() {
            return Ok(());
        }
        metrics::dropped(lost.len());
        let vital = |field: &&String| field.starts_with("spec.podFailurePolicy") || *field == "spec.suspend";
        if let Some(field) = lost.iter().find(vital) {
            self.withdraw(name, uid).await;
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the cluster is too old for {field}: it dropped the field, so the Job was withdrawn"),
            )
            .with_context("job", name.to_owned()));
        }
        tracing::warn!(job = name, fields = lost.join(", "), "The cluster dropped fields of the Job");
        Ok(())
    }

    fn refuse(&self, error: CallError, name: &str) -> Error {
        error
            .into_error("the Job could not be created", self.api.namespace())
            .with_context("job", name.to_owned())
    }
}
