//! What a node or the cluster did to a pod.

use wm_core::Reason;

use super::{Finding, describe, sentence};
use crate::view::PodView;

/// The node took the pod and lost it, or never took it.
pub(super) fn lost(pod: &PodView) -> Option<Finding> {
    let message = pod.message.as_deref().unwrap_or_default();
    let again = "run it again; if nodes go often, keep runs on ones that stay (…_NODE_SELECTOR)";
    match pod.reason.as_deref() {
        Some(reason @ ("NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated")) => {
            let finding = Finding::new(
                Reason::NodeLost,
                sentence(&format!("the node gave the pod up ({reason})"), message),
                again,
            );
            // Only a node that answers says that it shuts down.
            return Some(if reason == "NodeLost" { finding } else { finding.passing() });
        }
        Some(reason) if is_rejection(reason) => {
            let finding = Finding::new(
                Reason::Disrupted,
                sentence(&format!("the node did not take the pod ({reason})"), message),
                "run it again; the program had not begun",
            );
            return Some(if is_passing_rejection(reason) { finding.passing() } else { finding });
        }
        _ => {}
    }
    let cause = disruption(pod);
    if let Some(cause @ ("DeletionByPodGC" | "DeletionByTaintManager")) = cause {
        let message = pod.condition("DisruptionTarget").and_then(|condition| condition.message.as_deref());
        return Some(Finding::new(
            Reason::NodeLost,
            sentence(&format!("the node was taken away from the pod ({cause})"), message.unwrap_or_default()),
            policy(),
        ));
    }
    // A kubelet that still answers says how the program ended before the pod goes.
    let is_silent = pod.main.as_ref().is_some_and(|main| main.running.is_some());
    if pod.forced && is_silent && cause.is_none() {
        return Some(Finding::new(
            Reason::NodeLost,
            "the pod was removed by force, since its node did not say that the program has ended",
            format!(
                "{again}; the program may still run on the node {}",
                pod.node.as_deref().unwrap_or("(none)")
            ),
        ));
    }
    let unknown = pod.terminated().filter(|end| end.reason.as_deref() == Some("ContainerStatusUnknown"))?;
    (pod.reason.is_none() && cause.is_none()).then(|| {
        Finding::new(
            Reason::NodeLost,
            sentence("the node lost the container", unknown.message.as_deref().unwrap_or_default()),
            again,
        )
    })
}

/// The cluster or the node ended the pod to make room or to be emptied.
pub(super) fn evicted(pod: &PodView) -> Option<Finding> {
    if pod.reason.as_deref() == Some("Evicted") {
        return Some(Finding::new(
            Reason::Evicted,
            sentence("the node evicted the pod", pod.message.as_deref().unwrap_or_default()),
            format!(
                "give the run the memory and storage that it needs (…_POD_RESOURCES), or a node that has them; {}",
                describe(pod)
            ),
        )
        .passing());
    }
    let cause = disruption(pod)?;
    let message = pod.condition("DisruptionTarget").and_then(|condition| condition.message.as_deref());
    let (reason, what) = match cause {
        "TerminationByKubelet" => (Reason::Evicted, "the node ended the pod"),
        "PreemptionByScheduler" => (Reason::Disrupted, "the scheduler made room for a more important pod"),
        _ => (Reason::Disrupted, "the cluster evicted the pod"),
    };
    let words = sentence(&format!("{what} ({cause})"), message.unwrap_or_default());
    Some(Finding::new(reason, words, policy()).passing())
}

fn policy() -> &'static str {
    "run it again; a pod failure policy that ignores DisruptionTarget has Kubernetes do so by itself"
}

/// The reasons with which a kubelet refuses a pod that the scheduler gave it.
fn is_rejection(reason: &str) -> bool {
    reason.starts_with("OutOf")
        || matches!(
            reason,
            "NodeAffinity"
                | "NodePorts"
                | "NodeName"
                | "UnexpectedAdmissionError"
                | "UnexpectedPredicateFailureType"
                | "TopologyAffinityError"
                | "SMTAlignmentError"
                | "Preempting"
                | "AppArmor"
                | "Sysctl"
                | "PodOSNotSupported"
                | "PodOSSelectorNodeLabelDoesNotMatch"
                | "InvalidNodeInfo"
                | "PodFeatureUnsupported"
                | "InitContainerRestartForbidden"
        )
}

/// Those of them that another node, or the same one later, need not repeat.
fn is_passing_rejection(reason: &str) -> bool {
    reason.starts_with("OutOf")
        || matches!(
            reason,
            "NodeAffinity"
                | "NodePorts"
                | "UnexpectedAdmissionError"
                | "TopologyAffinityError"
                | "Preempting"
        )
}

fn disruption(pod: &PodView) -> Option<&str> {
    let condition = pod.condition("DisruptionTarget").filter(|condition| condition.status == "True")?;
    condition.reason.as_deref().or(Some("unknown"))
}
