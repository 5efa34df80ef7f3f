//! The contract's methods.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use wm_core::{
    Attempt, AttemptRequest, Capabilities, Error, ErrorKind, Finding, ImageRequest, LogQuery, LogSource,
    LogStream, Mend, Outcome, Phase, Reason, Report, ResolvedImage, Result, RunFilter, RunId, RunRequest,
    RunStatus, StatusStream, Submission, Verdict, Workload, WorkloadId, WorkloadKind, WorkloadManager,
    testkit::Program,
};

use super::{
    Fault, process, reading,
    world::{Run, State, World},
};

/// One server.
pub(super) struct MemoryManager {
    world: Arc<World>,
    server: usize,
}

impl MemoryManager {
    pub(super) fn new(world: Arc<World>) -> Self {
        let server = world.servers.fetch_add(1, Ordering::Relaxed);
        Self { world, server }
    }

    fn has(&self, fault: Fault) -> bool {
        self.world.has(fault)
    }

    fn find(&self, run: &RunId) -> Result<usize> {
        let state = self.world.state.borrow();
        let found = state.runs.iter().rposition(|known| known.id() == run && !known.deleted);
        found.ok_or_else(|| not_found(run))
    }

    /// The run that a request is, or the attempt that it makes.
    fn place(&self, state: &State, request: &RunRequest) -> Result<Result<RunId, Attempt>> {
        let id = request.workload.id();
        let known = |run: &&Run| {
            run.id().workload == *id
                && !run.deleted
                && (run.server == self.server || !self.has(Fault::ServersShareNothing))
        };
        let runs = || state.runs.iter().filter(known);
        let adopt = |run: &Run, any: bool| {
            if run.fingerprint == fingerprint(&self.world, request) || any {
                return Ok(Ok(run.id().clone()));
            }
            Err(Error::new(ErrorKind::Conflict, "there is a run of another spec")
                .with_context("run", run.id().to_string()))
        };
        match request.workload.attempt() {
            AttemptRequest::Exactly(attempt) => match runs().find(|run| run.id().attempt == attempt) {
                Some(_) if self.has(Fault::AdoptsNothing) => Ok(Err(attempt)),
                Some(run) if self.has(Fault::RunsFinishedAgain) && run.has_ended() => Ok(Err(attempt)),
                Some(run) => adopt(run, self.has(Fault::AdoptsAnySpec)),
                None => Ok(Err(attempt)),
            },
            AttemptRequest::Next => {
                let unfinished = runs().find(|run| {
                    let ended = match run.status.phase {
                        Phase::Cancelled => !self.has(Fault::AdoptsCancelled),
                        _ => run.has_ended() && !self.has(Fault::NextAdoptsFinished),
                    };
                    !ended
                });
                if let Some(run) = unfinished {
                    let conflict_is_next = self.has(Fault::NextIgnoresUnfinished);
                    return adopt(run, false).or_else(|error| {
                        if conflict_is_next { Ok(Err(run.id().attempt.next())) } else { Err(error) }
                    });
                }
                let mut last = runs().map(|run| run.id().attempt.get()).max().unwrap_or_default();
                if self.has(Fault::NextCountsRuns) {
                    last = u32::try_from(runs().count()).unwrap();
                }
                if self.has(Fault::DeleteKeepsNumbers) {
                    last = last.max(state.deleted.get(id).copied().unwrap_or_default());
                }
                Ok(Err(Attempt::new(last + 1).unwrap()))
            }
        }
    }

    fn make(&self, state: &mut State, request: &RunRequest, attempt: Attempt) -> (RunId, usize) {
        let workload = &request.workload;
        let id = RunId { workload: workload.id().clone(), kind: workload.kind(), attempt };
        let mut status = RunStatus::new(id.clone(), if request.held { Phase::Held } else { Phase::Pending });
        status.created = Some(self.world.now());
        status.image = Some(request.image.to_string());
        status.aliases = workload.aliases().cloned().collect();
        let environment = workload.environment().iter();
        let environment = environment.map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let keeps =
            |(_, value): &(String, String)| !value.is_empty() || !self.has(Fault::EmptyVariablesAreLost);
        if self.has(Fault::SecretIsShown) {
            status.detail = Some(format!("{:?}", environment.clone().collect::<Vec<_>>()));
        }
        state.runs.push(Run {
            status,
            fingerprint: fingerprint(&self.world, request),
            program: self.world.program(&workload.command()[0]),
            environment: environment.filter(keeps).collect(),
            timeout: workload.timeout(),
            server: self.server,
            stop: false,
            deleted: false,
        });
        (id, state.runs.len() - 1)
    }

    fn launch(&self, index: usize) {
        tokio::spawn(process::live(Arc::clone(&self.world), index));
    }

    /// Starts a held run.
    fn start(&self, index: usize) {
        let held = self.world.change(|state| {
            let status = &mut state.runs[index].status;
            let held = status.phase == Phase::Held;
            if held {
                status.phase = Phase::Pending;
            }
            held
        });
        if held || self.has(Fault::ReleaseStartsAgain) {
            self.launch(index);
        }
    }
}

fn not_found(run: &RunId) -> Error {
    Error::new(ErrorKind::NotFound, "there is no such run").with_context("run", run.to_string())
}

fn fingerprint(world: &World, request: &RunRequest) -> String {
    let mut fingerprint = request.workload.fingerprint();
    if world.has(Fault::SecretsCountForTheSpec) {
        let values = request.workload.environment().values();
        fingerprint.extend(values.map(wm_core::EnvironmentValue::expose));
    }
    fingerprint
}

impl fmt::Debug for MemoryManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryManager").field("server", &self.server).finish_non_exhaustive()
    }
}

#[async_trait]
impl WorkloadManager for MemoryManager {
    fn capabilities(&self) -> Capabilities {
        let has_runs = !self.world.state.borrow().runs.is_empty();
        let watch = self.world.can.watch != (self.has(Fault::CapabilitiesChange) && has_runs);
        Capabilities { watch, ..self.world.can }
    }

    async fn preflight(&self) -> Result<Report> {
        let first = self.world.state.borrow().runs.first().map(|run| run.status.clone());
        if let Some(first) = first {
            self.world.change(|state| {
                if self.has(Fault::PreflightSubmits) {
                    let workload = Workload::builder("preflight".parse().unwrap(), WorkloadKind::Run);
                    let workload = workload.command([self.world.know(&Program::new())]);
                    let image = "registry.example.com/preflight:1".parse().unwrap();
                    let request = RunRequest::new(workload.build().unwrap(), image);
                    self.make(state, &request, Attempt::FIRST);
                }
                if self.has(Fault::PreflightWrites) {
                    let id = &first.run.workload;
                    self.world.write(state, id, LogSource::Manager, "checked".into(), true);
                }
            });
            if self.has(Fault::PreflightReleases) {
                self.start(0);
            }
        }
        let mut complaint = Finding::warning("memory", "it is lost with the process", Mend::words("keep it"));
        if self.has(Fault::PreflightOnlyComplains) {
            complaint.mend = None;
        }
        Ok(Report::new(vec![Finding::ok("world", "it is there"), complaint]))
    }

    async fn resolve_image(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        let image = request.snapshot_image.clone();
        let image =
            image.ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "there is no image to reuse"))?;
        if self.has(Fault::ImageChanges) {
            let tag = self.world.now().as_millisecond();
            return Ok(ResolvedImage::new(format!("changed.example.com/image:{tag}").parse()?, "a new one"));
        }
        Ok(ResolvedImage::new(image, "the snapshot's own"))
    }

    async fn submit(&self, request: &RunRequest) -> Result<Submission> {
        let mut request = request.clone();
        if request.held && !self.world.can.hold_runs {
            if !self.has(Fault::HoldIsIgnored) {
                return Err(Error::new(ErrorKind::Unsupported, "runs can't be held here"));
            }
            request.held = false;
        }
        request.held &= !self.has(Fault::HeldRunsAtOnce);
        let early = self.place(&self.world.state.borrow(), &request);
        if self.has(Fault::DroppedSubmissionBlocks) {
            let id = request.workload.id().clone();
            if !self.world.change(|state| state.reserved.insert(id)) {
                return Err(Error::new(ErrorKind::Unavailable, "somebody submits it already"));
            }
        }
        // Other callers come in between.
        tokio::task::yield_now().await;
        let (id, index, adopted) = self.world.change(|state| {
            state.reserved.remove(request.workload.id());
            let place = if self.has(Fault::SubmissionsRace) { early } else { self.place(state, &request) };
            place.map(|place| match place {
                Ok(id) => {
                    let index = state.runs.iter().rposition(|run| *run.id() == id).unwrap();
                    (id, index, true)
                }
                Err(attempt) => {
                    let (id, index) = self.make(state, &request, attempt);
                    (id, index, false)
                }
            })
        })?;
        if !adopted || self.has(Fault::AdoptionRepeatsMessages) {
            for message in &request.messages {
                self.log(request.workload.id(), message).await?;
            }
        }
        if !adopted && !request.held {
            self.launch(index);
        }
        if adopted && self.has(Fault::AdoptionReleases) {
            self.start(index);
        }
        Ok(Submission::new(id, adopted))
    }

    async fn release(&self, run: &RunId) -> Result<()> {
        self.start(self.find(run)?);
        Ok(())
    }

    async fn status(&self, run: &RunId) -> Result<RunStatus> {
        match self.find(run) {
            Ok(index) => Ok(self.world.state.borrow().runs[index].status.clone()),
            Err(_) if self.has(Fault::UnknownIsPending) => Ok(RunStatus::new(run.clone(), Phase::Pending)),
            Err(error) => Err(error),
        }
    }

    async fn watch(&self, run: &RunId) -> Result<StatusStream> {
        Ok(reading::follow(&self.world, self.find(run)?))
    }

    async fn list(&self, filter: &RunFilter) -> Result<Vec<RunStatus>> {
        let state = self.world.state.borrow();
        let by_alias = !self.has(Fault::AliasesAreNotListed);
        let named = |run: &Run, id: &WorkloadId| {
            if by_alias { run.answers_to(id) } else { run.id().workload == *id }
        };
        let runs = state.runs.iter().filter(|run| {
            !run.deleted
                && filter.workload.as_ref().is_none_or(|id| named(run, id))
                && filter.kind.is_none_or(|kind| run.id().kind == kind)
                && !(filter.unfinished && run.has_ended())
        });
        let mut listed: Vec<_> = runs.map(|run| run.status.clone()).collect();
        if self.has(Fault::ListIsByName) {
            listed.sort_by(|a, b| a.run.cmp(&b.run));
        }
        if self.has(Fault::ListIsStale) {
            for status in &mut listed {
                status.phase = Phase::Running;
            }
        }
        Ok(listed)
    }

    async fn logs(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        reading::read(&self.world, workload, query)
    }

    async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()> {
        let before = self.world.state.borrow().lines.len();
        if self.has(Fault::MessagesRace) {
            tokio::task::yield_now().await;
        }
        self.world.change(|state| {
            if self.has(Fault::MessagesRace) {
                state.lines.truncate(before);
            }
            if self.has(Fault::MessageIsOneLine) {
                return self.world.write(state, workload, LogSource::Manager, message.into(), true);
            }
            for line in message.strip_suffix('\n').unwrap_or(message).split('\n') {
                self.world.write(state, workload, LogSource::Manager, line.into(), true);
            }
        });
        Ok(())
    }

    async fn cancel(&self, run: &RunId) -> Result<()> {
        if !self.world.can.cancel && !self.has(Fault::CancelIsIgnored) {
            return Err(Error::new(ErrorKind::Unsupported, "runs can't be stopped here"));
        }
        let index = match self.find(run) {
            Ok(index) => index,
            Err(error) if self.has(Fault::CancelUnknownIsNotFound) => return Err(error),
            Err(_) => return Ok(()),
        };
        if self.has(Fault::CancelReleases) {
            self.start(index);
            return Ok(());
        }
        let cancelled = || Verdict::new(Outcome::Cancelled, Reason::Cancelled, "it was cancelled", "");
        self.world.change(|state| {
            if self.has(Fault::CancelsAllAttempts) {
                for other in state.runs.iter_mut().filter(|other| other.id().workload == run.workload) {
                    other.stop = true;
                    other.status = other.status.clone().with_verdict(cancelled());
                }
            }
            let run = &mut state.runs[index];
            if run.stop && self.has(Fault::CancelTwiceIsAnError) {
                return Err(Error::new(ErrorKind::Conflict, "it is cancelled already"));
            }
            match run.status.phase {
                Phase::Held => run.end(cancelled(), Some(self.world.now())),
                phase if phase.is_terminal() => {
                    if self.has(Fault::CancelsFinished) {
                        run.status = run.status.clone().with_verdict(cancelled());
                    }
                }
                _ => {
                    run.stop = true;
                    run.status.phase = Phase::Stopping;
                }
            }
            Ok(())
        })
    }

    async fn delete(&self, workload: &WorkloadId) -> Result<()> {
        self.world.change(|state| {
            let ids = state.ids(workload);
            let aliases = !self.has(Fault::AliasesAreNotDeleted);
            let runs = state.runs.iter_mut();
            let mut any = false;
            for run in runs
                .filter(|run| if aliases { run.answers_to(workload) } else { run.id().workload == *workload })
            {
                any = true;
                run.deleted = true;
                run.stop = true;
                let attempt = run.id().attempt.get();
                state.deleted.insert(workload.clone(), attempt);
                let gone = Verdict::new(Outcome::Cancelled, Reason::Cancelled, "it was deleted", "");
                run.end(gone, Some(self.world.now()));
            }
            if !any && self.has(Fault::DeleteUnknownIsNotFound) {
                return Err(Error::new(ErrorKind::NotFound, "there is no such workload"));
            }
            if !self.has(Fault::DeleteKeepsTheLog) && (any || aliases) {
                for line in &mut state.lines {
                    line.take_if(|(id, _)| ids.contains(id));
                }
            }
            Ok(())
        })
    }
}
