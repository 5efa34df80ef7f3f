//! Faults: how the cluster is made to fail as real ones do, on purpose and reproducibly.
//!
//! A [`Fault`] is an [`Effect`], a selection of what it is done to, and how often. It is given to the cluster at its
//! start, at run time through [`Faults`] or over HTTP at `/faults/v1`, or to one object by an annotation. Which of the
//! matching requests or pods is hit follows from the cluster's seed alone.

mod catalog;
mod duration;
mod effect;
mod fault;
mod journal;
mod refusal;
mod selector;
mod table;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::table::Table;
pub use self::{
    catalog::{CATALOG, CatalogEntry},
    effect::{Effect, ImageFault, OutOfMemory, Refusal, RetryAfter, Shortage},
    fault::{Fault, FaultError},
    journal::Injection,
    selector::Selector,
    table::ActiveFault,
};
pub(crate) use self::{
    refusal::refuse,
    selector::{Occasion, on_pod},
    table::{Hit, annotated, check_annotations},
};
use crate::clock::Clock;

/// The faults of a running cluster; a clone is another handle on the same ones.
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    table: Mutex<Table>,
    /// Counts the changes of what is active.
    changes: watch::Sender<u64>,
}

impl Faults {
    pub(crate) fn new(seed: u64, clock: Clock, faults: &[Fault]) -> Self {
        let shared = Shared { clock, table: Mutex::new(Table::new(seed)), changes: watch::Sender::new(0) };
        let handle = Self { shared: Arc::new(shared) };
        for fault in faults {
            handle.inject(fault.clone());
        }
        handle
    }

    /// Makes a fault active and returns its number, by which it can be lifted.
    pub fn inject(&self, fault: Fault) -> u64 {
        let id = self.table().inject(fault, self.shared.clock.timestamp());
        self.tell();
        id
    }

    /// Lifts a fault. Returns whether it was active.
    pub fn lift(&self, id: u64) -> bool {
        let was_active = self.table().lift(id);
        self.tell();
        was_active
    }

    /// Lifts all faults.
    pub fn lift_all(&self) {
        self.table().lift_all();
        self.tell();
    }

    /// The faults that were injected and not lifted, in the order of their numbers.
    pub fn active(&self) -> Vec<ActiveFault> {
        self.table().active()
    }

    /// What was done so far, in order; the oldest entries go when there are 10,000.
    ///
    /// With one seed and the same requests it is the same in each run, but for the order of what happened side by side.
    pub fn journal(&self) -> Vec<Injection> {
        self.table().journal()
    }

    /// What hits on this occasion, of the faults that are asked for by number and content.
    pub(crate) fn hits(&self, occasion: &Occasion<'_>, wanted: impl FnMut(u64, &Fault) -> bool) -> Vec<Hit> {
        self.table().hits(occasion, self.shared.clock.timestamp(), wanted)
    }

    /// The first hit on this occasion, of the effects that are asked for; no later one is tried.
    pub(crate) fn first(&self, occasion: &Occasion<'_>, wanted: impl Fn(&Effect) -> bool) -> Option<Hit> {
        self.table().first(occasion, self.shared.clock.timestamp(), |_, fault| wanted(&fault.effect))
    }

    /// Whether a fault with this effect is active now, to whatever it is done.
    pub(crate) fn has(&self, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.table().has(self.shared.clock.timestamp(), wanted)
    }

    /// Whether this fault is active now.
    pub(crate) fn is_active(&self, id: u64) -> bool {
        self.table().is_active(id, self.shared.clock.timestamp())
    }

    /// Whether nothing at all is active, so that nobody needs to look closer.
    pub(crate) fn is_quiet(&self) -> bool {
        self.table().is_empty()
    }

    /// The clock by which faults last.
    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Waits until what is active changes: something is injected or lifted, or a window opens or closes. Cancel safe.
    pub(crate) async fn changed(&self, changes: &mut watch::Receiver<u64>) {
        let edge = self.table().next_edge(self.shared.clock.timestamp());
        tokio::select! {
            // The sender is here, so it can't have gone.
            _ = changes.changed() => {}
            () = self.shared.clock.sleep_if(edge) => {}
        }
    }

    /// Notes that a fault was done because an object's annotation asks for it.
    pub(crate) fn note(&self, occasion: &Occasion<'_>, fault: String) {
        self.table().note(Injection { id: 0, fault, target: occasion.stream(), index: 0 });
    }

    /// For [`Faults::changed`].
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn tell(&self) {
        self.shared.changes.send_modify(|count| *count += 1);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
