//! The faults of pods: which of them is done to a pod, by its annotations or by selection.

use serde_json::Value;

use super::Shared;
use crate::faults::{Effect, Fault, Hit, annotated, on_pod};

impl Shared {
    /// What the pod's annotations ask for; noted in the journal the first time.
    pub(super) fn annotated<T>(
        &self,
        pod: &Value,
        verb: &str,
        is_first: bool,
        take: impl Fn(&Effect) -> Option<T>,
    ) -> Option<T> {
        let (hit, text) = annotated(pod).into_iter().find(|(hit, _)| take(&hit.effect).is_some())?;
        if is_first {
            self.note(pod, verb, text);
        }
        take(&hit.effect)
    }

    /// As [`Shared::annotated`], for what is asked only once.
    pub(super) fn annotation(
        &self,
        pod: &Value,
        verb: &str,
        wanted: impl Fn(&Effect) -> bool,
    ) -> Option<Hit> {
        let (hit, text) = annotated(pod).into_iter().find(|(hit, _)| wanted(&hit.effect))?;
        self.note(pod, verb, text);
        Some(hit)
    }

    /// The first fault that is done to a pod now, of the effects that are asked for.
    pub(super) fn fault(&self, pod: &Value, verb: &str, wanted: impl Fn(&Effect) -> bool) -> Option<Hit> {
        if let Some(hit) = self.annotation(pod, verb, &wanted) {
            return Some(hit);
        }
        if self.faults.is_quiet() {
            return None;
        }
        on_pod(pod, verb, "pods", "", |occasion| self.faults.first(occasion, &wanted))
    }

    /// The faults that are done to a pod now, of those that are asked for.
    pub(super) fn hits(
        &self,
        pod: &Value,
        verb: &str,
        image: &str,
        wanted: impl FnMut(u64, &Fault) -> bool,
    ) -> Vec<Hit> {
        on_pod(pod, verb, "pods", image, |occasion| self.faults.hits(occasion, wanted))
    }

    /// Whether the rest of the cluster hears nothing of the node.
    pub(super) fn is_unreachable(&self) -> bool {
        self.faults.has(|effect| matches!(effect, Effect::NodeNotReady | Effect::NodeGone))
    }

    fn note(&self, pod: &Value, verb: &str, fault: String) {
        on_pod(pod, verb, "pods", "", |occasion| self.faults.note(occasion, fault));
    }
}
