//! Evictions by the kubelet: of a pod that runs, or before it starts.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    NODE_NAME,
    halt::Urgency,
    pod::{PodWorker, leave},
    status::condition,
};
use crate::{
    faults::Effect,
    recorder::{Component, Severity},
    store::meta,
};

/// What a kubelet gives the containers of a pod that it evicts.
const GRACE: Duration = Duration::from_secs(1);

/// A pod that is evicted, after which time, and in which words.
#[derive(Debug)]
pub(super) struct Eviction {
    /// `None` means before it starts.
    pub(super) after: Option<Duration>,
    message: String,
    is_disruption: bool,
}

impl PodWorker {
    /// Decides whether the pod is evicted.
    pub(super) fn eviction(&self) -> Option<Eviction> {
        let pod = self.shared.store.get(&self.key)?;
        let hit = self.shared.fault(&pod, "evict", |effect| matches!(effect, Effect::Evict(_)))?;
        let Effect::Evict(after) = hit.effect else { return None };
        let container = pod["spec"]["containers"][0]["name"].as_str().unwrap_or_default();
        let message = hit.message.unwrap_or_else(|| match (after, hit.disruption) {
            (None, _) => "Pod was rejected: The node had condition: [MemoryPressure]. ".to_owned(),
            (Some(_), true) => format!(
                "The node was low on resource: memory. Threshold quantity: 100Mi, available: 45Mi. Container \
                 {container} was using 1Gi, request is 0, has larger consumption of memory. "
            ),
            (Some(_), false) => {
                "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ".to_owned()
            }
        });
        Some(Eviction { after, message, is_disruption: hit.disruption })
    }

    /// Rejects a pod that has just got its node.
    pub(super) fn reject(&self, eviction: &Eviction) {
        let now = self.shared.clock.seconds();
        let rejected = self.update(|pod| {
            pod["spec"]["nodeName"] = NODE_NAME.into();
            let scheduled = condition(pod, "PodScheduled", "True", &json!(now), "", "");
            pod["status"] = json!({
                "phase": "Failed",
                "conditions": [scheduled],
                "reason": "Evicted",
                "message": eviction.message,
                "startTime": now,
                "qosClass": pod["status"]["qosClass"],
            });
            if eviction.is_disruption {
                disrupt(pod, "TerminationByKubelet", &eviction.message, &now);
            }
        });
        let Some(pod) = rejected else { return };
        self.shared.recorder.scheduled(&pod);
        self.tell_evicted(&pod, eviction);
        if !meta(&pod, "deletionTimestamp").is_empty() {
            leave(&self.shared.store, &self.key, &self.uid);
        }
    }

    /// Begins to evict a pod that runs; the reason and the message for its status.
    pub(super) fn evict(&self, pod: &Value, eviction: &Eviction) -> (&'static str, String) {
        if eviction.is_disruption {
            let now = self.shared.clock.seconds();
            self.update(|pod| disrupt(pod, "TerminationByKubelet", &eviction.message, &now));
        }
        self.tell_evicted(pod, eviction);
        self.halt.stop(Urgency::Within(GRACE));
        ("Evicted", eviction.message.clone())
    }

    fn tell_evicted(&self, pod: &Value, eviction: &Eviction) {
        let recorder = &self.shared.recorder;
        recorder.record(Component::Kubelet, pod, None, Severity::Warning, "Evicted", &eviction.message);
    }
}

/// Marks a pod as the target of a disruption.
pub(super) fn disrupt(pod: &mut Value, reason: &str, message: &str, now: &str) {
    let condition = condition(pod, "DisruptionTarget", "True", &json!(now), reason, message);
    match pod["status"]["conditions"].as_array_mut() {
        Some(conditions) => {
            conditions.retain(|one| one["type"] != "DisruptionTarget");
            conditions.push(condition);
        }
        None => pod["status"]["conditions"] = json!([condition]),
    }
}
