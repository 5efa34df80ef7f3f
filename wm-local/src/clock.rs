//! The time of a cluster: the system's, or one that a test drives.

mod sleep;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Add,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio::time::Instant;

pub(crate) use self::sleep::Sleep;
use crate::timestamp;

/// How often other tasks get their turn after a timer has fired. What follows from a timer passes through a handful of
/// tasks: controller, node, worker of a pod, container, watch.
const TURNS: usize = 64;

/// How often a timer is waited for that has fired and whose task is busy with something else.
const PATIENCE: usize = 10_000;

/// The clock of a cluster, which times back-offs, deadlines, times to live, events, bookmarks and stamps.
///
/// A clone is another handle on the same clock. By default it is the system's. A driven one stands still until
/// [`Clock::advance`] moves it, so that a delay of days is tested exactly and at once. It does not depend on tokio's
/// paused time: sockets, files and the processes of pods go on in real time, whatever this clock says.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), wm_local::StartError> {
/// use std::time::{Duration, SystemTime};
///
/// use wm_local::{Clock, Cluster, ClusterOptions};
///
/// let mut options = ClusterOptions::default();
/// options.clock = Clock::driven(SystemTime::UNIX_EPOCH);
/// let cluster = Cluster::start(options).await?;
/// cluster.clock().advance(Duration::from_secs(172_800)).await;
/// assert_eq!(cluster.clock().now(), SystemTime::UNIX_EPOCH + Duration::from_secs(172_800));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The time of day at the beginning; `None` is whatever the system says.
    origin: Option<Timestamp>,
    /// When it began to run; `None` if it is driven.
    began: Option<Instant>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How far it was advanced.
    advanced: Duration,
    timers: BTreeMap<(Moment, u64), Waker>,
    last_timer: u64,
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("State")
            .field("advanced", &self.advanced)
            .field("timers", &self.timers.len())
            .finish_non_exhaustive()
    }
}

/// A point of a clock's time, which never goes back.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Moment(Duration);

impl Moment {
    /// How long it is since an earlier moment; zero if that is a later one.
    pub(crate) fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::new(None, Some(Instant::now()))
    }

    /// A clock that stands still at `start` until it is advanced.
    pub fn driven(start: SystemTime) -> Self {
        Self::new(Some(Timestamp::try_from(start).unwrap_or_default()), None)
    }

    /// A running clock that takes even the time of day from tokio, whose time a test may pause.
    #[cfg(test)]
    pub(crate) fn following_tokio() -> Self {
        Self::new(Some(Timestamp::now()), Some(Instant::now()))
    }

    fn new(origin: Option<Timestamp>, began: Option<Instant>) -> Self {
        Self { shared: Arc::new(Shared { origin, began, state: Mutex::default() }) }
    }

    /// The time of day in the cluster.
    pub fn now(&self) -> SystemTime {
        self.timestamp().into()
    }

    /// Moves the clock forward. What is due on the way happens in the order of its times, each at its own time.
    ///
    /// What follows from a timer inside the cluster, such as the next pod after a back-off, has begun when this
    /// returns; what a process does takes its own time and is to be awaited, for example by a watch. A timer that
    /// is set on the way and is due by the end fires as well. This is exact on a runtime of one thread, as tests have;
    /// with more threads a timer may be set a little late on the way. The system's clock can be advanced too: it then
    /// runs ahead of the system.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the clock at the last timer that has fired.
    pub async fn advance(&self, duration: Duration) {
        // What was asked of the cluster before may not have set its timers yet.
        take_turns().await;
        let target = self.moment() + duration;
        while let Some((place, waker)) = self.first_until(target) {
            self.move_to(place.0);
            waker.wake();
            let mut patience = PATIENCE;
            while patience > 0 && self.lock().timers.contains_key(&place) {
                patience -= 1;
                tokio::task::yield_now().await;
            }
            // Nobody has come for it: it must not fire again and again.
            self.lock().timers.remove(&place);
            take_turns().await;
        }
        self.move_to(target);
        // On a running clock these slept by the system's time, which is no longer theirs.
        if self.shared.began.is_some() {
            let timers = self.lock().timers.clone();
            timers.into_values().for_each(Waker::wake);
        }
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        let shared = &self.shared;
        let advanced = self.lock().advanced;
        let (base, passed) = match (shared.origin, shared.began) {
            (None, _) => (Timestamp::now(), advanced),
            (Some(origin), None) => (origin, advanced),
            (Some(origin), Some(began)) => (origin, began.elapsed() + advanced),
        };
        base.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// The time as Kubernetes writes most times: whole seconds.
    pub(crate) fn seconds(&self) -> String {
        timestamp::seconds(self.timestamp())
    }

    pub(crate) fn moment(&self) -> Moment {
        let running = self.shared.began.map_or(Duration::ZERO, |began| began.elapsed());
        Moment(running.saturating_add(self.lock().advanced))
    }

    /// Waits. Cancel safe.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.moment() + duration)
    }

    /// Waits for a moment. Cancel safe.
    pub(crate) fn sleep_until(&self, until: Moment) -> Sleep {
        Sleep::new(self.clone(), until)
    }

    /// Waits, for ever if there is no time. Cancel safe.
    pub(crate) async fn sleep_if(&self, duration: Option<Duration>) {
        self.sleep_until_if(duration.map(|duration| self.moment() + duration)).await;
    }

    /// Waits for a moment, for ever if there is none. Cancel safe.
    pub(crate) async fn sleep_until_if(&self, until: Option<Moment>) {
        match until {
            Some(until) => self.sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    fn is_driven(&self) -> bool {
        self.shared.began.is_none()
    }

    fn first_until(&self, target: Moment) -> Option<((Moment, u64), Waker)> {
        let state = self.lock();
        let (place, waker) = state.timers.first_key_value().filter(|(place, _)| place.0 <= target)?;
        Some((*place, waker.clone()))
    }

    fn move_to(&self, moment: Moment) {
        let now = self.moment();
        let missing = moment.0.saturating_sub(now.0);
        self.lock().advanced += missing;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

async fn take_turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// How long it is from `now` until `then`; zero if that has passed.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}
