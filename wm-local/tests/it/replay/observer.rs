//! What happens in a namespace of the cluster, as watches tell it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::task::JoinSet;

use super::story::state;
use crate::client::Served;

const COLLECTIONS: [(&str, &str); 5] = [
    ("/apis/batch/v1", "jobs"),
    ("/api/v1", "pods"),
    ("/api/v1", "events"),
    ("/api/v1", "secrets"),
    ("/api/v1", "configmaps"),
];

/// All watch events so far. It stops when it is dropped.
pub(super) struct Observer {
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    events: Vec<Value>,
    /// The pods that are there, by uid.
    pods: HashMap<String, Value>,
}

impl Seen {
    fn take(&mut self, event: Value) {
        let object = &event["object"];
        if let (true, Some(uid)) = (object["kind"] == "Pod", object["metadata"]["uid"].as_str()) {
            if event["type"] == "DELETED" {
                self.pods.remove(uid);
            } else {
                self.pods.insert(uid.to_owned(), object.clone());
            }
        }
        self.events.push(event);
    }
}

impl Observer {
    pub(super) async fn start(served: &Served, namespace: &str) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let mut tasks = JoinSet::new();
        for (group, resource) in COLLECTIONS {
            let path = format!("{group}/namespaces/{namespace}/{resource}?watch=true&timeoutSeconds=1000000");
            let mut watch = served.watch(&path).await;
            let seen = Arc::clone(&seen);
            tasks.spawn(async move {
                while let Some(event) = watch.next().await {
                    seen.lock().unwrap().take(event);
                }
            });
        }
        Self { seen, _tasks: tasks }
    }

    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().events.len()
    }

    pub(super) fn events(&self) -> Vec<Value> {
        self.seen.lock().unwrap().events.clone()
    }

    /// Each state that an object was in.
    pub(super) fn states(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.events.iter().filter_map(state).map(|(object, state)| format!("{object} {state}")).collect()
    }

    /// Something of the pods that are there now.
    pub(super) fn pods<T>(&self, part: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        self.seen.lock().unwrap().pods.values().filter_map(part).collect()
    }

    /// Whether a pod that is there now is like that.
    pub(super) fn has_pod(&self, is_meant: impl Fn(&Value) -> bool) -> bool {
        self.seen.lock().unwrap().pods.values().any(is_meant)
    }
}
