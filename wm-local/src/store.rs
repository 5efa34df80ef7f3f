//! The object store: what etcd and the registry of a real API server are together.
//!
//! Every change has one version and makes one event, so versions are consecutive: the history is indexed by them.

mod deletion;
mod document;
mod history;
mod identities;
mod metadata;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::sync::{mpsc, watch};

pub(crate) use self::{
    deletion::{DeleteOptions, Deleted, Propagation},
    document::Document,
    history::{Change, Expired, StoreEvent},
    metadata::meta,
};
use self::{history::History, identities::Identities};
use crate::clock::Clock;
pub(crate) use crate::{
    error::ApiError,
    kind::{Key, Kind},
};

/// A handle on the store; a clone is another handle on the same one.
///
/// The lock is held for single operations only, never across an await.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    identities: Identities,
    state: Mutex<State>,
    /// The version of the last event. Watches wait for it.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    objects: HashMap<Kind, BTreeMap<(String, String), Arc<Document>>>,
    by_uid: HashMap<String, Key>,
    /// Dependents by the uid of their owner. An owner need not exist.
    by_owner: HashMap<String, BTreeSet<Key>>,
    history: History,
    subscribers: Vec<mpsc::UnboundedSender<Arc<StoreEvent>>>,
}

/// An object of a list, which is made ready for use when somebody looks at it.
pub(crate) type Listed = (Key, Arc<Document>);

/// All events from a moment on, in order. None is lost: the queue is unbounded, for readers in this process only.
#[derive(Debug)]
pub(crate) struct Subscription {
    receiver: mpsc::UnboundedReceiver<Arc<StoreEvent>>,
}

impl Subscription {
    /// The next event. `None` once the store is gone. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Arc<StoreEvent>> {
        self.receiver.recv().await
    }
}

impl Store {
    /// An empty store. The names and uids that it makes up follow from the seed.
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        let (identities, state) = (Identities::new(seed), Mutex::new(State::default()));
        Self { shared: Arc::new(Shared { clock, identities, state, version: watch::Sender::new(0) }) }
    }

    /// The time by which objects are stamped.
    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Sets kind, name (if it is to be generated), namespace, uid, creation time and generation where they are missing.
    pub(crate) fn identify(&self, kind: Kind, namespace: &str, object: &mut Value) {
        metadata::identify(kind, namespace, object, &self.shared.identities, self.clock());
    }

    /// Stores a new object. Sets what [`Store::identify`] sets and the resource version; a uid that is there stays.
    pub(crate) fn create(
        &self,
        kind: Kind,
        namespace: &str,
        mut object: Value,
    ) -> Result<Arc<Value>, ApiError> {
        self.identify(kind, namespace, &mut object);
        let name = meta(&object, "name").to_owned();
        if name.is_empty() {
            return Err(ApiError::internal("an object without a name was to be stored"));
        }
        let key = Key::new(kind, namespace, name);
        let mut state = self.lock();
        if let Some(existing) = state.find(&key) {
            let being_deleted = !meta(&existing, "deletionTimestamp").is_empty();
            return Err(ApiError::already_exists(kind, &key.name, being_deleted));
        }
        let version = state.put(&key, object);
        Ok(self.publish(&mut state, Change::Added, key, version))
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.lock().find(key)
    }

    /// Objects in the order of namespace and name, with the version that the list shows.
    pub(crate) fn list(&self, kind: Kind, namespace: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        let (found, version) = self.documents(kind, namespace);
        (found.iter().map(|(_, document)| document.value()).collect(), version)
    }

    /// The same for who may not look at all of them, or not at all of them at once.
    pub(crate) fn documents(&self, kind: Kind, namespace: Option<&str>) -> (Vec<Listed>, u64) {
        let state = self.lock();
        let Some(objects) = state.objects.get(&kind) else { return (Vec::new(), state.version) };
        let listed = |((namespace, name), document): (&(String, String), &Arc<Document>)| {
            (Key::new(kind, namespace, name), Arc::clone(document))
        };
        let found = match namespace {
            None => objects.iter().map(listed).collect(),
            Some(namespace) => objects
                .range((namespace.to_owned(), String::new())..)
                .take_while(|((in_namespace, _), _)| in_namespace == namespace)
                .map(listed)
                .collect(),
        };
        (found, state.version)
    }

    /// The object with this uid, of whatever kind.
    pub(crate) fn get_by_uid(&self, uid: &str) -> Option<(Key, Arc<Value>)> {
        let state = self.lock();
        let key = state.by_uid.get(uid)?;
        Some((key.clone(), state.find(key)?))
    }

    /// The objects with an ownerReference to this uid.
    pub(crate) fn dependents(&self, owner_uid: &str) -> Vec<(Key, Arc<Value>)> {
        let state = self.lock();
        let keys = state.by_owner.get(owner_uid).into_iter().flatten();
        keys.filter_map(|key| Some((key.clone(), state.find(key)?))).collect()
    }

    /// Changes an object in one step; nothing is stored and no event made if the change leaves it as it was.
    ///
    /// An object that is being deleted goes with its last finalizer (a Pod only once its grace period is set to 0);
    /// the answer is then its last state. Identity and resource version are not for `change` to set.
    pub(crate) fn update(
        &self,
        key: &Key,
        change: impl FnOnce(&mut Value) -> Result<(), ApiError>,
    ) -> Result<Arc<Value>, ApiError> {
        let mut state = self.lock();
        let Some(current) = state.find(key) else {
            return Err(ApiError::not_found(key.kind, &key.name));
        };
        let mut object = (*current).clone();
        change(&mut object)?;
        metadata::keep_identity(&current, &mut object);
        if object == *current {
            return Ok(current);
        }
        if key.kind.has_generation() && object.get("spec") != current.get("spec") {
            metadata::count_generation(&mut object);
        }
        if deletion::is_over(key.kind, &object) {
            let last =
                state.take(key, Some(object)).ok_or_else(|| ApiError::not_found(key.kind, &key.name))?;
            return Ok(self.publish(&mut state, Change::Deleted, key.clone(), last));
        }
        let version = state.put(key, object);
        Ok(self.publish(&mut state, Change::Modified, key.clone(), version))
    }

    /// Removes an object for good, whatever its finalizers.
    pub(crate) fn remove(&self, key: &Key) -> Option<Arc<Value>> {
        let mut state = self.lock();
        let last = state.take(key, None)?;
        Some(self.publish(&mut state, Change::Deleted, key.clone(), last))
    }

    /// Deletes as the API does: preconditions, grace period and finalizers decide whether it goes at once.
    ///
    /// A Pod on a node is only marked. It goes when its processes have ended, by a second delete with grace period 0
    /// (which honours finalizers) or by [`Store::remove`].
    pub(crate) fn delete(&self, key: &Key, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        let mut state = self.lock();
        let Some(current) = state.find(key) else {
            return Err(ApiError::not_found(key.kind, &key.name));
        };
        options.check(key, &current)?;
        let Some(marked) = deletion::mark(key.kind, &current, options, self.clock().timestamp()) else {
            if options.dry_run {
                return Ok(Deleted::Removed(current));
            }
            // A Pod is marked even if it goes at once.
            if let Some(marked) = deletion::farewell(key.kind, &current, self.clock().timestamp()) {
                let version = state.put(key, marked);
                self.publish(&mut state, Change::Modified, key.clone(), version);
            }
            let last = state.take(key, None).ok_or_else(|| ApiError::not_found(key.kind, &key.name))?;
            return Ok(Deleted::Removed(self.publish(&mut state, Change::Deleted, key.clone(), last)));
        };
        if options.dry_run {
            return Ok(Deleted::Marked(Arc::new(marked)));
        }
        if marked == *current {
            return Ok(Deleted::Marked(current));
        }
        let version = state.put(key, marked);
        Ok(Deleted::Marked(self.publish(&mut state, Change::Modified, key.clone(), version)))
    }

    /// Events of all kinds from now on.
    pub(crate) fn subscribe(&self) -> Subscription {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().subscribers.push(sender);
        Subscription { receiver }
    }

    /// The version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// The oldest version whose state is still known.
    pub(crate) fn oldest_version(&self) -> u64 {
        let state = self.lock();
        state.history.oldest(state.version)
    }

    /// Tells of each new version; with [`Store::events_since`] this is a watch that needs no queue of its own.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// What happened after `version`, as far back as the history goes.
    pub(crate) fn events_since(&self, version: u64) -> Result<Vec<Arc<StoreEvent>>, Expired> {
        let state = self.lock();
        state.history.since(version, state.version)
    }

    /// The objects as they were at `version`, in order, as far back as the history goes.
    pub(crate) fn list_at(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Vec<Listed>, Expired> {
        // Between the two calls more may happen; the events are taken last, so that none is missed.
        let (now, _) = self.documents(kind, namespace);
        let events = self.events_since(version)?;
        Ok(history::rewind(now, &events, kind, namespace))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held is a panic in `change`, before anything was stored.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &mut State, change: Change, key: Key, version: Version) -> Arc<Value> {
        let Version { object, document, previous } = version;
        let version = state.version;
        let event = Arc::new(StoreEvent { change, key, object: document, previous, version });
        state.history.push(Arc::clone(&event));
        state.subscribers.retain(|subscriber| subscriber.send(Arc::clone(&event)).is_ok());
        // Sent under the lock: versions must not be told out of order.
        self.shared.version.send_replace(version);
        object
    }
}

/// What a write made of an object.
struct Version {
    object: Arc<Value>,
    document: Arc<Document>,
    previous: Option<Arc<Document>>,
}

impl Version {
    fn new(object: Value, previous: Option<Arc<Document>>) -> Self {
        let object = Arc::new(object);
        Self { document: Arc::new(Document::new(Arc::clone(&object))), object, previous }
    }
}

impl State {
    fn find(&self, key: &Key) -> Option<Arc<Value>> {
        // The map is keyed by owned pairs; two short strings are cheaper than a borrowed key type is to read.
        Some(self.objects.get(&key.kind)?.get(&(key.namespace.clone(), key.name.clone()))?.value())
    }

    /// Stores an object under the next version.
    fn put(&mut self, key: &Key, mut object: Value) -> Version {
        self.version += 1;
        metadata::set_version(&mut object, self.version);
        let mut version = Version::new(object, None);
        let place = (key.namespace.clone(), key.name.clone());
        version.previous =
            self.objects.entry(key.kind).or_default().insert(place, Arc::clone(&version.document));
        if let Some(old) = &version.previous {
            self.forget(key, &old.value());
        }
        self.by_uid.insert(meta(&version.object, "uid").to_owned(), key.clone());
        for owner in metadata::owner_uids(&version.object) {
            self.by_owner.entry(owner.to_owned()).or_default().insert(key.clone());
        }
        version
    }

    /// Takes an object out under the next version, which its last state carries.
    fn take(&mut self, key: &Key, last: Option<Value>) -> Option<Version> {
        let place = (key.namespace.clone(), key.name.clone());
        let old = self.objects.get_mut(&key.kind)?.remove(&place)?;
        let value = old.value();
        self.forget(key, &value);
        self.version += 1;
        let mut last = last.unwrap_or_else(|| Arc::unwrap_or_clone(value));
        metadata::set_version(&mut last, self.version);
        Some(Version::new(last, Some(old)))
    }

    fn forget(&mut self, key: &Key, object: &Value) {
        self.by_uid.remove(meta(object, "uid"));
        for owner in metadata::owner_uids(object) {
            if let Some(dependents) = self.by_owner.get_mut(owner) {
                dependents.remove(key);
                if dependents.is_empty() {
                    self.by_owner.remove(owner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
