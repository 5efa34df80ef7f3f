//! One pod on the node: it is placed, its containers are run, and how they end becomes its status.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::broadcast;
use tracing::{debug, warn};

use super::{
    NODE_NAME, Shared,
    eviction::Eviction,
    halt::{Halt, Urgency},
    sequence::Sequence,
    status::{ContainerRecord, PodRecord},
    volumes::{self, Volume, VolumeError},
};
use crate::{
    faults::Effect,
    recorder::{Component, Severity},
    store::{ApiError, DeleteOptions, Key, Store, meta},
};

const DEADLINE: (&str, &str) =
    ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");

pub(super) struct PodWorker {
    pub(super) shared: Arc<Shared>,
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) halt: Halt,
}

impl PodWorker {
    /// Sees the pod through to its end, and out of the store if it is being deleted.
    pub(super) async fn run(self) {
        let Some(reservation) = self.scheduled().await else { return };
        let eviction = self.eviction();
        if let Some(eviction) = eviction.as_ref().filter(|eviction| eviction.after.is_none()) {
            return self.reject(eviction);
        }
        let Some((pod, mut record)) = self.place() else { return };
        let home = self.shared.directories.home(&self.uid);
        if let Err(error) = tokio::fs::create_dir_all(&home).await {
            warn!(pod = %self.key, %error, "Directory of the pod can't be made");
        }
        debug!(pod = %self.key, "Pod is placed");
        self.live(&pod, &mut record, eviction.as_ref()).await;
        record.has_ended = true;
        debug!(pod = %self.key, phase = record.phase(), "Pod has ended");
        if !self.reachable().await {
            return;
        }
        // What it had is free before it is told that it has ended.
        drop(reservation);
        let last = self.write(&record);
        if last.is_some_and(|pod| !meta(&pod, "deletionTimestamp").is_empty()) {
            leave(&self.shared.store, &self.key, &self.uid);
        }
    }

    /// Assigns the pod to this node, which is all the scheduling there is.
    fn place(&self) -> Option<(Arc<Value>, PodRecord)> {
        let now = self.shared.clock.timestamp();
        let pod = self.shared.store.get(&self.key)?;
        let of = |field: &str, record: &dyn Fn(&Value) -> ContainerRecord| -> Vec<ContainerRecord> {
            pod["spec"][field].as_array().into_iter().flatten().map(record).collect()
        };
        let init = of("initContainers", &|spec| ContainerRecord::init(spec, "PodInitializing"));
        let reason = if init.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        let record = PodRecord {
            init,
            containers: of("containers", &|spec| ContainerRecord::new(spec, reason)),
            start_time: now,
            is_set_up: false,
            has_ended: false,
            cause: None,
        };
        let placed = self.update(|pod| {
            pod["spec"]["nodeName"] = NODE_NAME.into();
            pod["status"] = record.render(pod, now);
        })?;
        self.shared.recorder.scheduled(&placed);
        Some((placed, record))
    }

    async fn live(&self, pod: &Value, record: &mut PodRecord, eviction: Option<&Eviction>) {
        let deadline = pod["spec"]["activeDeadlineSeconds"].as_u64().map(Duration::from_secs);
        let cause = {
            let mut containers = std::pin::pin!(self.run_all(pod, record));
            let cause = tokio::select! {
                () = &mut containers => return,
                () = self.shared.clock.sleep_if(deadline) => Some(self.exceed(pod)),
                () = self.shared.clock.sleep_if(eviction.and_then(|eviction| eviction.after)) => {
                    eviction.map(|eviction| self.evict(pod, eviction))
                }
                () = self.node_gone() => {
                    self.halt.stop(Urgency::Now);
                    None
                }
            };
            containers.await;
            cause
        };
        if cause.as_ref().is_some_and(|(reason, _)| *reason == "Evicted") {
            // The containers are removed, and their logs with them.
            self.shared.logs.forget(&self.uid);
        }
        record.cause = cause;
    }

    /// Begins to stop a pod that has run too long; the reason and the message for its status.
    fn exceed(&self, pod: &Value) -> (&'static str, String) {
        let (reason, message) = DEADLINE;
        self.shared.recorder.record(Component::Kubelet, pod, None, Severity::Normal, reason, message);
        self.halt.stop(Urgency::Within(grace_period(pod)));
        (reason, message.to_owned())
    }

    /// Waits until the node is gone.
    async fn node_gone(&self) {
        let mut changes = self.shared.faults.changes();
        while !self.shared.faults.has(|effect| *effect == Effect::NodeGone) {
            self.shared.faults.changed(&mut changes).await;
        }
    }

    /// Waits until the rest of the cluster hears of the node again. Not if the pod, or the cluster, is gone before.
    async fn reachable(&self) -> bool {
        let (mut changes, mut versions) = (self.shared.faults.changes(), self.shared.store.versions());
        loop {
            if !self.shared.is_unreachable() {
                return true;
            }
            if self.shared.store.get_by_uid(&self.uid).is_none() {
                return false;
            }
            tokio::select! {
                () = self.shared.stopping.cancelled() => return false,
                () = self.shared.faults.changed(&mut changes) => {}
                changed = versions.changed() => if changed.is_err() { return false },
            }
        }
    }

    async fn run_all(&self, pod: &Value, record: &mut PodRecord) {
        if self.make_volumes(pod).await {
            record.is_set_up = true;
            debug!(pod = %self.key, "Pod is set up");
            Sequence::new(self, pod, record).run().await;
        }
    }

    /// Whether all volumes are there. It waits for the objects that they are made from, or for the pod to stop.
    async fn make_volumes(&self, pod: &Value) -> bool {
        if pod["spec"]["volumes"].as_array().is_none_or(Vec::is_empty) {
            return true;
        }
        // Listens before it looks, so that no change is missed.
        let mut changes = self.shared.config_changes.subscribe();
        let lookup = |kind, name: &str| self.shared.store.get(&Key::new(kind, &self.key.namespace, name));
        loop {
            if self.halt.is_asked() {
                return false;
            }
            let error = match volumes::resolve(pod, &lookup) {
                Ok(volumes) => match self.write_volumes(volumes).await {
                    Ok(()) => return true,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let (kubelet, reason) = (Component::Kubelet, "FailedMount");
            self.shared.recorder.record(kubelet, pod, None, Severity::Warning, reason, &error.to_string());
            loop {
                tokio::select! {
                    () = self.halt.asked() => return false,
                    change = changes.recv() => match change {
                        Ok(key) if key.namespace == self.key.namespace && error.may_be_mended_by(key.kind, &key.name) => break,
                        Ok(_) => {}
                        // Some were missed, and one of them may have been it.
                        Err(broadcast::error::RecvError::Lagged(_)) => break,
                        Err(broadcast::error::RecvError::Closed) => return false,
                    },
                }
            }
        }
    }

    async fn write_volumes(&self, volumes: Vec<Volume>) -> Result<(), VolumeError> {
        let (shared, uid) = (Arc::clone(&self.shared), self.uid.clone());
        let made = tokio::task::spawn_blocking(move || volumes::make(&volumes, &shared.directories, &uid));
        made.await.unwrap_or_else(|error| Err(VolumeError::from_panic(&error)))
    }

    pub(super) fn write(&self, record: &PodRecord) -> Option<Arc<Value>> {
        if self.shared.is_unreachable() {
            return None;
        }
        let now = self.shared.clock.timestamp();
        self.update(|pod| pod["status"] = record.render(pod, now))
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        let updated = self.shared.store.update(&self.key, |pod| {
            // Another pod of this name is none of ours.
            if meta(pod, "uid") != self.uid {
                return Err(ApiError::not_found(self.key.kind, &self.key.name));
            }
            change(pod);
            Ok(())
        });
        updated.inspect_err(|error| debug!(pod = %self.key, %error, "Pod is gone")).ok()
    }
}

/// How long a pod has to end by itself.
pub(super) fn grace_period(pod: &Value) -> Duration {
    let grace = &pod["metadata"]["deletionGracePeriodSeconds"];
    let seconds = grace.as_u64().or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_u64());
    Duration::from_secs(seconds.unwrap_or(30))
}

/// Takes a pod that has ended, and is being deleted, out of the store, unless a finalizer keeps it.
pub(super) fn leave(store: &Store, key: &Key, uid: &str) {
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        uid: Some(uid.to_owned()),
        ..DeleteOptions::default()
    };
    if let Err(error) = store.delete(key, &options) {
        debug!(pod = %key, %error, "Pod was gone already");
    }
}
