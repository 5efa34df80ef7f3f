//! Events: what the controllers and the node tell about an object.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    clock::{Clock, Moment},
    node::NODE_NAME,
    store::{Key, Kind, Store, meta},
    timestamp,
};

/// How long a real API server keeps events by default.
const LIFETIME: Duration = Duration::from_hours(1);

/// How many events are kept at most: what is told of thousands of Jobs is not to fill the memory.
const CAPACITY: usize = 4096;

/// Who reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Component {
    JobController,
    Kubelet,
    NodeController,
    TaintEviction,
}

/// Whether it is good news.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

/// Writes events. The same one again counts up instead.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    store: Store,
    clock: Clock,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    grew: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    /// Events by the hash of what they say, so that a repetition is found.
    known: HashMap<u64, Key>,
    by_age: VecDeque<(Moment, u64)>,
    last_name: i128,
}

impl Recorder {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, shared: Arc::default() }
    }

    /// Records an event about an object, or about the part of it that `field` names.
    pub(crate) fn record(
        &self,
        component: Component,
        about: &Value,
        field: Option<&str>,
        severity: Severity,
        reason: &str,
        message: &str,
    ) {
        let identity = identity(about, field, reason, message);
        let now = self.clock.seconds();
        if let Some(key) = self.known(identity) {
            let counted = self.store.update(&key, |event| {
                event["count"] = (event["count"].as_u64().unwrap_or(1) + 1).into();
                event["lastTimestamp"] = now.clone().into();
                Ok(())
            });
            if counted.is_ok() {
                return;
            }
            // Somebody deleted it: it is told anew.
        }
        let (name, instance) = match component {
            Component::JobController => ("job-controller", ""),
            Component::Kubelet => ("kubelet", NODE_NAME),
            Component::NodeController => ("node-controller", ""),
            Component::TaintEviction => ("taint-eviction-controller", ""),
        };
        let mut source = json!({"component": name});
        if !instance.is_empty() {
            source["host"] = instance.into();
        }
        let event = json!({
            "involvedObject": involved(about, field),
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": if severity == Severity::Normal { "Normal" } else { "Warning" },
            "eventTime": null,
            "reportingComponent": name,
            "reportingInstance": instance,
        });
        self.keep(about, event, identity);
    }

    /// Records that a pod has got its node.
    pub(crate) fn scheduled(&self, pod: &Value) {
        let message =
            format!("Successfully assigned {}/{} to {NODE_NAME}", meta(pod, "namespace"), meta(pod, "name"));
        self.of_scheduler(pod, Severity::Normal, "Scheduled", "Binding", &message);
    }

    /// Records that no node takes a pod. Each attempt is an event of its own.
    pub(crate) fn unscheduled(&self, pod: &Value, message: &str) {
        self.of_scheduler(pod, Severity::Warning, "FailedScheduling", "Scheduling", message);
    }

    /// The scheduler writes another form of event.
    fn of_scheduler(&self, pod: &Value, severity: Severity, reason: &str, action: &str, message: &str) {
        let identity = identity(pod, None, reason, message);
        let event = json!({
            "involvedObject": involved(pod, None),
            "reason": reason,
            "message": message,
            "source": {},
            "firstTimestamp": null,
            "lastTimestamp": null,
            "type": if severity == Severity::Normal { "Normal" } else { "Warning" },
            "eventTime": timestamp::micros(self.clock.timestamp()),
            "action": action,
            "reportingComponent": "default-scheduler",
            "reportingInstance": format!("default-scheduler-{NODE_NAME}"),
        });
        self.keep(pod, event, identity);
    }

    /// Removes each event when its time has come. Never returns.
    pub(crate) async fn expire(self) {
        loop {
            let oldest = self.kept(|kept| kept.by_age.front().copied());
            let Some((made, identity)) = oldest else {
                self.shared.grew.notified().await;
                continue;
            };
            self.clock.sleep_until(made + LIFETIME).await;
            let key = self.kept(|kept| {
                kept.by_age.pop_front();
                kept.known.remove(&identity)
            });
            if let Some(key) = key {
                self.store.remove(&key);
            }
        }
    }

    fn known(&self, identity: u64) -> Option<Key> {
        self.kept(|kept| kept.known.get(&identity).cloned())
    }

    fn keep(&self, about: &Value, mut event: Value, identity: u64) {
        // Named by the time, as client-go does; one later than the last, so that no two are the same.
        let nanos = self.clock.timestamp().as_nanosecond();
        let nanos = self.kept(|kept| {
            kept.last_name = nanos.max(kept.last_name + 1);
            kept.last_name
        });
        let name = format!("{}.{nanos:x}", meta(about, "name"));
        let namespace = meta(about, "namespace");
        event["metadata"] = json!({"name": name});
        // It fails only if the namespace is gone, and then nobody reads it.
        if self.store.create(Kind::Event, namespace, event).is_ok() {
            let oldest = self.kept(|kept| {
                kept.known.insert(identity, Key::new(Kind::Event, namespace, name));
                kept.by_age.push_back((self.clock.moment(), identity));
                if kept.by_age.len() <= CAPACITY {
                    return None;
                }
                let (_, oldest) = kept.by_age.pop_front()?;
                kept.known.remove(&oldest)
            });
            if let Some(oldest) = oldest {
                self.store.remove(&oldest);
            }
            self.shared.grew.notify_one();
        }
    }

    fn kept<T>(&self, read: impl FnOnce(&mut Kept) -> T) -> T {
        read(&mut self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn identity(about: &Value, field: Option<&str>, reason: &str, message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (meta(about, "uid"), field, reason, message).hash(&mut hasher);
    hasher.finish()
}

fn involved(about: &Value, field: Option<&str>) -> Value {
    let mut involved = json!({
        "kind": about["kind"],
        "apiVersion": about["apiVersion"],
        "namespace": meta(about, "namespace"),
        "name": meta(about, "name"),
        "uid": meta(about, "uid"),
        "resourceVersion": meta(about, "resourceVersion"),
    });
    if let Some(field) = field {
        involved["fieldPath"] = field.into();
    }
    involved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Value {
        json!({
            "kind": "Job", "apiVersion": "batch/v1",
            "metadata": {"name": "j", "namespace": "default", "uid": "u", "resourceVersion": "7"},
        })
    }

    fn record(recorder: &Recorder, message: &str) {
        recorder.record(Component::JobController, &job(), None, Severity::Warning, "FailedCreate", message);
    }

    fn events(store: &Store) -> Vec<Arc<Value>> {
        store.list(Kind::Event, None).0
    }

    #[test]
    fn a_repeated_event_counts_up() {
        let store = Store::new(Clock::system(), 0);
        let recorder = Recorder::new(store.clone(), Clock::default());
        record(&recorder, "no");
        record(&recorder, "no");
        record(&recorder, "never");
        let events = events(&store);
        let counts: Vec<_> = events.iter().map(|event| (&event["message"], &event["count"])).collect();
        assert_eq!(counts, [(&json!("no"), &json!(2)), (&json!("never"), &json!(1))]);
        assert_eq!(events[0]["involvedObject"]["resourceVersion"], "7");
        assert_eq!(events[0]["source"], json!({"component": "job-controller"}));
    }

    #[test]
    fn the_oldest_events_make_room() {
        let store = Store::new(Clock::default(), 0);
        let recorder = Recorder::new(store.clone(), Clock::default());
        for number in 0..CAPACITY + 2 {
            record(&recorder, &number.to_string());
        }
        let events = events(&store);
        assert_eq!(events.len(), CAPACITY);
        assert!(events.iter().all(|event| event["message"] != "0" && event["message"] != "1"));
    }

    #[test]
    fn a_deleted_event_is_told_anew() {
        let store = Store::new(Clock::system(), 0);
        let recorder = Recorder::new(store.clone(), Clock::default());
        record(&recorder, "no");
        store.remove(&Key::new(Kind::Event, "default", meta(&events(&store)[0], "name")));
        record(&recorder, "no");
        assert_eq!(events(&store)[0]["count"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn events_go_after_an_hour() {
        let store = Store::new(Clock::system(), 0);
        let mut changes = store.subscribe();
        let recorder = Recorder::new(store.clone(), Clock::following_tokio());
        record(&recorder, "no");
        let begin = tokio::time::Instant::now();
        let expiring = recorder.expire();
        let gone = async { while changes.next().await.unwrap().change != crate::store::Change::Deleted {} };
        tokio::select! {
            () = expiring => {}
            () = gone => {}
        }
        assert!(begin.elapsed() >= LIFETIME);
        assert_eq!(events(&store), [] as [Arc<Value>; 0]);
    }
}
