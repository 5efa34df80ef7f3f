//! Which workloads are in flight, so that one launched twice runs once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use wm_core::{Attempt, AttemptRequest, Workload, WorkloadId, WorkloadKind};

use super::{driver, handle::Run};

/// The runs in flight, by what was asked for.
#[derive(Debug, Default)]
pub(super) struct Registry {
    flights: Mutex<HashMap<Arc<Key>, Arc<Run>>>,
}

/// What makes two launches the same: its workload, its spec, and the attempt if one was named.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    workload: WorkloadId,
    kind: WorkloadKind,
    fingerprint: String,
    attempt: Option<Attempt>,
}

/// A run in flight. Dropping it ends the flight and tells those who wait, also when its driver panics or is dropped.
#[derive(Debug)]
pub(super) struct Flight {
    registry: Arc<Registry>,
    key: Arc<Key>,
    run: Arc<Run>,
    /// One that was cancelled in line, whose record the backend has yet to drop: it must not be adopted.
    predecessor: Option<Arc<Run>>,
}

impl Key {
    pub(super) fn of(workload: &Workload) -> Self {
        Self {
            workload: workload.id().clone(),
            kind: workload.kind(),
            fingerprint: workload.fingerprint(),
            attempt: match workload.attempt() {
                AttemptRequest::Next => None,
                AttemptRequest::Exactly(attempt) => Some(attempt),
            },
        }
    }
}

impl Registry {
    /// Finds the run of the same launch, unless it has ended; else begins one with what `admit` gives.
    pub(super) fn join_or<T, E>(
        self: &Arc<Self>,
        key: Key,
        admit: impl FnOnce() -> Result<(Arc<Run>, T), E>,
    ) -> Result<Result<Arc<Run>, (Flight, T)>, E> {
        let mut flights = self.flights();
        let predecessor = flights.get(&key).map(Arc::clone);
        if let Some(run) = &predecessor
            && !run.progress.borrow().has_ended()
        {
            return Ok(Ok(Arc::clone(run)));
        }
        let (run, admitted) = admit()?;
        let key = Arc::new(key);
        flights.insert(Arc::clone(&key), Arc::clone(&run));
        Ok(Err((Flight { registry: Arc::clone(self), key, run, predecessor }, admitted)))
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Arc<Key>, Arc<Run>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    pub(super) fn run(&self) -> &Arc<Run> {
        &self.run
    }

    pub(super) async fn predecessor_gone(&self) {
        if let Some(predecessor) = &self.predecessor {
            predecessor.until(|progress| progress.gone).await;
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flights = self.registry.flights();
        if flights.get(&self.key).is_some_and(|run| Arc::ptr_eq(run, &self.run)) {
            flights.remove(&self.key);
        }
        drop(flights);
        self.run.progress.modify(|progress| {
            progress.gone = true;
            if !progress.has_ended() {
                progress.failure = Some(Arc::new(driver::broken()));
            }
        });
    }
}
