//! The last events, from which watches read and old lists are made.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::Value;

use super::{Document, Key, Kind, Listed};

/// How many events are kept. A watch that is further behind is told to list again (410), as by a real server.
const CAPACITY: usize = 8192;

/// Of how many changes the objects are kept ready for use; those of older ones are kept as text.
const READY: usize = 256;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change of one object.
#[derive(Debug)]
pub(crate) struct StoreEvent {
    pub(crate) change: Change,
    pub(crate) key: Key,
    pub(super) object: Arc<Document>,
    pub(super) previous: Option<Arc<Document>>,
    pub(crate) version: u64,
}

impl StoreEvent {
    /// The new state, or the last one of a deleted object.
    pub(crate) fn object(&self) -> Arc<Value> {
        self.object.value()
    }

    /// The state before; `None` if and only if it was added.
    pub(crate) fn previous(&self) -> Option<Arc<Value>> {
        Some(self.previous.as_ref()?.value())
    }

    /// The object as JSON, encoded once however many watch it.
    pub(crate) fn encoded(&self) -> Bytes {
        self.object.encoded()
    }
}

/// The history does not reach back to the version asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The oldest version that can be resumed from.
    pub(crate) oldest: u64,
}

#[derive(Debug, Default)]
pub(super) struct History {
    /// Consecutive versions, the last one being the store's.
    events: VecDeque<Arc<StoreEvent>>,
}

impl History {
    pub(super) fn push(&mut self, event: Arc<StoreEvent>) {
        if self.events.len() == CAPACITY {
            self.events.pop_front();
        }
        self.events.push_back(event);
        // What was there before is the object of an event that is older still.
        if let Some(index) = self.events.len().checked_sub(READY) {
            self.events[index].object.fold();
        }
    }

    pub(super) fn oldest(&self, now: u64) -> u64 {
        now - self.events.len() as u64
    }

    pub(super) fn since(&self, version: u64, now: u64) -> Result<Vec<Arc<StoreEvent>>, Expired> {
        let oldest = self.oldest(now);
        if version < oldest {
            return Err(Expired { oldest });
        }
        let skip = usize::try_from(version - oldest).unwrap_or(usize::MAX);
        Ok(self.events.iter().skip(skip).cloned().collect())
    }
}

/// Takes back `events` from a list of `kind` that shows at least the state before the last of them.
///
/// Going backwards, each event restores its `previous` state, so it does not matter whether the list already shows it.
pub(super) fn rewind(
    now: Vec<Listed>,
    events: &[Arc<StoreEvent>],
    kind: Kind,
    namespace: Option<&str>,
) -> Vec<Listed> {
    let place = |key: &Key| (key.namespace.clone(), key.name.clone());
    let mut objects: BTreeMap<(String, String), Listed> =
        now.into_iter().map(|listed| (place(&listed.0), listed)).collect();
    let concerned = events.iter().rev().filter(|event| {
        event.key.kind == kind && namespace.is_none_or(|namespace| event.key.namespace == namespace)
    });
    for event in concerned {
        match &event.previous {
            Some(previous) => objects.insert(place(&event.key), (event.key.clone(), Arc::clone(previous))),
            None => objects.remove(&place(&event.key)),
        };
    }
    objects.into_values().collect()
}
