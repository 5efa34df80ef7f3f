//! The faults of pods: which of them is done to a pod, by its annotations or by selection.

use std::collections::HashSet;

use serde_json::Value;

use super::Shared;
use crate::faults::{Effect, Fault, Hit, annotated, on_pod};

/// The faults that hold a pod up; whether one does is decided once, and it does as long as it is active.
#[derive(Default)]
pub(super) struct Obstacles {
    decided: HashSet<u64>,
    by: Vec<Hit>,
}

impl Obstacles {
    /// Those that hold the pod up now, of the effects that are asked for.
    pub(super) fn now(
        &mut self,
        shared: &Shared,
        pod: &Value,
        verb: &str,
        image: &str,
        wanted: impl Fn(&Effect) -> bool,
    ) -> &[Hit] {
        if !shared.faults.is_quiet() {
            let decided = &mut self.decided;
            let is_new = |id, fault: &Fault| wanted(&fault.effect) && decided.insert(id);
            self.by.extend(on_pod(pod, verb, "pods", image, |occasion| shared.faults.hits(occasion, is_new)));
        }
        self.by.retain(|hit| shared.faults.is_active(hit.id));
        &self.by
    }
}

impl Shared {
    /// What the pod's annotations ask for; noted in the journal the first time.
    pub(super) fn annotation(
        &self,
        pod: &Value,
        verb: &str,
        is_first: bool,
        wanted: impl Fn(&Effect) -> bool,
    ) -> Option<Hit> {
        let (hit, text) = annotated(pod).into_iter().find(|(hit, _)| wanted(&hit.effect))?;
        if is_first {
            on_pod(pod, verb, "pods", "", |occasion| self.faults.note(occasion, text));
        }
        Some(hit)
    }

    /// The first fault that is done to a pod now, of the effects that are asked for.
    pub(super) fn fault(&self, pod: &Value, verb: &str, wanted: impl Fn(&Effect) -> bool) -> Option<Hit> {
        if let Some(hit) = self.annotation(pod, verb, true, &wanted) {
            return Some(hit);
        }
        if self.faults.is_quiet() {
            return None;
        }
        on_pod(pod, verb, "pods", "", |occasion| self.faults.first(occasion, &wanted))
    }

    /// Whether the rest of the cluster hears nothing of the node.
    pub(super) fn is_unreachable(&self) -> bool {
        self.faults.has(|effect| matches!(effect, Effect::NodeNotReady | Effect::NodeGone))
    }
}
