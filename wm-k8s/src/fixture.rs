//! Jobs, Pods and Events for tests: only what matters to a test is written down there.

use serde_json::{Value, json};

use crate::{
    board::Snapshot,
    event::EventView,
    view::{JobView, PodView},
};

/// An object with what is the same for all.
fn complete(object: &Value, name: &str, uid: &str) -> Value {
    let mut whole = json!({
        "metadata": { "name": name, "uid": uid, "namespace": "runs", "creationTimestamp": "2026-11-23T21:59:00Z", "labels": {
            "app.kubernetes.io/managed-by": "workload-manager", "app.kubernetes.io/component": "runner",
            "workload-manager/id": "w", "workload-manager/kind": "run", "workload-manager/attempt": "1",
        }},
        "spec": {},
        "status": {},
    });
    for (part, fields) in object.as_object().into_iter().flatten() {
        for (field, value) in fields.as_object().unwrap() {
            whole[part][field] = value.clone();
        }
    }
    whole
}

/// The Job of a run, as the API gives it; its UID is `job`.
pub(crate) fn job_object(job: &Value) -> Value {
    let mut job = complete(job, "runner-w-1", "job");
    job["spec"]["backoffLimit"] = json!(0);
    job["spec"]["template"]["spec"]["containers"] =
        json!([{ "name": "main", "image": "registry.example:5000/app:1" }]);
    job
}

pub(crate) fn job(job: &Value) -> JobView {
    JobView::new(&serde_json::from_value(job_object(job)).unwrap()).unwrap()
}

/// A Pod of the run, whose UID is `pod-<index>`.
pub(crate) fn pod(pod: &Value, index: usize) -> PodView {
    let pod = complete(pod, &format!("w-{index}"), &format!("pod-{index}"));
    PodView::new(&serde_json::from_value(pod).unwrap()).unwrap()
}

/// What is known of a run: `job`, `pods`, `events`.
pub(crate) fn run(row: &Value) -> Snapshot {
    let pods = row["pods"].as_array().into_iter().flatten().enumerate();
    let events: Vec<EventView> = serde_json::from_value(row["events"].clone()).unwrap_or_default();
    Snapshot { job: job(&row["job"]), pods: pods.map(|(index, one)| pod(one, index)).collect(), events }
}
