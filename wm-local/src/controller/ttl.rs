//! `ttlSecondsAfterFinished`: finished Jobs go when their time is over.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{job::finished_at, queue::Queue};
use crate::{
    clock::{Clock, until},
    store::{Change, DeleteOptions, Key, Kind, Propagation, Store, meta},
};

/// Deletes finished Jobs until the store is gone.
pub(super) async fn run(store: Store, clock: Clock) {
    let mut queue = Queue::new(clock.clone());
    let mut events = store.subscribe();
    let now = clock.moment();
    for job in store.list(Kind::Job, None).0 {
        queue.add(Key::new(Kind::Job, meta(&job, "namespace"), meta(&job, "name")), now);
    }
    loop {
        tokio::select! {
            event = events.next() => match event {
                None => return,
                Some(event) if event.key.kind != Kind::Job => {}
                Some(event) if event.change == Change::Deleted => queue.remove(&event.key),
                Some(event) => {
                    if let Some(remaining) = remaining(&event.object(), clock.timestamp()) {
                        queue.add(event.key.clone(), clock.moment() + remaining);
                    }
                }
            },
            key = queue.next() => {
                // The time to live may have been changed since.
                match store.get(&key).and_then(|job| remaining(&job, clock.timestamp())) {
                    Some(Duration::ZERO) => delete(&store, &key),
                    Some(remaining) => queue.add(key, clock.moment() + remaining),
                    None => {}
                }
            }
        }
    }
}

/// How long a Job still has, if it is finished and its time is limited.
fn remaining(job: &Value, now: Timestamp) -> Option<Duration> {
    let lifetime = Duration::from_secs(job["spec"]["ttlSecondsAfterFinished"].as_u64()?);
    let finished: Timestamp = finished_at(job)?.parse().ok()?;
    if !meta(job, "deletionTimestamp").is_empty() {
        return None;
    }
    Some(until(now, finished.checked_add(lifetime).unwrap_or(Timestamp::MAX)))
}

fn delete(store: &Store, key: &Key) {
    let options = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    // It fails only if somebody else was first.
    store.delete(key, &options).ok();
}
