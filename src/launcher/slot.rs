//! Slots and tickets that give themselves back, whatever happens to their holder.

use std::{
    collections::HashMap,
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::queue::{Admission, Queue, Tenant, Ticket};
use crate::metrics::{self, Counted};

/// What is suggested while nothing is known of how long runs take.
const UNKNOWN_WAIT: Duration = Duration::from_secs(30);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The queue, and who hears of a turn that has come.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    limit: NonZeroUsize,
    /// Counts the changes of the line.
    moves: watch::Sender<u64>,
    _counted: Counted,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    turns: HashMap<Ticket, (oneshot::Sender<Slot>, Tenant)>,
    /// A moving mean of how long runs take, in seconds.
    mean: Option<f64>,
}

/// What a request to run gets.
#[derive(Debug)]
pub(super) enum Place {
    Slot(Slot),
    Line(Waiting),
}

impl Slots {
    pub(super) fn new(slots: NonZeroUsize, room: usize) -> Arc<Self> {
        let queue = Queue::new(slots.get(), room);
        let state = State { queue, turns: HashMap::new(), mean: None };
        Arc::new(Self {
            state: Mutex::new(state),
            limit: slots,
            moves: watch::channel(0).0,
            _counted: Counted::slots(slots.get()),
        })
    }

    /// Gives a slot or a place in the line; else says how long to stay away.
    pub(super) fn admit(self: &Arc<Self>, priority: i32, tenant: Tenant) -> Result<Place, Duration> {
        let mut state = self.lock();
        match state.queue.admit(priority, &tenant) {
            Admission::Now => Ok(Place::Slot(Slot::new(self, tenant))),
            Admission::Later(ticket) => {
                let (sender, turn) = oneshot::channel();
                state.turns.insert(ticket, (sender, tenant));
                drop(state);
                self.moved();
                Ok(Place::Line(Waiting {
                    slots: Arc::clone(self),
                    ticket,
                    turn: Some(turn),
                    since: Instant::now(),
                    counted: Some(Counted::queued()),
                }))
            }
            Admission::Full => Err(self.wait(&state)),
        }
    }

    /// How many run and how many wait.
    pub(super) fn count(&self) -> (usize, usize) {
        let state = self.lock();
        (state.queue.running(), state.queue.waiting())
    }

    pub(super) fn position(&self, ticket: Ticket) -> Option<usize> {
        self.lock().queue.position(ticket)
    }

    /// Hears of each change of the line.
    pub(super) fn moves(&self) -> watch::Receiver<u64> {
        self.moves.subscribe()
    }

    fn wait(&self, state: &State) -> Duration {
        let Some(mean) = state.mean else { return UNKNOWN_WAIT };
        let ahead = u32::try_from(state.queue.waiting() + 1).unwrap_or(u32::MAX);
        let slots = u32::try_from(self.limit.get()).unwrap_or(u32::MAX);
        let seconds = mean * f64::from(ahead) / f64::from(slots);
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT);
        wait.clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }

    fn give_back(self: &Arc<Self>, tenant: &Tenant, took: Option<Duration>) {
        let turn = {
            let mut state = self.lock();
            if let Some(took) = took.as_ref().map(Duration::as_secs_f64) {
                state.mean = Some(state.mean.map_or(took, |mean| mean + (took - mean) / 5.0));
            }
            let next = state.queue.finish(tenant);
            next.and_then(|ticket| state.turns.remove(&ticket))
        };
        // Outside the lock: a slot that nobody takes any more comes straight back here.
        if let Some((sender, tenant)) = turn {
            drop(sender.send(Slot::new(self, tenant)));
        }
        self.moved();
    }

    fn moved(&self) {
        self.moves.send_modify(|moves| *moves += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, so what a poisoned one holds is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run; given back when dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    tenant: Tenant,
    since: Instant,
    /// Whether a run was seen to its end in it: of others the mean learns nothing.
    completed: bool,
    _counted: Counted,
}

impl Slot {
    fn new(slots: &Arc<Slots>, tenant: Tenant) -> Self {
        Self {
            slots: Arc::clone(slots),
            tenant,
            since: Instant::now(),
            completed: false,
            _counted: Counted::slot_in_use(),
        }
    }

    /// Gives the slot back after a run, of which the suggested wait learns.
    pub(super) fn complete(mut self) {
        self.completed = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let took = self.completed.then(|| self.since.elapsed());
        self.slots.give_back(&self.tenant, took);
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// A place in the line; left when dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    slots: Arc<Slots>,
    ticket: Ticket,
    turn: Option<oneshot::Receiver<Slot>>,
    since: Instant,
    /// Until it has its slot.
    counted: Option<Counted>,
}

impl Waiting {
    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Waits for the turn. Cancel safe: a dropped wait keeps the place.
    pub(super) async fn turn(&mut self) -> Slot {
        if let Some(turn) = &mut self.turn
            && let Ok(slot) = turn.await
        {
            self.turn = None;
            self.has_slot();
            return slot;
        }
        // The sender goes only when the slot is sent.
        std::future::pending().await
    }

    fn has_slot(&mut self) {
        if self.counted.take().is_some() {
            metrics::waited(self.since.elapsed());
        }
    }

    /// Counts the run as running without a turn, since it runs already.
    pub(super) async fn promote(mut self) -> Slot {
        let promoted = {
            let mut state = self.slots.lock();
            let promoted = state.queue.promote(self.ticket);
            if promoted { state.turns.remove(&self.ticket) } else { None }
        };
        self.slots.moved();
        if let Some((_, tenant)) = promoted {
            self.has_slot();
            return Slot::new(&self.slots, tenant);
        }
        // Its turn came at the same moment: the slot is on its way.
        self.turn().await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        {
            let mut state = self.slots.lock();
            state.queue.leave(self.ticket);
            state.turns.remove(&self.ticket);
        }
        self.slots.moved();
    }
}
