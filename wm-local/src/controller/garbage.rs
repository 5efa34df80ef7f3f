//! The garbage collector: what is owned goes with its owner, or is left to itself.

use serde_json::Value;
use tracing::debug;

use crate::store::{Change, DeleteOptions, Key, Kind, Propagation, Store, StoreEvent, meta};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Collects until the store is gone.
pub(super) async fn run(store: Store) {
    let mut events = store.subscribe();
    for kind in Kind::ALL {
        for object in store.list(kind, None).0 {
            let key = Key::new(kind, meta(&object, "namespace"), meta(&object, "name"));
            attend(&store, &key, &object);
        }
    }
    while let Some(event) = events.next().await {
        observe(&store, &event);
    }
}

fn observe(store: &Store, event: &StoreEvent) {
    if event.change != Change::Deleted {
        let (old, new) = (event.previous(), event.object());
        let is_news =
            |field: &str| old.as_ref().is_none_or(|old| old["metadata"][field] != new["metadata"][field]);
        if is_news("ownerReferences") || is_news("finalizers") || is_news("deletionTimestamp") {
            // As it is now: what it owned or was owned by then may have been let go since.
            if let Some(current) = store.get(&event.key) {
                attend(store, &event.key, &current);
            }
        }
        return;
    }
    let last = event.object();
    for (key, dependent) in store.dependents(meta(&last, "uid")) {
        collect_if_unowned(store, &key, &dependent);
    }
    // Its owners may have waited for it.
    for owner in owners(&last) {
        if let Some((key, owner)) = store.get_by_uid(owner) {
            attend(store, &key, &owner);
        }
    }
}

/// Does what an object's own deletion, or that of its owners, asks for.
fn attend(store: &Store, key: &Key, object: &Value) {
    if owners(object).next().is_some() {
        collect_if_unowned(store, key, object);
    }
    if meta(object, "deletionTimestamp").is_empty() {
        return;
    }
    let uid = meta(object, "uid");
    if has_finalizer(object, ORPHAN) {
        for (dependent, _) in store.dependents(uid) {
            change(store, &dependent, |metadata| {
                retain(metadata, "ownerReferences", |owner| owner["uid"] != uid);
            });
        }
        change(store, key, |metadata| {
            retain(metadata, "finalizers", |finalizer| finalizer != ORPHAN);
        });
    } else if has_finalizer(object, FOREGROUND) {
        let mut is_waiting = false;
        for (dependent, value) in store.dependents(uid) {
            let blocks =
                references(&value).any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == true);
            if meta(&value, "deletionTimestamp").is_empty() {
                delete(store, &dependent);
            }
            is_waiting |= blocks && store.get(&dependent).is_some();
        }
        if !is_waiting {
            change(store, key, |metadata| {
                retain(metadata, "finalizers", |finalizer| finalizer != FOREGROUND);
            });
        }
    }
}

/// Deletes an object none of whose owners exists. Owners of kinds that are not served are beyond knowledge.
fn collect_if_unowned(store: &Store, key: &Key, object: &Value) {
    let exists = |owner: &Value| {
        let is_served = Kind::ALL.iter().any(|kind| owner["kind"] == kind.kind());
        !is_served || owner["uid"].as_str().is_some_and(|uid| store.get_by_uid(uid).is_some())
    };
    if references(object).any(exists) || !meta(object, "deletionTimestamp").is_empty() {
        return;
    }
    delete(store, key);
}

fn delete(store: &Store, key: &Key) {
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    if let Err(error) = store.delete(key, &options) {
        debug!(object = %key, %error, "Dependent was gone already");
    }
}

fn change(store: &Store, key: &Key, edit: impl FnOnce(&mut Value)) {
    let changed = store.update(key, |object| {
        edit(&mut object["metadata"]);
        Ok(())
    });
    if let Err(error) = changed {
        debug!(object = %key, %error, "Object was gone already");
    }
}

/// Keeps some elements of a list, which goes when it is empty.
fn retain(metadata: &mut Value, field: &str, keep: impl Fn(&Value) -> bool) {
    let Some(metadata) = metadata.as_object_mut() else { return };
    if let Some(Value::Array(list)) = metadata.get_mut(field) {
        list.retain(keep);
        if list.is_empty() {
            metadata.remove(field);
        }
    }
}

fn has_finalizer(object: &Value, name: &str) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == name))
}

fn references(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

fn owners(object: &Value) -> impl Iterator<Item = &str> {
    references(object).filter_map(|owner| owner["uid"].as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::task::JoinSet;

    use super::*;
    use crate::store::Subscription;

    struct Cluster {
        store: Store,
        events: Subscription,
        _tasks: JoinSet<()>,
    }

    impl Cluster {
        /// A Job that owns a Secret.
        fn start() -> Self {
            let store = Store::new(crate::clock::Clock::system(), 0);
            let events = store.subscribe();
            let job = store.create(Kind::Job, "default", json!({"metadata": {"name": "owner"}})).unwrap();
            store.create(Kind::Secret, "default", owned_by(meta(&job, "uid"))).unwrap();
            let mut tasks = JoinSet::new();
            tasks.spawn(run(store.clone()));
            Self { store, events, _tasks: tasks }
        }

        fn delete_job(&self, propagation: Propagation) {
            let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
            self.store.delete(&Key::new(Kind::Job, "default", "owner"), &options).unwrap();
        }

        async fn removed(&mut self) -> (Kind, Arc<Value>) {
            loop {
                let event = self.events.next().await.unwrap();
                if event.change == Change::Deleted {
                    return (event.key.kind, event.object());
                }
            }
        }
    }

    fn owned_by(uid: &str) -> Value {
        json!({"metadata": {"name": "owned", "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "owner", "uid": uid, "blockOwnerDeletion": true},
        ]}})
    }

    #[tokio::test]
    async fn in_the_background_the_owner_goes_first() {
        let mut cluster = Cluster::start();
        cluster.delete_job(Propagation::Background);
        assert_eq!(cluster.removed().await.0, Kind::Job);
        assert_eq!(cluster.removed().await.0, Kind::Secret);
    }

    #[tokio::test]
    async fn in_the_foreground_the_owner_waits_for_what_it_owns() {
        let mut cluster = Cluster::start();
        cluster.delete_job(Propagation::Foreground);
        assert_eq!(cluster.removed().await.0, Kind::Secret);
        assert_eq!(cluster.removed().await.0, Kind::Job);
    }

    #[tokio::test]
    async fn an_orphan_stays_without_an_owner() {
        let mut cluster = Cluster::start();
        cluster.delete_job(Propagation::Orphan);
        assert_eq!(cluster.removed().await.0, Kind::Job);
        let secret = cluster.store.get(&Key::new(Kind::Secret, "default", "owned")).unwrap();
        assert_eq!(secret["metadata"].get("ownerReferences"), None);
    }

    #[tokio::test]
    async fn an_orphan_that_was_changed_just_before_stays() {
        let mut cluster = Cluster::start();
        let key = Key::new(Kind::Secret, "default", "owned");
        cluster.delete_job(Propagation::Orphan);
        // Seen only after the owner is gone, and with the owner in it.
        change(&cluster.store, &key, |metadata| metadata["finalizers"] = json!(["example.com/mine"]));
        assert_eq!(cluster.removed().await.0, Kind::Job);
        let mut marker = owned_by("no-such-uid");
        marker["metadata"]["name"] = "marker".into();
        cluster.store.create(Kind::ConfigMap, "default", marker).unwrap();
        assert_eq!(cluster.removed().await.0, Kind::ConfigMap);
        let secret = cluster.store.get(&key).unwrap();
        assert_eq!(secret["metadata"].get("deletionTimestamp"), None);
    }

    #[tokio::test]
    async fn what_an_unknown_uid_owns_is_collected_at_once() {
        let mut cluster = Cluster::start();
        cluster.store.remove(&Key::new(Kind::Secret, "default", "owned"));
        cluster.removed().await;
        cluster.store.create(Kind::ConfigMap, "default", owned_by("no-such-uid")).unwrap();
        assert_eq!(cluster.removed().await.0, Kind::ConfigMap);
    }

    #[tokio::test]
    async fn an_owner_of_a_kind_that_is_not_served_is_trusted() {
        let mut cluster = Cluster::start();
        let mut trusting = owned_by("elsewhere");
        trusting["metadata"]["ownerReferences"][0]["kind"] = "Deployment".into();
        cluster.store.create(Kind::ConfigMap, "default", trusting).unwrap();
        cluster.delete_job(Propagation::Background);
        assert_eq!(cluster.removed().await.0, Kind::Job);
        assert_eq!(cluster.removed().await.0, Kind::Secret);
        assert!(cluster.store.get(&Key::new(Kind::ConfigMap, "default", "owned")).is_some());
    }
}
