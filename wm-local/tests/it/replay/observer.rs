//! What happens in a namespace of the cluster, as watches tell it.

use std::sync::{Arc, Mutex};

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
    events: Arc<Mutex<Vec<Value>>>,
    _tasks: JoinSet<()>,
}

impl Observer {
    pub(super) async fn start(served: &Served, namespace: &str) -> Self {
        let events: Arc<Mutex<Vec<Value>>> = Arc::default();
        let mut tasks = JoinSet::new();
        for (group, resource) in COLLECTIONS {
            let path = format!("{group}/namespaces/{namespace}/{resource}?watch=true&timeoutSeconds=1000000");
            let mut watch = served.watch(&path).await;
            let events = Arc::clone(&events);
            tasks.spawn(async move {
                while let Some(event) = watch.next().await {
                    events.lock().unwrap().push(event);
                }
            });
        }
        Self { events, _tasks: tasks }
    }

    pub(super) fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }

    pub(super) fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap().clone()
    }

    /// Each state that an object was in.
    pub(super) fn states(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().filter_map(state).map(|(object, state)| format!("{object} {state}")).collect()
    }

    /// The pods that are there, as they are now.
    pub(super) fn pods(&self) -> Vec<Value> {
        let mut pods: Vec<Value> = Vec::new();
        for event in self.events.lock().unwrap().iter().filter(|event| event["object"]["kind"] == "Pod") {
            let object = &event["object"];
            pods.retain(|pod| pod["metadata"]["uid"] != object["metadata"]["uid"]);
            if event["type"] != "DELETED" {
                pods.push(object.clone());
            }
        }
        pods
    }
}
