//! Why no node takes a pod: the scheduler's message, without the counts that change from try to try.

use std::collections::BTreeSet;

use wm_core::Reason;

use super::{Finding, Hindrance, Outlook};
use crate::view::{Condition, PodView};

/// What keeps a pod without a node from getting one, if the scheduler has said so.
pub(super) fn hindrance(pod: &PodView) -> Option<Hindrance> {
    let condition = pod.condition("PodScheduled").filter(|condition| condition.status == "False")?;
    if condition.reason.as_deref() == Some("SchedulingGated") {
        return Some(Hindrance {
            finding: Finding::new(
                Reason::Unschedulable,
                "the pod is held back by scheduling gates",
                "whoever set the gates opens them, for example a queue of the cluster",
            ),
            outlook: Outlook::Held,
        });
    }
    Some(Hindrance { finding: finding(condition, pod), outlook: Outlook::Lasting })
}

/// The kinds of obstacles, those first that a setting of ours decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Resources,
    Taint,
    Selector,
    Volume,
    Closed,
    Other,
}

fn finding(condition: &Condition, pod: &PodView) -> Finding {
    let message = condition.message.as_deref().unwrap_or_default();
    let mut obstacles: BTreeSet<_> = parts(message).into_iter().filter_map(obstacle).collect();
    if obstacles.is_empty() {
        let reason = condition.reason.as_deref().unwrap_or("Unschedulable");
        obstacles.insert((Kind::Other, if message.is_empty() { reason } else { message }.to_owned()));
    }
    let advice = match obstacles.first().map_or(Kind::Other, |(kind, _)| *kind) {
        Kind::Resources => {
            "wait until others have ended, ask for less (…_POD_RESOURCES), or add nodes".to_owned()
        }
        Kind::Taint => {
            "tolerate the taint (…_TOLERATIONS), or see the taints of the nodes: kubectl describe nodes"
                .to_owned()
        }
        Kind::Selector => {
            "correct the selector (…_NODE_SELECTOR), or see the labels: kubectl get nodes --show-labels"
                .to_owned()
        }
        Kind::Volume => "see the claims of the namespace: kubectl get persistentvolumeclaims".to_owned(),
        Kind::Closed => "see the nodes: kubectl get nodes".to_owned(),
        Kind::Other => super::describe(pod),
    };
    let words: Vec<_> = obstacles.into_iter().map(|(_, words)| words).collect();
    Finding::new(Reason::Unschedulable, format!("no node takes the pod: {}", words.join("; ")), advice)
}

/// The reasons in a message such as `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) … . preemption: …`.
fn parts(message: &str) -> Vec<&str> {
    let reasons = message.split_once("nodes are available: ").map_or(message, |(_, reasons)| reasons);
    let reasons = reasons.split_once(". ").map_or(reasons, |(reasons, _)| reasons);
    let reasons = reasons.trim().trim_end_matches('.');
    reasons
        .split(", ")
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start())
        .collect()
}

fn obstacle(part: &str) -> Option<(Kind, String)> {
    let has = |text: &str| part.to_ascii_lowercase().contains(text);
    if let Some(resource) = part.strip_prefix("Insufficient ") {
        return Some((Kind::Resources, format!("not enough free {resource}")));
    }
    if part == "Too many pods" {
        return Some((Kind::Resources, "too many pods already".to_owned()));
    }
    // What follows the taint in the words of older schedulers.
    if part.is_empty() || has("that the pod didn't tolerate") {
        return None;
    }
    if has("taint") {
        let taint = part.find('{').zip(part.rfind('}')).map(|(start, end)| &part[start..=end]);
        return Some((
            Kind::Taint,
            taint.map_or_else(
                || "it does not tolerate a taint".to_owned(),
                |taint| format!("it does not tolerate the taint {taint}"),
            ),
        ));
    }
    if has("volume") {
        return Some((Kind::Volume, format!("its volumes ({})", part.trim_start_matches("node(s) "))));
    }
    if has("affinity/selector") || has("node selector") || has("node affinity") {
        return Some((
            Kind::Selector,
            "none has the labels that its node selector or affinity asks for".to_owned(),
        ));
    }
    if has("affinity") || has("topology spread") {
        return Some((
            Kind::Selector,
            "its affinity to other pods, or its spread over the nodes, can't be met".to_owned(),
        ));
    }
    if has("unschedulable") {
        return Some((Kind::Closed, "they are closed for new pods (cordoned)".to_owned()));
    }
    if part == "no nodes available to schedule pods" {
        return Some((Kind::Closed, "there are no nodes".to_owned()));
    }
    Some((Kind::Other, part.trim_start_matches("node(s) ").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(message: &str) -> String {
        let parts: BTreeSet<_> = parts(message).into_iter().filter_map(obstacle).collect();
        parts.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn the_scheduler_is_understood_and_counts_change_nothing() {
        for (message, expected) in [
            ("0/1 nodes are available: 1 Insufficient cpu.", "not enough free cpu"),
            (
                "0/9 nodes are available: 9 Insufficient cpu. preemption: 0/9 nodes are available: 9 x.",
                "not enough free cpu",
            ),
            (
                "0/1 nodes are available: 1 Insufficient memory, 1 Insufficient nvidia.com/gpu. no new claims to deallocate",
                "not enough free memory; not enough free nvidia.com/gpu",
            ),
            (
                "0/1 nodes are available: 1 Insufficient ephemeral-storage.",
                "not enough free ephemeral-storage",
            ),
            ("0/2 nodes are available: 2 Too many pods. preemption: 0/2", "too many pods already"),
            (
                "0/3 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}, 2 node(s) had untolerated taint {node.kubernetes.io/not-ready: }. preemption: x",
                "it does not tolerate the taint {dedicated: gpu}; it does not tolerate the taint {node.kubernetes.io/not-ready: }",
            ),
            (
                "0/1 nodes are available: 1 node(s) had taint {dedicated: gpu}, that the pod didn't tolerate.",
                "it does not tolerate the taint {dedicated: gpu}",
            ),
            (
                "0/1 nodes are available: 1 node(s) had untolerated taint(s). no new",
                "it does not tolerate a taint",
            ),
            (
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new",
                "none has the labels that its node selector or affinity asks for",
            ),
            (
                "0/4 nodes are available: 4 node(s) didn't match pod anti-affinity rules.",
                "its affinity to other pods, or its spread over the nodes, can't be met",
            ),
            (
                "0/4 nodes are available: 4 node(s) didn't match pod topology spread constraints.",
                "its affinity to other pods, or its spread over the nodes, can't be met",
            ),
            (
                "0/2 nodes are available: 2 node(s) had volume node affinity conflict.",
                "its volumes (had volume node affinity conflict)",
            ),
            (
                "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
                "its volumes (pod has unbound immediate PersistentVolumeClaims)",
            ),
            (
                "0/1 nodes are available: persistentvolumeclaim \"absent\" not found. not found",
                "its volumes (persistentvolumeclaim \"absent\" not found)",
            ),
            (
                "0/3 nodes are available: 3 node(s) were unschedulable.",
                "they are closed for new pods (cordoned)",
            ),
            ("no nodes available to schedule pods", "there are no nodes"),
            (
                "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
                "didn't have free ports for the requested pod ports",
            ),
        ] {
            assert_eq!(words(message), expected, "{message}");
        }
    }
}
