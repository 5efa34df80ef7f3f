//! What a launcher does about a backend in trouble.
use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, stream};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use wm_core::{
    Attempt, AttemptRequest, Capabilities, Error, ErrorKind, ImageRequest, LogQuery, LogStream, Outcome,
    Phase, Reason, Report, ResolvedImage, Result, RunFilter, RunId, RunRequest, RunStatus, StatusStream,
    Submission, Verdict, Workload, WorkloadId, WorkloadKind, WorkloadManager,
};

use super::{Launcher, LauncherSettings, driver::drive, handle::Run, registry::Key};

#[derive(Debug, Default)]
struct Backend {
    holds: bool,
    runs: Mutex<HashMap<RunId, watch::Sender<Phase>>>,
    faults: Mutex<Vec<(&'static str, ErrorKind)>>,
    panics: Mutex<Vec<&'static str>>,
    hangs: Mutex<Vec<&'static str>>,
    watches: AtomicUsize,
    running_at_most: AtomicUsize,
}

impl Backend {
    fn new(holds: bool) -> Arc<Self> {
        Arc::new(Self { holds, ..Self::default() })
    }
    fn fail(&self, method: &'static str, kind: ErrorKind) {
        self.faults.lock().unwrap().push((method, kind));
    }
    async fn call(&self, method: &'static str) -> Result<()> {
        if self.hangs.lock().unwrap().contains(&method) {
            std::future::pending::<()>().await;
        }
        let panics = {
            let mut p = self.panics.lock().unwrap();
            p.iter().position(|m| *m == method).map(|i| p.remove(i))
        };
        assert!(panics.is_none(), "as told");
        let mut faults = self.faults.lock().unwrap();
        match faults.iter().position(|(m, _)| *m == method) {
            Some(index) => Err(Error::new(faults.remove(index).1, "as told")),
            None => Ok(()),
        }
    }
    fn put(&self, run: &RunId, phase: Phase) {
        let mut runs = self.runs.lock().unwrap();
        runs.entry(run.clone()).or_insert_with(|| watch::channel(phase).0).send_replace(phase);
        let running = runs.values().filter(|p| *p.borrow() == Phase::Running).count();
        self.running_at_most.fetch_max(running, Ordering::Relaxed);
    }
    fn phases(&self) -> HashMap<String, Phase> {
        self.runs.lock().unwrap().iter().map(|(run, phase)| (run.to_string(), *phase.borrow())).collect()
    }
}

fn shown(run: &RunId, phase: Phase) -> RunStatus {
    let status = RunStatus::new(run.clone(), phase);
    match phase {
        Phase::Succeeded => {
            status.with_verdict(Verdict::new(Outcome::Succeeded, Reason::Completed, "done", ""))
        }
        Phase::Cancelled => {
            status.with_verdict(Verdict::new(Outcome::Cancelled, Reason::Cancelled, "stopped", ""))
        }
        _ => status,
    }
}

#[async_trait]
impl WorkloadManager for Backend {
    fn capabilities(&self) -> Capabilities {
        Capabilities { hold_runs: self.holds, cancel: true, ..Capabilities::default() }
    }
    async fn preflight(&self) -> Result<Report> {
        Ok(Report::default())
    }
    async fn resolve_image(&self, _: &ImageRequest) -> Result<ResolvedImage> {
        self.call("resolve").await?;
        Ok(ResolvedImage::new("image".parse()?, "Image image."))
    }
    async fn submit(&self, request: &RunRequest) -> Result<Submission> {
        self.call("submit").await?;
        let (id, kind) = (request.workload.id().clone(), request.workload.kind());
        let last = self
            .runs
            .lock()
            .unwrap()
            .iter()
            .filter(|(run, _)| run.workload == id)
            .map(|(run, phase)| (run.clone(), *phase.borrow()))
            .max_by_key(|(run, _)| run.attempt);
        let attempt = match (request.workload.attempt(), last) {
            (AttemptRequest::Next, Some((run, phase))) if !phase.is_terminal() => {
                return Ok(Submission::new(run, true));
            }
            (AttemptRequest::Next, Some((run, _))) => run.attempt.next(),
            (AttemptRequest::Next, None) => Attempt::FIRST,
            (AttemptRequest::Exactly(attempt), _) => attempt,
        };
        let run = RunId { workload: id, kind, attempt };
        self.put(&run, if request.held { Phase::Held } else { Phase::Running });
        Ok(Submission::new(run, false))
    }
    async fn release(&self, run: &RunId) -> Result<()> {
        self.call("release").await?;
        if !self.holds {
            return Err(Error::new(ErrorKind::Unsupported, "no held runs here"));
        }
        self.put(run, Phase::Running);
        Ok(())
    }
    async fn status(&self, run: &RunId) -> Result<RunStatus> {
        self.call("status").await?;
        let phase = *self.runs.lock().unwrap()[run].borrow();
        Ok(shown(run, phase))
    }
    async fn watch(&self, run: &RunId) -> Result<StatusStream> {
        self.watches.fetch_add(1, Ordering::Relaxed);
        self.call("watch").await?;
        let mut state = self.runs.lock().unwrap()[run].subscribe();
        state.mark_changed();
        let run = run.clone();
        Ok(stream::unfold(Some(state), move |state| {
            let run = run.clone();
            async move {
                let mut state = state?;
                state.changed().await.ok()?;
                let phase = *state.borrow_and_update();
                Some((Ok(shown(&run, phase)), (!phase.is_terminal()).then_some(state)))
            }
        })
        .boxed())
    }
    async fn list(&self, _: &RunFilter) -> Result<Vec<RunStatus>> {
        Ok(Vec::new())
    }
    async fn logs(&self, _: &WorkloadId, _: &LogQuery) -> Result<LogStream> {
        Ok(stream::empty().boxed())
    }
    async fn log(&self, _: &WorkloadId, _: &str) -> Result<()> {
        self.call("log").await
    }
    async fn cancel(&self, run: &RunId) -> Result<()> {
        self.call("cancel").await?;
        self.put(run, Phase::Cancelled);
        Ok(())
    }
    async fn delete(&self, _: &WorkloadId) -> Result<()> {
        Ok(())
    }
}

fn launcher(backend: &Arc<Backend>, slots: usize, room: usize) -> Launcher {
    let settings = LauncherSettings {
        max_concurrent_runs: NonZeroUsize::new(slots).unwrap(),
        max_queued_runs: room,
        ..LauncherSettings::default()
    };
    Launcher::new(Arc::clone(backend) as Arc<dyn WorkloadManager>, settings)
}
fn workload(name: &str) -> Workload {
    Workload::builder(WorkloadId::new(name).unwrap(), WorkloadKind::Run).build().unwrap()
}
fn run(name: &str) -> RunId {
    RunId { workload: WorkloadId::new(name).unwrap(), kind: WorkloadKind::Run, attempt: Attempt::FIRST }
}
const LONG: Duration = Duration::from_mins(10);

#[tokio::test(start_paused = true)]
async fn an_adopted_run_is_followed_by_a_backend_that_cannot_hold() {
    let backend = Backend::new(false);
    backend.put(&run("a"), Phase::Running);
    let launcher = launcher(&backend, 1, 1);
    let handle = launcher.launch(workload("a")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(launcher.load().running, 1, "the run goes on, so it has its slot");
    backend.put(&run("a"), Phase::Succeeded);
    assert!(timeout(LONG, handle.wait()).await.unwrap().unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_for_now_is_tried_again() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 1, 1);
    launcher.launch(workload("a")).await.unwrap();
    let b = launcher.launch(workload("b")).await.unwrap();
    backend.fail("release", ErrorKind::Unavailable);
    backend.put(&run("a"), Phase::Succeeded);
    sleep(LONG).await;
    assert_eq!(backend.phases()["b/1"], Phase::Running);
    backend.put(&run("b"), Phase::Succeeded);
    assert!(b.wait().await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_in_line_that_fails_for_now_leaves_no_held_run() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 1, 1);
    launcher.launch(workload("a")).await.unwrap();
    let b = launcher.launch(workload("b")).await.unwrap();
    backend.fail("cancel", ErrorKind::Unavailable);
    b.cancel().await.unwrap();
    assert_eq!(b.wait().await.map(|verdict| verdict.outcome).ok(), Some(Outcome::Cancelled));
    sleep(LONG).await;
    assert_eq!(backend.phases()["b/1"], Phase::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_held_run_that_others_cancel_leaves_the_line() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 1, 1);
    launcher.launch(workload("a")).await.unwrap();
    let b = launcher.launch(workload("b")).await.unwrap();
    backend.put(&run("b"), Phase::Cancelled);
    assert_eq!(timeout(LONG, b.wait()).await.expect("it is known").unwrap().outcome, Outcome::Cancelled);
    assert_eq!(launcher.load().queued, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_launched_twice_runs_once_without_holds() {
    let backend = Backend::new(false);
    let launcher = launcher(&backend, 1, 9);
    let first = launcher.launch(workload("a")).await.unwrap();
    let second = launcher.launch(workload("a")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    backend.put(&run("a"), Phase::Succeeded);
    first.wait().await.unwrap();
    assert!(
        timeout(LONG, second.wait()).await.is_ok_and(|v| v.unwrap().is_success()),
        "runs: {:?}",
        backend.phases()
    );
    assert_eq!(backend.phases().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_in_line_is_a_verdict_without_holds() {
    let backend = Backend::new(false);
    let launcher = launcher(&backend, 1, 9);
    launcher.launch(workload("a")).await.unwrap();
    let b = launcher.launch(workload("b")).await.unwrap();
    b.cancel().await.unwrap();
    assert_eq!(b.wait().await.unwrap().outcome, Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_panics_or_hangs_fails_no_run() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 2, 9);
    backend.panics.lock().unwrap().push("log");
    launcher.launch(workload("a")).await.unwrap();
    backend.hangs.lock().unwrap().push("log");
    timeout(LONG, launcher.launch(workload("b"))).await.expect("a log that hangs is given up").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_each_state_is_not_asked_for_all_the_time() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 1, 1);
    for _ in 0..100_000 {
        backend.fail("watch", ErrorKind::RateLimited);
    }
    let handle = launcher.launch(workload("a")).await.unwrap();
    sleep(Duration::from_hours(1)).await;
    let asked = backend.watches.load(Ordering::Relaxed);
    assert!(asked < 400, "{asked}");
    backend.faults.lock().unwrap().clear();
    backend.put(&run("a"), Phase::Succeeded);
    assert!(timeout(LONG, handle.wait()).await.unwrap().unwrap().is_success());
}

/// On several threads, where the caller may be faster than what is left to do for the driver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_is_free_when_wait_returns() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 1, 0);
    for number in 0..1000 {
        let name = format!("w{number}");
        let handle = launcher.launch(workload(&name)).await.unwrap();
        backend.put(&run(&name), Phase::Succeeded);
        handle.wait().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_workload_launched_again_after_its_cancel_in_line_is_a_new_run() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 1, 9);
    launcher.launch(workload("a")).await.unwrap();
    let second = launcher.launch(workload("b")).await.unwrap();
    backend.fail("cancel", ErrorKind::Unavailable);
    second.cancel().await.unwrap();
    let again = launcher.launch(workload("b")).await.unwrap();
    backend.put(&run("a"), Phase::Succeeded);
    let mut states = again.follow();
    while states.next().await.unwrap().unwrap().phase != Phase::Running {}
    assert_eq!(backend.phases()["b/1"], Phase::Cancelled);
    assert_eq!(backend.phases()["b/2"], Phase::Running);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_outlives_the_future_that_asked_for_it() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 1, 9);
    let handle = launcher.launch(workload("a")).await.unwrap();
    backend.fail("cancel", ErrorKind::Unavailable);
    assert!(handle.cancel().now_or_never().is_none());
    assert_eq!(handle.wait().await.unwrap().outcome, Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_is_refused_says_why_and_the_run_goes_on() {
    let backend = Backend::new(true);
    let launcher = launcher(&backend, 1, 9);
    let handle = launcher.launch(workload("a")).await.unwrap();
    backend.fail("cancel", ErrorKind::Unsupported);
    assert_eq!(handle.cancel().await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(launcher.load().running, 1);
    handle.cancel().await.unwrap();
    assert_eq!(handle.wait().await.unwrap().outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_driver_is_small() {
    let launcher = launcher(&Backend::new(true), 1, 0);
    let place = launcher.core.slots.admit(0, None).unwrap();
    let workload = workload("a");
    let run = Arc::new(Run::new(workload.id().clone(), &place));
    let begun = launcher.core.registry.join_or(Key::of(&workload), || Ok::<_, Error>((run, ())));
    let (flight, ()) = begun.unwrap().unwrap_err();
    let driver = drive(Arc::clone(&launcher.core), flight, Box::new((workload, place)));
    assert!(size_of_val(&driver) <= 4096, "{}", size_of_val(&driver));
}
