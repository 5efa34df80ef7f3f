//! A cluster and a registry in memory, which do what a test says.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use tokio::sync::watch;
use wm_core::{
    Attempt, EnvironmentValue, Error, ErrorKind, Evidence, ImageReference, ManifestProbe, Outcome, Probe,
    Reason, RegistrySetup, Result, Verdict, WorkloadId,
};

use crate::{Build, BuildEnd, BuildId, BuildPlan, BuildSubmission, BuilderJobs, BuilderSettings};

pub(super) const DIGEST: &str = "sha256:262da7b14968ecf0c6d9c058a0c5d28dcfb9c0cf483d3c987bd2da129d0b635d";
pub(super) const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Clones are the same yard, as several servers see one cluster.
#[derive(Clone)]
pub(super) struct Yard {
    state: Arc<Mutex<State>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<(String, Attempt), Job>,
    images: BTreeMap<String, String>,
    /// Why nobody can tell what is in the registry.
    trouble: Option<String>,
    /// Answers that come before the truth.
    answers: VecDeque<Probe>,
    /// Whether each build pushes its image at once.
    quick: bool,
    refusal: Option<ErrorKind>,
    credentials: Option<String>,
    environment: BTreeMap<String, String>,
    log_is_down: bool,
    seen: Seen,
}

#[derive(Debug)]
struct Job {
    fingerprint: String,
    plan: Option<BuildPlan>,
    end: Option<BuildEnd>,
}

/// What was asked of the yard.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) created: Vec<Attempt>,
    pub(super) submissions: usize,
    pub(super) probes: usize,
    pub(super) repositories: Vec<String>,
    pub(super) messages: Vec<(String, String)>,
    pub(super) included: Vec<(String, Attempt)>,
}

impl Yard {
    pub(super) fn new() -> Self {
        Self { state: Arc::default(), changes: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changes.send_modify(|count| *count += 1);
    }

    /// A server's strategy.
    pub(super) fn build(&self, settings: BuilderSettings) -> Build {
        let part = Arc::new(self.clone());
        Build::new(settings, Arc::clone(&part) as _, Arc::clone(&part) as _, part).unwrap()
    }

    pub(super) fn has_image(&self, image: &str, digest: &str) {
        self.change(|state| drop(state.images.insert(image.to_owned(), digest.to_owned())));
    }

    pub(super) fn trouble(&self, why: Option<&str>) {
        self.change(|state| state.trouble = why.map(str::to_owned));
    }

    pub(super) fn answers(&self, answers: impl IntoIterator<Item = Probe>) {
        self.change(|state| state.answers = answers.into_iter().collect());
    }

    pub(super) fn quick(&self) {
        self.change(|state| state.quick = true);
    }

    pub(super) fn refuses(&self, kind: Option<ErrorKind>) {
        self.change(|state| state.refusal = kind);
    }

    pub(super) fn log_is_down(&self) {
        self.change(|state| state.log_is_down = true);
    }

    pub(super) fn needs(&self, credentials: &str, variable: (&str, &str)) {
        self.change(|state| {
            state.credentials = Some(credentials.to_owned());
            state.environment.insert(variable.0.to_owned(), variable.1.to_owned());
        });
    }

    /// A Job that was there before.
    pub(super) fn has_job(&self, plan: &BuildPlan, attempt: u32, end: Option<BuildEnd>) {
        let job = Job { fingerprint: plan.fingerprint.clone(), plan: None, end };
        let attempt = Attempt::new(attempt).unwrap();
        self.change(|state| drop(state.jobs.insert((plan.id.to_string(), attempt), job)));
    }

    pub(super) fn has_foreign_job(&self, plan: &BuildPlan) {
        let job = Job { fingerprint: "other".to_owned(), plan: None, end: None };
        self.change(|state| drop(state.jobs.insert((plan.id.to_string(), Attempt::FIRST), job)));
    }

    /// Ends an attempt; its image is pushed first if there is a digest.
    pub(super) fn ends(&self, attempt: u32, end: BuildEnd, pushed: Option<&str>) {
        self.change(|state| {
            let ((_, _), job) =
                state.jobs.iter_mut().find(|((_, number), _)| number.get() == attempt).unwrap();
            job.end = Some(end);
            let image = job.plan.as_ref().map(|plan| plan.image.to_string());
            if let Some(digest) = pushed {
                state.images.insert(image.unwrap(), digest.to_owned());
            }
        });
    }

    pub(super) fn loses(&self, attempt: u32) {
        self.change(|state| state.jobs.retain(|(_, number), _| number.get() != attempt));
    }

    pub(super) fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    pub(super) fn plan(&self, attempt: u32) -> BuildPlan {
        let state = self.state();
        let (_, job) = state.jobs.iter().find(|((_, number), _)| number.get() == attempt).unwrap();
        job.plan.clone().unwrap()
    }

    /// Waits until so many Jobs have been created and so many callers have come.
    pub(super) async fn until(&self, mut is_so: impl FnMut(&Seen) -> bool) {
        let mut changes = self.changes.subscribe();
        while !is_so(&self.seen()) {
            changes.changed().await.unwrap();
        }
    }
}

pub(super) fn success(message: Option<&str>) -> BuildEnd {
    let verdict = Verdict::new(Outcome::Succeeded, Reason::Completed, "it ended", "");
    BuildEnd::new(verdict, message.map(str::to_owned))
}

pub(super) fn failure(reason: Reason, log: &[&str], message: Option<&str>) -> BuildEnd {
    let mut evidence = Evidence::default();
    evidence.exit_code = Some(1);
    evidence.log_tail = log.iter().map(|line| (*line).to_owned()).collect();
    let verdict = Verdict::new(Outcome::Failed, reason, "it failed", "look").with_evidence(evidence);
    BuildEnd::new(verdict, message.map(str::to_owned))
}

#[async_trait]
impl BuilderJobs for Yard {
    async fn submit(&self, plan: &BuildPlan, attempt: Attempt) -> Result<BuildSubmission> {
        // Other servers come in between.
        tokio::task::yield_now().await;
        let mut answer = None;
        self.change(|state| {
            state.seen.submissions += 1;
            if let Some(kind) = state.refusal {
                answer = Some(Err(Error::new(kind, "the cluster refuses the Job")));
                return;
            }
            let key = (plan.id.to_string(), attempt);
            if let Some(job) = state.jobs.get(&key) {
                answer = Some(match &job.end {
                    _ if job.fingerprint != plan.fingerprint => {
                        Err(Error::new(ErrorKind::Conflict, "something else has the name"))
                    }
                    None => Ok(BuildSubmission::Joined),
                    Some(end) if end.verdict.is_success() => Ok(BuildSubmission::Succeeded),
                    Some(_) => Ok(BuildSubmission::Failed),
                });
                return;
            }
            let end = state.quick.then(|| success(Some(DIGEST)));
            if end.is_some() {
                state.images.insert(plan.image.to_string(), DIGEST.to_owned());
            }
            state
                .jobs
                .insert(key, Job { fingerprint: plan.fingerprint.clone(), plan: Some(plan.clone()), end });
            state.seen.created.push(attempt);
            answer = Some(Ok(BuildSubmission::Created));
        });
        answer.unwrap()
    }

    async fn end(&self, build: &BuildId, attempt: Attempt) -> Result<BuildEnd> {
        let mut changes = self.changes.subscribe();
        loop {
            match self.state().jobs.get(&(build.to_string(), attempt)) {
                None => return Err(Error::new(ErrorKind::NotFound, "there is no such Job")),
                Some(Job { end: Some(end), .. }) => return Ok(end.clone()),
                Some(_) => {}
            }
            changes.changed().await.unwrap();
        }
    }

    async fn include(&self, workload: &WorkloadId, _build: &BuildId, attempt: Attempt) -> Result<()> {
        self.change(|state| state.seen.included.push((workload.to_string(), attempt)));
        if self.state().log_is_down { Err(Error::new(ErrorKind::Unavailable, "no log")) } else { Ok(()) }
    }

    async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()> {
        self.change(|state| state.seen.messages.push((workload.to_string(), message.to_owned())));
        if self.state().log_is_down { Err(Error::new(ErrorKind::Unavailable, "no log")) } else { Ok(()) }
    }
}

#[async_trait]
impl ManifestProbe for Yard {
    async fn probe(&self, image: &ImageReference) -> Probe {
        tokio::task::yield_now().await;
        let mut answer = None;
        self.change(|state| {
            state.seen.probes += 1;
            answer =
                Some(match (state.answers.pop_front(), &state.trouble, state.images.get(image.as_str())) {
                    (Some(answer), ..) => answer,
                    (None, Some(why), _) => Probe::Unknown(why.clone()),
                    (None, None, Some(digest)) => Probe::Found(digest.clone()),
                    (None, None, None) => Probe::Absent,
                });
        });
        answer.unwrap()
    }
}

#[async_trait]
impl RegistrySetup for Yard {
    async fn ensure_repository(&self, image: &ImageReference) -> Result<()> {
        self.change(|state| state.seen.repositories.push(image.to_string()));
        Ok(())
    }

    fn builder_environment(&self, _image: &ImageReference) -> BTreeMap<String, String> {
        self.state().environment.clone()
    }

    async fn docker_config(&self, _image: &ImageReference) -> Result<Option<EnvironmentValue>> {
        Ok(self.state().credentials.clone().map(|config| EnvironmentValue::Secret(config.into())))
    }
}

impl fmt::Debug for Yard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Yard")
    }
}
