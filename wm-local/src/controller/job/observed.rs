//! What a Job's pods are doing.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::pod::TRACKING_FINALIZER;
use crate::store::{Key, meta};

/// The pods of a Job, sorted.
#[derive(Debug, Default)]
pub(super) struct Observed<'a> {
    /// Waiting or running, and meant to.
    pub(super) active: Vec<(&'a Key, &'a Value)>,
    pub(super) ready: usize,
    /// Being deleted, and still running.
    pub(super) terminating: usize,
    /// Not yet counted.
    pub(super) succeeded: Vec<&'a Value>,
    /// Not yet counted.
    pub(super) failed: Vec<&'a Value>,
    /// Those of the two above, and any other whose finalizer may go.
    pub(super) countable: Vec<(&'a Key, &'a Value)>,
}

impl<'a> Observed<'a> {
    pub(super) fn of(job: &Value, pods: &'a [(Key, Arc<Value>)]) -> Self {
        let mut observed = Self::default();
        let is_deleting = !meta(job, "deletionTimestamp").is_empty();
        for (key, pod) in pods {
            let pod: &Value = pod;
            let is_terminating = !meta(pod, "deletionTimestamp").is_empty();
            let phase = pod["status"]["phase"].as_str();
            let has_ended = matches!(phase, Some("Succeeded" | "Failed"));
            match (has_ended, is_terminating) {
                (true, _) => {}
                (false, true) => observed.terminating += 1,
                (false, false) => {
                    observed.ready += usize::from(is_ready(pod));
                    observed.active.push((key, pod));
                }
            }
            if !is_tracked(pod) {
                continue;
            }
            // A pod that is deleted counts as failed at once, unless only failed ones are to be replaced.
            let has_failed = phase == Some("Failed")
                || phase != Some("Succeeded") && is_terminating && !replaces_only_failed(job);
            if phase == Some("Succeeded") {
                observed.succeeded.push(pod);
            } else if has_failed {
                observed.failed.push(pod);
            }
            if has_ended || has_failed || is_deleting {
                observed.countable.push((key, pod));
            }
        }
        observed
    }
}

/// Whether a pod has yet to be counted.
pub(crate) fn is_tracked(pod: &Value) -> bool {
    let finalizers = pod["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == TRACKING_FINALIZER))
}

pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|conditions| {
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}

pub(super) fn restarts(pod: &Value) -> u64 {
    let statuses =
        ["containerStatuses", "initContainerStatuses"].map(|field| pod["status"][field].as_array());
    statuses.into_iter().flatten().flatten().filter_map(|status| status["restartCount"].as_u64()).sum()
}

/// Whether a pod must have ended before it is replaced. A failure policy needs to see how it ended.
pub(super) fn replaces_only_failed(job: &Value) -> bool {
    let spec = &job["spec"];
    spec["podReplacementPolicy"] == "Failed" || spec["podFailurePolicy"].is_object()
}

/// When a pod ended: its last container, or else its deletion.
pub(super) fn finish_time(pod: &Value) -> Option<Timestamp> {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let ends = statuses
        .into_iter()
        .flatten()
        .filter_map(|status| status["state"]["terminated"]["finishedAt"].as_str()?.parse::<Timestamp>().ok());
    ends.max().or_else(|| {
        let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default();
        let deletion: Timestamp = meta(pod, "deletionTimestamp").parse().ok()?;
        deletion.checked_sub(jiff::SignedDuration::from_secs(grace)).ok()
    })
}
