//! The captures of a server: one for each run whose log is to be archived.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, MissedTickBehavior},
};
use wm_core::{ErrorKind, LogStore, Result, RunFilter, RunId, RunStatus, WorkloadId, WorkloadManager};

use crate::capture::{Capture, Stage};

/// How often runs are looked for whose logs nobody archives: those of servers that are gone.
const SWEEP: Duration = Duration::from_mins(1);
const FIRST_SWEEP: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Captures {
    manager: Arc<dyn WorkloadManager>,
    archive: Arc<dyn LogStore>,
    state: Mutex<State>,
    starts: mpsc::UnboundedSender<Capture>,
}

#[derive(Debug, Default)]
struct State {
    running: HashMap<RunId, (watch::Receiver<Stage>, BTreeSet<WorkloadId>)>,
    /// Those that are known to be sealed and were there at the last sweep.
    sealed: BTreeSet<RunId>,
    handles: HashMap<RunId, AbortHandle>,
}

impl Captures {
    /// Makes a server's captures, and the task that they and the looking for runs are part of.
    pub(crate) fn new(
        manager: Arc<dyn WorkloadManager>,
        archive: Arc<dyn LogStore>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (starts, started) = mpsc::unbounded_channel();
        let captures = Arc::new(Self { manager, archive, state: Mutex::default(), starts });
        (Arc::clone(&captures), captures.tend(started))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is called while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs captures and looks for runs without one, for ever.
    async fn tend(self: Arc<Self>, mut started: mpsc::UnboundedReceiver<Capture>) {
        let mut tasks = JoinSet::new();
        // A process that only asks something is gone by then.
        let mut ticks = tokio::time::interval_at(Instant::now() + FIRST_SWEEP, SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweep = std::pin::pin!(futures::future::OptionFuture::from(None));
        loop {
            tokio::select! {
                Some(capture) = started.recv() => {
                    let run = capture.run.clone();
                    let mut state = self.lock();
                    let reached = capture.stage.subscribe();
                    // It may have been stopped in between, and another one started.
                    if state.running.get(&run).is_some_and(|(known, _)| known.same_channel(&reached)) {
                        let ended = run.clone();
                        let handle = tasks.spawn(async move {
                            capture.run().await;
                            ended
                        });
                        state.handles.insert(run, handle);
                    }
                }
                Some(ended) = tasks.join_next() => match ended {
                    Ok(run) => self.finish(&run),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => tracing::error!(%error, "The capture of a log panicked"),
                },
                Some(()) = &mut sweep => sweep.set(None.into()),
                _ = ticks.tick() => sweep.set(Some(Arc::clone(&self).sweep()).into()),
            }
        }
    }

    fn finish(&self, run: &RunId) {
        let mut state = self.lock();
        state.running.remove(run);
        state.handles.remove(run);
        state.sealed.insert(run.clone());
    }

    /// Starts the capture of a run unless it is under way.
    pub(crate) fn start(
        &self,
        run: &RunId,
        aliases: impl IntoIterator<Item = WorkloadId>,
    ) -> watch::Receiver<Stage> {
        let aliases: BTreeSet<_> = aliases.into_iter().collect();
        let mut state = self.lock();
        if let Some((stage, _)) = state.running.get(run).filter(|(stage, _)| stage.has_changed().is_ok()) {
            return stage.clone();
        }
        let (stage, reached) = watch::channel(Stage::Waiting);
        state.sealed.remove(run);
        state.running.insert(run.clone(), (reached.clone(), aliases.clone()));
        let capture = Capture {
            manager: Arc::clone(&self.manager),
            archive: Arc::clone(&self.archive),
            run: run.clone(),
            aliases: aliases.into_iter().collect(),
            stage,
        };
        // The task that receives it lives as long as this is used.
        let _received = self.starts.send(capture);
        reached
    }

    /// Whether a run is known to be sealed.
    pub(crate) fn has_sealed(&self, run: &RunId) -> bool {
        self.lock().sealed.contains(run)
    }

    /// Makes sure that each of these runs is captured or sealed, and returns the captures with what is known of the
    /// runs.
    pub(crate) async fn ensure(
        &self,
        runs: Vec<RunStatus>,
    ) -> Result<Vec<(watch::Receiver<Stage>, RunStatus)>> {
        let mut captures = Vec::new();
        for status in runs {
            let known = {
                let state = self.lock();
                if status.phase.is_terminal() && state.sealed.contains(&status.run) {
                    continue;
                }
                state.running.contains_key(&status.run)
            };
            // A running run is not sealed; of one that has ended the archive knows.
            if !known && status.phase.is_terminal() && self.is_sealed(&status.run).await? {
                self.lock().sealed.insert(status.run);
                continue;
            }
            let stage = self.start(&status.run, status.aliases.iter().cloned());
            captures.push((stage, status));
        }
        Ok(captures)
    }

    async fn is_sealed(&self, run: &RunId) -> Result<bool> {
        match self.archive.seals(&run.workload).await {
            Ok(seals) => Ok(seals.iter().any(|seal| seal.run == *run)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes up what other servers have left.
    async fn sweep(self: Arc<Self>) {
        let runs = match self.manager.list(&RunFilter::default()).await {
            Ok(runs) => runs,
            Err(error) => return tracing::debug!(%error, "Runs could not be looked for"),
        };
        let there: BTreeSet<_> = runs.iter().map(|status| status.run.clone()).collect();
        self.lock().sealed.retain(|run| there.contains(run));
        for status in runs {
            if let Err(error) = self.ensure(vec![status]).await {
                return tracing::debug!(%error, "The archive could not be asked for what it has");
            }
        }
    }

    /// Ends the captures of a workload, which is deleted.
    pub(crate) async fn stop(&self, workload: &WorkloadId) {
        let mut stages = Vec::new();
        {
            let mut state = self.lock();
            state.sealed.retain(|run| run.workload != *workload);
            let own = state
                .running
                .iter()
                .filter(|(run, (_, aliases))| run.workload == *workload || aliases.contains(workload));
            let own: Vec<_> = own.map(|(run, _)| run.clone()).collect();
            for run in own {
                stages.extend(state.running.remove(&run).map(|(stage, _)| stage));
                if let Some(handle) = state.handles.remove(&run) {
                    handle.abort();
                }
            }
        }
        // Each is gone when nobody can reach a further stage.
        let gone = futures::stream::iter(stages)
            .for_each_concurrent(None, |mut stage| async move { while stage.changed().await.is_ok() {} });
        gone.await;
    }
}
