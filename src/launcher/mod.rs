//! Admits runs, a bounded number at once, and sees each to its end.

mod backend;
mod driver;
#[cfg(test)]
mod faults;
mod handle;
mod pauses;
mod queue;
mod registry;
mod retry;
mod slot;
#[cfg(test)]
mod tests;
mod watched;

use std::{
    collections::HashSet,
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::JoinSet;
use tracing::Instrument as _;
use wm_config::LauncherSection;
use wm_core::{Error, ErrorKind, Result, RunId, Workload, WorkloadManager};

pub use self::handle::RunHandle;
use self::{
    handle::Run,
    registry::{Key, Registry},
    slot::{Place, Slots},
};
use crate::metrics;

/// How many runs a [`Launcher`] admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LauncherSettings {
    /// How many run at once.
    pub max_concurrent_runs: NonZeroUsize,
    /// How many may wait for their turn.
    pub max_queued_runs: usize,
    /// How often in a row a run is tried again whose verdict [may be retried](wm_core::Verdict::may_retry).
    pub start_retries: u32,
}

impl Default for LauncherSettings {
    /// Two at once, a hundred in line, two more tries of what did not begin.
    fn default() -> Self {
        Self {
            max_concurrent_runs: NonZeroUsize::MIN.saturating_add(1),
            max_queued_runs: 100,
            start_retries: 2,
        }
    }
}

impl From<&LauncherSection> for LauncherSettings {
    fn from(section: &LauncherSection) -> Self {
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Self {
            max_concurrent_runs: NonZeroUsize::new(size(section.max_concurrent_runs))
                .unwrap_or(NonZeroUsize::MIN),
            max_queued_runs: size(section.max_queued_runs),
            start_retries: section.start_retries,
        }
    }
}

/// How busy a [`Launcher`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// How many runs have a slot.
    pub running: usize,
    /// How many wait for one.
    pub queued: usize,
}

/// Admits runs, a bounded number at once, and sees each to its end.
///
/// More wait in line: by priority, then fair between tenants, then first come, first served. What a run needs after
/// that is done by tasks that the launcher owns, so a caller may drop a future or a handle at any time: the run and the
/// count of slots stay as they are. When the last clone of the launcher is dropped the tasks end; the runs go on.
#[derive(Clone)]
pub struct Launcher {
    core: Arc<Core>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    settings: LauncherSettings,
}

/// What the tasks share. They must not hold the launcher, or it would never be dropped.
#[derive(Debug)]
struct Core {
    manager: Arc<dyn WorkloadManager>,
    slots: Arc<Slots>,
    registry: Arc<Registry>,
    /// The runs that a task sees to their end.
    driven: Mutex<HashSet<RunId>>,
    start_retries: u32,
}

impl Launcher {
    /// Makes a launcher for a backend.
    pub fn new(manager: Arc<dyn WorkloadManager>, settings: LauncherSettings) -> Self {
        let slots = Slots::new(settings.max_concurrent_runs, settings.max_queued_runs);
        let core = Arc::new(Core {
            manager,
            slots,
            registry: Arc::default(),
            driven: Mutex::default(),
            start_retries: settings.start_retries,
        });
        Self { core, tasks: Arc::default(), settings }
    }

    /// The backend, to list runs or to read logs of others.
    pub fn manager(&self) -> &Arc<dyn WorkloadManager> {
        &self.core.manager
    }

    /// How many runs are admitted.
    pub fn settings(&self) -> LauncherSettings {
        self.settings
    }

    /// How many run and wait now.
    pub fn load(&self) -> Load {
        let (running, queued) = self.core.slots.count();
        Load { running, queued }
    }

    /// Launches a workload, or puts it in line.
    ///
    /// Returns when the backend has the run on record; where a backend can't hold runs, a run that must wait is only
    /// in this launcher's line until its turn comes. The same workload launched again while it is in flight is the same
    /// run and needs no further slot.
    ///
    /// Cancel safety: when the future is dropped the run goes on as if it had not been; launch the same workload again
    /// for a handle to it.
    ///
    /// # Errors
    /// `QueueFull` with [`Error::retry_after`], before anything was done; what the backend says of the image and the
    /// run.
    pub fn launch(&self, workload: Workload) -> impl Future<Output = Result<RunHandle>> + Send + use<'_> {
        // Boxed: whoever awaits the launch would have room for the workload as long as it lives, and more than once.
        let workload = Box::new(workload);
        async move {
            let run = self.begin(workload)?;
            run.accepted().await?;
            Ok(RunHandle::new(run, Arc::clone(&self.core)))
        }
    }

    /// Joins the run of the same workload that is in flight, or begins one.
    fn begin(&self, workload: Box<Workload>) -> Result<Arc<Run>> {
        let workload = *workload;
        let begun = self.core.registry.join_or(Key::of(&workload), || {
            let place = self.admit(&workload)?;
            Ok::<_, Error>((Arc::new(Run::new(workload.id().clone(), &place)), place))
        });
        let (flight, place) = match begun? {
            Ok(run) => {
                metrics::launched("joined");
                return Ok(run);
            }
            Err(begun) => begun,
        };
        let run = Arc::clone(flight.run());
        let span = tracing::info_span!("run", workload = %workload.id());
        let driver = driver::drive(Arc::clone(&self.core), flight, Box::new((workload, place)));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended would pile up.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(driver.instrument(span));
        Ok(run)
    }

    fn admit(&self, workload: &Workload) -> Result<Place> {
        let tenant = workload.tenant().map(str::to_owned);
        let place = self.core.slots.admit(workload.priority(), tenant);
        metrics::launched(match &place {
            Ok(Place::Slot(_)) => "admitted",
            Ok(Place::Line(_)) => "queued",
            Err(_) => "refused",
        });
        place.map_err(|wait| {
            Error::new(
                ErrorKind::QueueFull,
                format!(
                    "{} runs are in progress and {} wait, which is all that is admitted; try again in {} s",
                    self.settings.max_concurrent_runs,
                    self.settings.max_queued_runs,
                    wait.as_secs()
                ),
            )
            .with_context("workload", workload.id().as_str())
            .with_retry_after(wait)
        })
    }
}

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launcher")
            .field("manager", &self.core.manager)
            .field("settings", &self.settings)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}
