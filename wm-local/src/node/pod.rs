//! One pod on the node: it is placed, its containers are run, and how they end becomes its status.

use std::{sync::Arc, time::Duration};

use futures::stream::{FuturesUnordered, StreamExt as _};
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{
    NODE_NAME, Shared,
    container::{Container, Report},
    eviction::Eviction,
    halt::{Halt, Urgency},
    status::{ContainerRecord, PodRecord, State},
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
        record.is_set_up = true;
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
        let of = |field: &str, reason| -> Vec<ContainerRecord> {
            let specs = pod["spec"][field].as_array().into_iter().flatten();
            specs.map(|spec| ContainerRecord::new(spec, reason)).collect()
        };
        let init = of("initContainers", "PodInitializing");
        let reason = if init.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        let record = PodRecord {
            init,
            containers: of("containers", reason),
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
        for index in 0..record.init.len() {
            self.run_some(pod, record, true, index..index + 1).await;
            let has_succeeded =
                matches!(&record.init[index].state, State::Terminated(end) if end.exit_code == 0);
            if !has_succeeded || self.halt.is_asked() {
                return;
            }
            if index + 1 == record.init.len() {
                self.write(record);
            }
        }
        let all = 0..record.containers.len();
        self.run_some(pod, record, false, all).await;
    }

    /// Runs some containers side by side until all have ended for good.
    async fn run_some(
        &self,
        pod: &Value,
        record: &mut PodRecord,
        is_init: bool,
        which: std::ops::Range<usize>,
    ) {
        let specs = &pod["spec"][if is_init { "initContainers" } else { "containers" }];
        let (reports, mut news) = mpsc::unbounded_channel();
        let mut running: FuturesUnordered<_> = which
            .map(|index| {
                let spec = &specs[index];
                let (shared, halt, reports) = (&*self.shared, &self.halt, reports.clone());
                Container { shared, pod, spec, is_init, index, halt, reports }.run()
            })
            .collect();
        drop(reports);
        let mut changes = self.shared.faults.changes();
        loop {
            let is_over = tokio::select! {
                biased;
                // What could not be told is told when the node is heard again.
                () = self.shared.faults.changed(&mut changes) => false,
                Some((index, report)) = news.recv() => {
                    take(record, is_init, index, report);
                    false
                }
                ended = running.next() => ended.is_none(),
            };
            while let Ok((index, report)) = news.try_recv() {
                take(record, is_init, index, report);
            }
            // The last state goes with what follows from it, in one write.
            if is_over || running.is_empty() {
                return;
            }
            self.write(record);
        }
    }

    fn write(&self, record: &PodRecord) -> Option<Arc<Value>> {
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

fn take(record: &mut PodRecord, is_init: bool, index: usize, report: Report) {
    let list = if is_init { &mut record.init } else { &mut record.containers };
    let container = &mut list[index];
    match report {
        Report::Created { image_id, container_id } => {
            (container.image_id, container.container_id) = (image_id, container_id);
        }
        Report::Restarts(count) => container.restarts = count,
        Report::Is(state) => {
            if let State::Terminated(termination) = std::mem::replace(&mut container.state, state) {
                container.last = Some(termination);
            }
        }
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
