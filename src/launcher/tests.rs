mod metrics;
mod retries;

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, stream};
use proptest::prelude::*;
use tokio::{sync::watch, task::yield_now, time::sleep};
use wm_core::{
    Attempt, Capabilities, Error, ErrorKind, ImageRequest, LogQuery, LogStream, Outcome, Phase, Reason,
    Report, ResolvedImage, Result, RunFilter, RunId, RunRequest, RunStatus, StatusStream, Submission,
    Verdict, Workload, WorkloadId, WorkloadKind, WorkloadManager,
};

use super::{Launcher, LauncherSettings, RunHandle};

/// What a call of the backend does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Succeed,
    Dawdle,
    FailForNow,
    Fail,
    Panic,
    /// A stream ends before the run does.
    EndEarly,
}

/// A backend that does as it is told; without orders, what it should.
#[derive(Debug)]
struct Scripted {
    holds: bool,
    /// Whether runs end by themselves.
    ends: bool,
    orders: Mutex<VecDeque<Act>>,
    runs: Mutex<HashMap<RunId, watch::Sender<Phase>>>,
    calls: AtomicUsize,
    running: AtomicUsize,
    most_running: AtomicUsize,
    /// How often it failed for good: each may have cost a run its driver, and such a run has no slot.
    given_up: AtomicUsize,
}

impl Scripted {
    fn new(holds: bool, ends: bool, orders: Vec<Act>) -> Arc<Self> {
        Arc::new(Self {
            holds,
            ends,
            orders: Mutex::new(orders.into()),
            runs: Mutex::default(),
            calls: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
        })
    }

    async fn act(&self) -> Result<Act> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let act = self.orders.lock().unwrap().pop_front().unwrap_or(Act::Succeed);
        if matches!(act, Act::Panic | Act::Fail) {
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
        match act {
            Act::Panic => panic!("as it was told"),
            Act::Fail => Err(Error::new(ErrorKind::PermissionDenied, "as it was told")),
            Act::FailForNow => Err(Error::new(ErrorKind::Unavailable, "as it was told")),
            Act::Dawdle => {
                sleep(Duration::from_millis(300)).await;
                Ok(act)
            }
            Act::Succeed | Act::EndEarly => Ok(act),
        }
    }

    fn begin(&self) {
        let now = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_running.fetch_max(now, Ordering::Relaxed);
    }

    fn set(&self, run: &RunId, phase: Phase) {
        if let Some(state) = self.runs.lock().unwrap().get(run) {
            let before = state.send_replace(phase);
            match (before, phase) {
                (Phase::Held, Phase::Running) => self.begin(),
                (Phase::Running, phase) if phase.is_terminal() => {
                    self.running.fetch_sub(1, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }

    fn finish_all(&self) {
        let runs: Vec<_> = self.runs.lock().unwrap().keys().cloned().collect();
        for run in runs {
            if self.phase(&run) == Some(Phase::Running) {
                self.set(&run, Phase::Succeeded);
            }
        }
    }

    fn phase(&self, run: &RunId) -> Option<Phase> {
        self.runs.lock().unwrap().get(run).map(|state| *state.borrow())
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
impl WorkloadManager for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities { hold_runs: self.holds, cancel: true, ..Capabilities::default() }
    }

    async fn preflight(&self) -> Result<Report> {
        Ok(Report::default())
    }

    async fn resolve_image(&self, _request: &ImageRequest) -> Result<ResolvedImage> {
        self.act().await?;
        Ok(ResolvedImage::new("image".parse()?, "Image image."))
    }

    async fn submit(&self, request: &RunRequest) -> Result<Submission> {
        self.act().await?;
        let workload = &request.workload;
        let run = RunId { workload: workload.id().clone(), kind: workload.kind(), attempt: Attempt::FIRST };
        let mut runs = self.runs.lock().unwrap();
        if runs.contains_key(&run) {
            return Ok(Submission::new(run, true));
        }
        let phase = if request.held { Phase::Held } else { Phase::Running };
        if phase == Phase::Running {
            self.begin();
        }
        runs.insert(run.clone(), watch::channel(phase).0);
        Ok(Submission::new(run, false))
    }

    async fn release(&self, run: &RunId) -> Result<()> {
        self.act().await?;
        if self.phase(run) == Some(Phase::Held) {
            self.set(run, Phase::Running);
        }
        Ok(())
    }

    async fn status(&self, run: &RunId) -> Result<RunStatus> {
        self.act().await?;
        let phase = self.phase(run).ok_or_else(|| Error::new(ErrorKind::NotFound, "gone"))?;
        Ok(shown(run, phase))
    }

    async fn watch(&self, run: &RunId) -> Result<StatusStream> {
        let act = self.act().await?;
        if matches!(act, Act::EndEarly) {
            return Ok(stream::empty().boxed());
        }
        if self.ends && self.phase(run) == Some(Phase::Running) {
            self.set(run, Phase::Succeeded);
        }
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

    async fn list(&self, _filter: &RunFilter) -> Result<Vec<RunStatus>> {
        Ok(Vec::new())
    }

    async fn logs(&self, _workload: &WorkloadId, _query: &LogQuery) -> Result<LogStream> {
        Ok(stream::empty().boxed())
    }

    async fn log(&self, _workload: &WorkloadId, _message: &str) -> Result<()> {
        self.act().await?;
        Ok(())
    }

    async fn cancel(&self, run: &RunId) -> Result<()> {
        self.act().await?;
        self.set(run, Phase::Cancelled);
        Ok(())
    }

    async fn delete(&self, _workload: &WorkloadId) -> Result<()> {
        Ok(())
    }
}

fn launcher(backend: &Arc<Scripted>, slots: usize, room: usize) -> Launcher {
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

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_told_before_the_backend_hears_of_it() {
    let backend = Scripted::new(true, false, Vec::new());
    let launcher = launcher(&backend, 1, 1);
    launcher.launch(workload("a")).await.unwrap();
    launcher.launch(workload("b")).await.unwrap();
    let calls = backend.calls.load(Ordering::Relaxed);
    let error = launcher.launch(workload("c")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueFull);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert_eq!(backend.calls.load(Ordering::Relaxed), calls);
}

#[tokio::test(start_paused = true)]
async fn the_suggested_wait_follows_how_long_runs_take() {
    let backend = Scripted::new(true, false, Vec::new());
    let launcher = launcher(&backend, 1, 1);
    let first = launcher.launch(workload("a")).await.unwrap();
    sleep(Duration::from_secs(100)).await;
    backend.finish_all();
    first.wait().await.unwrap();
    launcher.launch(workload("b")).await.unwrap();
    launcher.launch(workload("c")).await.unwrap();
    let wait = launcher.launch(workload("d")).await.unwrap_err().retry_after().unwrap();
    assert_eq!(wait.as_secs(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_is_held_by_the_backend_and_shows_its_place() {
    let backend = Scripted::new(true, false, Vec::new());
    let launcher = launcher(&backend, 1, 9);
    let first = launcher.launch(workload("a")).await.unwrap();
    let second = launcher.launch(workload("b")).await.unwrap();
    let third = launcher.launch(workload("c")).await.unwrap();
    assert_eq!((first.position(), second.position(), third.position()), (None, Some(1), Some(2)));
    let mut seen = third.follow();
    let status = seen.next().await.unwrap().unwrap();
    assert_eq!((status.phase, status.detail.as_deref()), (Phase::Held, Some("number 2 in line")));
    backend.finish_all();
    let status = seen.next().await.unwrap().unwrap();
    assert_eq!((status.phase, status.detail.as_deref()), (Phase::Held, Some("number 1 in line")));
    assert!(first.wait().await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn without_held_runs_the_backend_hears_of_a_run_when_its_turn_comes() {
    let backend = Scripted::new(false, false, Vec::new());
    let launcher = launcher(&backend, 1, 9);
    launcher.launch(workload("a")).await.unwrap();
    let second = launcher.launch(workload("b")).await.unwrap();
    assert_eq!((second.run(), second.position()), (None, Some(1)));
    assert_eq!(backend.runs.lock().unwrap().len(), 1);
    backend.finish_all();
    let mut seen = second.follow();
    assert_eq!(seen.next().await.unwrap().unwrap().phase, Phase::Running);
    assert!(second.run().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_in_line_never_runs() {
    for holds in [true, false] {
        let backend = Scripted::new(holds, false, Vec::new());
        let launcher = launcher(&backend, 1, 9);
        launcher.launch(workload("a")).await.unwrap();
        let second = launcher.launch(workload("b")).await.unwrap();
        second.cancel().await.unwrap();
        match second.wait().await {
            Ok(verdict) => assert_eq!(verdict.outcome, Outcome::Cancelled),
            Err(error) => assert!(!holds && error.message().contains("cancelled"), "{error}"),
        }
        assert_eq!(launcher.load().queued, 0);
        assert_eq!(backend.most_running.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_frees_its_slot_for_the_next() {
    let backend = Scripted::new(true, false, Vec::new());
    let launcher = launcher(&backend, 1, 9);
    let first = launcher.launch(workload("a")).await.unwrap();
    let second = launcher.launch(workload("b")).await.unwrap();
    first.cancel().await.unwrap();
    assert_eq!(first.wait().await.unwrap().outcome, Outcome::Cancelled);
    let mut seen = second.follow();
    while seen.next().await.unwrap().unwrap().phase != Phase::Running {}
    assert_eq!(launcher.load().running, 1);
}

#[tokio::test(start_paused = true)]
async fn one_run_that_is_launched_twice_has_one_slot() {
    let backend = Scripted::new(true, false, Vec::new());
    let launcher = launcher(&backend, 2, 9);
    let first = launcher.launch(workload("a")).await.unwrap();
    let second = launcher.launch(workload("a")).await.unwrap();
    yield_now().await;
    assert_eq!(launcher.load().running, 1);
    backend.finish_all();
    assert!(first.wait().await.unwrap().is_success());
    assert!(second.wait().await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_handle_outlives_its_launcher_and_says_that_nobody_follows_any_more() {
    let backend = Scripted::new(true, false, Vec::new());
    let launcher = launcher(&backend, 1, 9);
    let handle = launcher.launch(workload("a")).await.unwrap();
    drop(launcher);
    assert_eq!(handle.wait().await.unwrap_err().kind(), ErrorKind::Unexpected);
    assert_eq!(backend.phase(&handle.run().unwrap()), Some(Phase::Running));
}

#[derive(Clone, Debug)]
enum Step {
    Launch {
        name: u8,
        priority: i32,
        tenant: u8,
    },
    /// Drops the future of a launch after some polls.
    Abandon {
        name: u8,
        polls: u8,
    },
    Cancel(usize),
    Forget(usize),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u8>(), 0..3_i32, 0..3_u8).prop_map(|(name, priority, tenant)| Step::Launch { name, priority, tenant }),
        2 => (any::<u8>(), 0..6_u8).prop_map(|(name, polls)| Step::Abandon { name, polls }),
        1 => (0..9_usize).prop_map(Step::Cancel),
        1 => (0..9_usize).prop_map(Step::Forget),
        2 => (0..2000_u16).prop_map(Step::Pass),
    ]
}

fn order() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Succeed),
        2 => Just(Act::Dawdle),
        1 => Just(Act::FailForNow),
        1 => Just(Act::Fail),
        1 => Just(Act::Panic),
        1 => Just(Act::EndEarly),
    ]
}

async fn interleave(backend: &Arc<Scripted>, launcher: &Launcher, steps: Vec<Step>) {
    let mut handles: Vec<RunHandle> = Vec::new();
    for step in steps {
        match step {
            Step::Launch { name, priority, tenant } => {
                let id = WorkloadId::new(format!("w{name}")).unwrap();
                let workload = Workload::builder(id, WorkloadKind::Run)
                    .priority(priority)
                    .tenant(tenant.to_string())
                    .build();
                handles.extend(launcher.launch(workload.unwrap()).await);
            }
            Step::Abandon { name, polls } => {
                let launch = launcher.launch(workload(&format!("w{name}")));
                futures::pin_mut!(launch);
                for _ in 0..polls {
                    if launch.as_mut().now_or_never().is_some() {
                        break;
                    }
                    yield_now().await;
                }
            }
            Step::Cancel(index) if !handles.is_empty() => {
                let handle = handles[index % handles.len()].clone();
                // A backend that panics may do so in the caller's task too.
                drop(std::panic::AssertUnwindSafe(handle.cancel()).catch_unwind().await);
            }
            Step::Forget(index) if !handles.is_empty() => drop(handles.swap_remove(index % handles.len())),
            Step::Pass(time) => sleep(Duration::from_millis(time.into())).await,
            _ => {}
        }
        // Runs that lost their driver and were launched again count beyond the slots.
        let most = launcher.settings().max_concurrent_runs.get() + backend.given_up.load(Ordering::Relaxed);
        assert!(launcher.load().running <= most);
        assert!(backend.most_running.load(Ordering::Relaxed) <= most);
    }
    // From now on the backend does what it should, and all runs end.
    backend.orders.lock().unwrap().clear();
    for _ in 0..1000 {
        backend.finish_all();
        sleep(Duration::from_secs(40)).await;
        let load = launcher.load();
        if (load.running, load.queued) == (0, 0) {
            return;
        }
    }
    panic!("a slot leaked: {:?}", launcher.load());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_slot_leaks_whatever_panics_fails_or_is_dropped(
        holds in any::<bool>(),
        ends in any::<bool>(),
        slots in 1..4_usize,
        room in 0..5_usize,
        steps in proptest::collection::vec(step(), 0..40),
        orders in proptest::collection::vec(order(), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let backend = Scripted::new(holds, ends, orders);
            let launcher = launcher(&backend, slots, room);
            interleave(&backend, &launcher, steps).await;
            let handle = launcher.launch(workload("fresh")).await.unwrap();
            backend.finish_all();
            assert!(handle.wait().await.unwrap().is_success());
        });
    }
}
