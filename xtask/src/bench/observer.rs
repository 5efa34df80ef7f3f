//! Sees the pods end, in a process that is neither the launcher nor the bound.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use kube::Client;
use tokio::{sync::watch, task::JoinSet};

use super::{
    follow::{self, Kind},
    process,
};
use crate::Failure;

/// Watches the Jobs and Pods of one measurement.
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    finished: watch::Receiver<usize>,
    watches: JoinSet<Result<(), Failure>>,
}

#[derive(Default)]
struct Seen {
    pods: HashMap<String, u64>,
    jobs: HashSet<String>,
}

impl Observer {
    /// Begins to watch the Jobs whose names begin so.
    pub(crate) async fn start(client: &Client, namespace: &str, prefix: &str) -> Result<Self, Failure> {
        let seen = Arc::<Mutex<Seen>>::default();
        let (sender, finished) = watch::channel(0);
        let sender = Arc::new(sender);
        let mut watches = JoinSet::new();
        for kind in [Kind::Job, Kind::Pod] {
            let version = follow::version(client, kind, namespace).await?;
            let (client, namespace, prefix) = (client.clone(), namespace.to_owned(), prefix.to_owned());
            let (seen, sender) = (Arc::clone(&seen), Arc::clone(&sender));
            watches.spawn(async move {
                let tell = |ended: follow::Ended| {
                    if ended.job.starts_with(&prefix) {
                        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                        match kind {
                            Kind::Pod => {
                                seen.pods.entry(ended.job).or_insert_with(process::now);
                            }
                            Kind::Job => {
                                seen.jobs.insert(ended.job);
                                sender.send_replace(seen.jobs.len());
                            }
                        }
                    }
                };
                follow::follow(&client, kind, &namespace, version, tell).await
            });
        }
        Ok(Self { seen, finished, watches })
    }

    /// Waits until so many Jobs have ended.
    pub(crate) async fn finished(&mut self, jobs: usize) -> Result<(), Failure> {
        tokio::select! {
            finished = self.finished.wait_for(|finished| *finished >= jobs) => finished.map(|_| ()).map_err(Failure::from),
            Some(ended) = self.watches.join_next() => ended?,
        }
    }

    /// When the pod of each Job was seen to have ended.
    pub(crate) fn pod_ends(self) -> HashMap<String, u64> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).pods)
    }
}
