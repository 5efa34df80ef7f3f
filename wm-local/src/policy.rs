//! What a namespace allows in it: the levels of Pod Security, limit ranges, quotas.

mod quota;
mod ranges;
mod security;
mod standards;
mod usage;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

pub(crate) use self::ranges::complete;
use crate::{error::ApiError, kind::Kind, store::Store};

/// What is asked before an object is created. Clones count the same quotas.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    store: Store,
    /// Held from the look at a quota until the object is there.
    counting: Arc<Mutex<()>>,
}

impl Policy {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, counting: Arc::default() }
    }

    /// Completes and reviews a new object, all but its quotas. Returns the warnings for its creator.
    pub(crate) fn review(&self, kind: Kind, object: &mut Value) -> Result<Vec<String>, ApiError> {
        if kind == Kind::Pod {
            ranges::apply(&self.store, object)?;
        }
        security::review(&self.store, kind, object)
    }

    /// Refuses a new object that would exceed a quota.
    pub(crate) fn check_quotas(&self, kind: Kind, object: &Value) -> Result<(), ApiError> {
        quota::check(&self.store, kind, object)
    }

    /// Creates an object, if the quotas of its namespace have room for it.
    pub(crate) fn create(&self, kind: Kind, namespace: &str, object: Value) -> Result<Arc<Value>, ApiError> {
        if !has_quotas(&self.store, namespace) {
            return self.store.create(kind, namespace, object);
        }
        let _counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        quota::check(&self.store, kind, &object)?;
        self.store.create(kind, namespace, object)
    }
}

fn has_quotas(store: &Store, namespace: &str) -> bool {
    !namespace.is_empty() && !store.list(Kind::ResourceQuota, Some(namespace)).0.is_empty()
}

/// The quota controller: keeps the status of all quotas, until the store is gone.
pub(crate) async fn count_quotas(store: Store) {
    let mut events = store.subscribe();
    let mut limited: HashSet<String> = HashSet::new();
    while let Some(event) = events.next().await {
        let namespace = &event.key.namespace;
        if event.key.kind == Kind::ResourceQuota {
            if has_quotas(&store, namespace) {
                limited.insert(namespace.clone());
            } else {
                limited.remove(namespace);
            }
        }
        if limited.contains(namespace) {
            quota::count(&store, namespace);
        }
    }
}
