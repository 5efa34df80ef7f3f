//! The namespace controller: what is in a namespace goes with it, and when all is gone, so does the namespace.

use std::collections::HashSet;

use serde_json::{Value, json};
use tracing::debug;

use crate::store::{Change, DeleteOptions, Key, Kind, Propagation, Store, StoreEvent, meta};

/// Works until the store is gone.
pub(super) async fn run(store: Store) {
    let mut events = store.subscribe();
    let mut controller = NamespaceController { store, terminating: HashSet::new(), gone: HashSet::new() };
    while let Some(event) = events.next().await {
        controller.observe(&event);
    }
}

struct NamespaceController {
    store: Store,
    /// The namespaces that are being emptied.
    terminating: HashSet<String>,
    /// Those that are gone: what somebody still puts in there is removed as well.
    gone: HashSet<String>,
}

impl NamespaceController {
    fn observe(&mut self, event: &StoreEvent) {
        let key = &event.key;
        match (key.kind, event.change) {
            (Kind::Namespace, Change::Deleted) => self.gone.extend(self.terminating.take(&key.name)),
            (Kind::Namespace, _) => {
                self.gone.remove(&key.name);
                if !meta(&event.object(), "deletionTimestamp").is_empty() {
                    self.terminating.insert(key.name.clone());
                    self.empty(&key.name);
                }
            }
            (_, Change::Deleted) if self.terminating.contains(&key.namespace) => self.empty(&key.namespace),
            (_, Change::Added)
                if self.terminating.contains(&key.namespace) || self.gone.contains(&key.namespace) =>
            {
                delete(&self.store, key);
            }
            _ => {}
        }
    }

    /// Deletes all that is there, and lets the namespace go when nothing is.
    fn empty(&self, namespace: &str) {
        for (kind, object) in contents(&self.store, namespace) {
            if meta(&object, "deletionTimestamp").is_empty() {
                delete(&self.store, &Key::new(kind, namespace, meta(&object, "name")));
            }
        }
        if contents(&self.store, namespace).next().is_some() {
            return;
        }
        let finalized = self.store.update(&Key::new(Kind::Namespace, "", namespace), |object| {
            object["spec"]["finalizers"] = json!([]);
            Ok(())
        });
        if let Err(error) = finalized {
            debug!(namespace, %error, "Namespace was gone already");
        }
    }
}

fn contents(store: &Store, namespace: &str) -> impl Iterator<Item = (Kind, std::sync::Arc<Value>)> {
    let kinds = Kind::ALL.into_iter().filter(|kind| kind.is_namespaced());
    kinds.flat_map(move |kind| {
        let (objects, _) = store.list(kind, Some(namespace));
        objects.into_iter().map(move |object| (kind, object))
    })
}

fn delete(store: &Store, key: &Key) {
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    if let Err(error) = store.delete(key, &options) {
        debug!(object = %key, %error, "Object was gone already");
    }
}
