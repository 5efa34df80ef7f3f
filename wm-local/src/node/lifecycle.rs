//! What the rest of a cluster does about a node that no longer answers: the node controller, the taint manager, the
//! pod garbage collector.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{NODE_NAME, Shared, eviction::disrupt, scheduling::toleration};
use crate::{
    clock::until,
    faults::Effect,
    recorder::{Component, Severity},
    store::{DeleteOptions, Key, Kind, meta},
};

const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// How the node is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Ready,
    /// It is not heard of.
    Unknown,
    Gone,
}

/// Works until the cluster ends.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut changes = shared.faults.changes();
    let mut versions = shared.store.versions();
    let mut nodes = shared.node_changes.subscribe();
    let mut taints: Vec<(Value, Timestamp)> = Vec::new();
    let mut condition = Condition::Ready;
    let key = Key::new(Kind::Node, "", NODE_NAME);
    let mut last = shared.store.get(&key);
    loop {
        let gone = shared.faults.has(|effect| *effect == Effect::NodeGone);
        let lost = shared.faults.has(|effect| *effect == Effect::NodeNotReady);
        let next = match (gone, lost) {
            (true, _) => Condition::Gone,
            (_, true) => Condition::Unknown,
            _ => Condition::Ready,
        };
        if next != condition {
            // A node that comes back is another one of the same name.
            if condition == Condition::Gone {
                restore(&shared, last.as_deref());
            }
            match next {
                Condition::Gone => last = shared.store.remove(&key).or(last),
                Condition::Unknown => lose(&shared, &key),
                Condition::Ready => regain(&shared, &key),
            }
            condition = next;
        }
        versions.borrow_and_update();
        nodes.borrow_and_update();
        taints = executing(&shared, &key, &taints);
        let wait = if condition == Condition::Gone {
            collect(&shared);
            None
        } else {
            evict(&shared, &taints)
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = shared.faults.changed(&mut changes) => {}
            () = shared.clock.sleep_if(wait) => {}
            // A pod may have been placed just before.
            changed = versions.changed(), if condition != Condition::Ready || !taints.is_empty() => {
                if changed.is_err() {
                    return;
                }
            }
            // The sender is in what is shared.
            _ = nodes.changed() => {}
        }
    }
}

/// The pods on the node that have not ended.
fn pods(shared: &Shared) -> Vec<(Key, Arc<Value>)> {
    let (all, _) = shared.store.list(Kind::Pod, None);
    all.into_iter()
        .filter(|pod| {
            pod["spec"]["nodeName"] == NODE_NAME
                && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
        })
        .map(|pod| (Key::new(Kind::Pod, meta(&pod, "namespace"), meta(&pod, "name")), pod))
        .collect()
}

/// The node controller marks the node, and its pods as not ready.
fn lose(shared: &Shared, key: &Key) {
    let now = shared.clock.seconds();
    let taint = |effect: &str| json!({"key": UNREACHABLE, "effect": effect, "timeAdded": now});
    let taints = vec![taint("NoSchedule"), taint("NoExecute")];
    mark(shared, key, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", taints);
    for (key, pod) in pods(shared) {
        let marked = shared.store.update(&key, |pod| {
            let conditions = pod["status"]["conditions"].as_array_mut();
            for condition in conditions.into_iter().flatten() {
                if condition["type"] == "Ready" && condition["status"] != "False" {
                    condition["status"] = "False".into();
                    condition["lastTransitionTime"] = now.clone().into();
                }
            }
            Ok(())
        });
        if marked.is_ok() {
            let message = "Node is not ready";
            let recorder = &shared.recorder;
            recorder.record(
                Component::NodeController,
                &pod,
                None,
                Severity::Warning,
                "NodeNotReady",
                message,
            );
        }
    }
}

/// The kubelet posts its status again.
fn regain(shared: &Shared, key: &Key) {
    mark(shared, key, "True", "KubeletReady", "the embedded node is ready", Vec::new());
}

/// Sets the node's readiness, and the taints that tell of it.
fn mark(shared: &Shared, key: &Key, status: &str, reason: &str, message: &str, taints: Vec<Value>) {
    let now = shared.clock.seconds();
    let ready = json!({
        "type": "Ready", "status": status, "lastHeartbeatTime": now, "lastTransitionTime": now,
        "reason": reason, "message": message,
    });
    // It fails only if the node is gone as well.
    shared
        .store
        .update(key, |node| {
            node["status"]["conditions"] = json!([ready]);
            let mut all = foreign_taints(node);
            all.extend(taints);
            if all.is_empty() {
                node["spec"].as_object_mut().map(|spec| spec.remove("taints"));
            } else {
                node["spec"]["taints"] = all.into();
            }
            Ok(())
        })
        .ok();
}

fn foreign_taints(node: &Value) -> Vec<Value> {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    taints.filter(|taint| taint["key"] != UNREACHABLE).cloned().collect()
}

/// The node registers itself anew.
fn restore(shared: &Shared, last: Option<&Value>) {
    let Some(last) = last else { return };
    let mut node = last.clone();
    if let Some(metadata) = node["metadata"].as_object_mut() {
        metadata.retain(|member, _| matches!(member.as_str(), "name" | "labels"));
    }
    // It fails only if there is one already.
    shared.store.create(Kind::Node, "", node).ok();
}

/// The taints of the node that end what runs on it, and since when each has been there.
fn executing(shared: &Shared, key: &Key, before: &[(Value, Timestamp)]) -> Vec<(Value, Timestamp)> {
    let Some(node) = shared.store.get(key) else { return Vec::new() };
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let executing = taints.filter(|taint| taint["effect"] == "NoExecute").map(|taint| {
        let known = before.iter().find(|(one, _)| one == taint).map(|(_, since)| *since);
        (taint.clone(), known.unwrap_or_else(|| shared.clock.timestamp()))
    });
    executing.collect()
}

/// The taint manager deletes pods whose toleration is over. Returns when the next one's will be.
fn evict(shared: &Shared, taints: &[(Value, Timestamp)]) -> Option<Duration> {
    if taints.is_empty() {
        return None;
    }
    let now = shared.clock.timestamp();
    let mut next = None;
    for (key, pod) in pods(shared) {
        if !meta(&pod, "deletionTimestamp").is_empty() {
            continue;
        }
        let started: Option<Timestamp> =
            pod["status"]["startTime"].as_str().and_then(|time| time.parse().ok());
        let due = taints.iter().filter_map(|(taint, since)| {
            let seconds = match toleration(&pod, taint) {
                None => 0,
                // Without a time it is tolerated for ever.
                Some(toleration) => toleration["tolerationSeconds"].as_i64()?.max(0),
            };
            let since = started.map_or(*since, |started| started.max(*since));
            Some(since.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
        });
        let Some(due) = due.min() else { continue };
        if due > now {
            next = next.into_iter().chain([until(now, due)]).min();
            continue;
        }
        let message = format!("Marking for deletion Pod {}/{}", key.namespace, key.name);
        let recorder = &shared.recorder;
        let reason = "TaintManagerEviction";
        recorder.record(Component::TaintEviction, &pod, None, Severity::Normal, reason, &message);
        remove(
            shared,
            &key,
            None,
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
            &DeleteOptions::default(),
        );
    }
    next
}

/// The pod garbage collector fails and removes the pods of a node that is gone.
fn collect(shared: &Shared) {
    let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    for (key, _) in pods(shared) {
        let (reason, message) = ("DeletionByPodGC", "PodGC: node no longer exists");
        remove(shared, &key, Some("Failed"), reason, message, &options);
    }
}

/// Deletes a pod that is told why, and its phase with it, in one write. Somebody else may be faster.
fn remove(
    shared: &Shared,
    key: &Key,
    phase: Option<&str>,
    reason: &str,
    message: &str,
    options: &DeleteOptions,
) {
    let now = shared.clock.seconds();
    shared
        .store
        .update(key, |pod| {
            if let Some(phase) = phase {
                pod["status"]["phase"] = phase.into();
            }
            disrupt(pod, reason, message, &now);
            Ok(())
        })
        .ok();
    shared.store.delete(key, options).ok();
}
