//! The node's agent: what a kubelet and a scheduler do, for one node that takes every pod.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    Shared,
    halt::{Halt, Urgency},
    pod::{PodWorker, grace_period, leave},
};
use crate::store::{Change, Key, Kind, StoreEvent, meta};

/// How long the pods of a cluster that is shut down have to end by themselves.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How long a pod has whose deletion is forced.
const FORCED_GRACE: Duration = Duration::from_secs(2);

pub(super) struct Agent {
    shared: Arc<Shared>,
    /// The pods that are seen to, by uid.
    workers: HashMap<String, Halt>,
    tasks: JoinSet<Done>,
}

/// What a task of the agent has done.
enum Done {
    Pod(String),
    Removal,
}

impl Agent {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, workers: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Works until it is told to shut down or the store is gone; then ends all pods.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut events = self.shared.store.subscribe();
        for pod in self.shared.store.list(Kind::Pod, None).0 {
            let key = Key::new(Kind::Pod, meta(&pod, "namespace"), meta(&pod, "name"));
            self.attend(&key, &pod);
        }
        let mut changes = self.shared.faults.changes();
        loop {
            tokio::select! {
                // What has happened before the shutdown is still attended to.
                biased;
                event = events.next() => match event {
                    Some(event) => self.observe(&event),
                    None => break,
                },
                Some(done) = self.tasks.join_next() => self.finish(done),
                () = self.shared.faults.changed(&mut changes) => self.catch_up(),
                () = shutdown.cancelled() => break,
            }
        }
        for halt in self.workers.values() {
            halt.stop(Urgency::Within(SHUTDOWN_GRACE));
        }
        while let Some(done) = self.tasks.join_next().await {
            self.finish(done);
        }
    }

    fn observe(&mut self, event: &StoreEvent) {
        match (event.key.kind, event.change) {
            (Kind::Pod, Change::Deleted) => {
                let last = event.object();
                let uid = meta(&last, "uid");
                match self.workers.get(uid) {
                    // A node that hears nothing runs on.
                    Some(_) if is_placed(&last) && self.shared.is_unreachable() => {}
                    Some(halt) => halt.stop(Urgency::Now),
                    None => self.clear(uid),
                }
            }
            (Kind::Pod, _) => self.attend(&event.key, &event.object()),
            (Kind::Node, _) => self.shared.node_changes.send_replace(()),
            (Kind::Secret | Kind::ConfigMap, Change::Added | Change::Modified) => {
                // It fails only if no container waits.
                self.shared.config_changes.send(event.key.clone()).ok();
            }
            _ => {}
        }
    }

    fn attend(&mut self, key: &Key, pod: &Value) {
        let uid = meta(pod, "uid");
        let is_going = !meta(pod, "deletionTimestamp").is_empty();
        if let Some(halt) = self.workers.get(uid) {
            if is_going && !(is_placed(pod) && self.shared.is_unreachable()) {
                halt.stop(Urgency::Within(time_to_end(pod)));
            }
            return;
        }
        if is_placed(pod) {
            // Seen through before: the event is older than its end.
            return;
        }
        if is_going {
            return leave(&self.shared.store, key, uid);
        }
        // A pod that asks for another scheduler waits for that.
        if !matches!(pod["spec"]["schedulerName"].as_str(), None | Some("" | "default-scheduler")) {
            return;
        }
        let halt = Halt::default();
        self.workers.insert(uid.to_owned(), halt.clone());
        let worker =
            PodWorker { shared: Arc::clone(&self.shared), key: key.clone(), uid: uid.to_owned(), halt };
        self.tasks.spawn(async move {
            let uid = worker.uid.clone();
            worker.run().await;
            Done::Pod(uid)
        });
    }

    /// Does what could not be heard of while the node was unreachable.
    fn catch_up(&mut self) {
        if self.shared.is_unreachable() {
            return;
        }
        for (uid, halt) in &self.workers {
            match self.shared.store.get_by_uid(uid) {
                None => halt.stop(Urgency::Now),
                Some((_, pod)) if !meta(&pod, "deletionTimestamp").is_empty() => {
                    halt.stop(Urgency::Within(grace_period(&pod)));
                }
                Some(_) => {}
            }
        }
    }

    fn finish(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Removal) => {}
            Ok(Done::Pod(uid)) => {
                self.workers.remove(&uid);
                if self.shared.store.get_by_uid(&uid).is_none() {
                    self.clear(&uid);
                }
            }
            Err(error) => error!(%error, "A pod was lost by its worker"),
        }
    }

    /// Removes what a pod that is gone has left.
    fn clear(&mut self, uid: &str) {
        self.shared.logs.forget(uid);
        let directory = self.shared.directories.pod(uid);
        self.tasks.spawn(async move {
            match tokio::fs::remove_dir_all(&directory).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    warn!(%error, "Directory of a deleted pod can't be removed");
                }
                _ => {}
            }
            Done::Removal
        });
    }
}

/// How long a pod has: one whose deletion is forced still gets a little, which its object may not wait for.
fn time_to_end(pod: &Value) -> Duration {
    let is_forced = pod["metadata"]["deletionGracePeriodSeconds"] == 0
        && pod["spec"]["terminationGracePeriodSeconds"].as_u64() != Some(0);
    if is_forced { FORCED_GRACE } else { grace_period(pod) }
}

fn is_placed(pod: &Value) -> bool {
    !pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty()
}
