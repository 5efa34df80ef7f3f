//! From a Job, its Pods and the Events about them to what keeps a run from going on, or why it ended: pure.

mod container;
mod ending;
mod image;
mod node;
mod placement;
mod refusal;
#[cfg(test)]
mod states;

use wm_core::{Evidence, Outcome, Reason, Verdict};

use crate::{
    event::EventView,
    status,
    view::{JobView, PodPhase, PodView},
};

/// What was found out: why, in words, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) reason: Reason,
    /// One sentence, which stays the same while its cause does.
    pub(crate) words: String,
    pub(crate) advice: String,
    /// Whether its cause tends to pass, so that another pod may well start.
    pub(crate) passing: bool,
}

impl Finding {
    fn new(reason: Reason, words: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { reason, words: words.into(), advice: advice.into(), passing: false }
    }

    pub(crate) fn passing(self) -> Self {
        Self { passing: true, ..self }
    }

    fn verdict(self, pods: &[PodView], evidence: Evidence) -> Verdict {
        Verdict::new(Outcome::Failed, self.reason, self.words, self.advice)
            .with_retry(self.passing && never_began(pods))
            .with_evidence(evidence)
    }
}

/// What keeps a run from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hindrance {
    pub(crate) finding: Finding,
    pub(crate) outlook: Outlook,
}

/// What may become of a hindrance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Trying again changes nothing.
    Hopeless,
    /// It is tried again by itself, and that often helps.
    Passing,
    /// It lasts until somebody mends it or makes room.
    Lasting,
    /// The run is held back on purpose.
    Held,
}

/// The verdict on a run that did what it was asked to.
pub(crate) fn success(job: &JobView, pod: Option<&PodView>) -> Verdict {
    let mut evidence = evidence(job, pod, &[]);
    evidence.exit_code = Some(0);
    Verdict::new(Outcome::Succeeded, Reason::Completed, "the runner ended with exit code 0", "")
        .with_evidence(evidence)
}

/// The verdict on a run that failed: node, eviction, image, configuration, memory, deadline, exit code, in this order.
pub(crate) fn failure(job: &JobView, pods: &[PodView], events: &[EventView]) -> Verdict {
    let pod = deciding(pods);
    let finding = pod
        .and_then(|pod| {
            node::lost(pod)
                .or_else(|| node::evicted(pod))
                .or_else(|| ending::never_started(job, pod))
                .or_else(|| container::hindrance(job, pod, &[]).map(|hindrance| hindrance.finding))
                .or_else(|| ending::memory(pod))
                .or_else(|| ending::deadline(job, Some(pod)))
                .or_else(|| ending::deleted(job, pod))
                .or_else(|| ending::exit(job, pod))
                .or_else(|| ending::beside(job, pod))
                .or_else(|| ending::other(job, pod))
        })
        .or_else(|| ending::deadline(job, None))
        .unwrap_or_else(|| ending::unexplained(job));
    finding.verdict(pods, evidence(job, pod, events))
}

/// Whether no pod of a run that has ended can have begun with the program. A pod that was given to a node tells so
/// itself, in its last state; of a run without a pod nothing is certain.
pub(crate) fn never_began(pods: &[PodView]) -> bool {
    let never = |pod: &PodView| !pod.has_begun() && (pod.node.is_none() || pod.phase == PodPhase::Failed);
    !pods.is_empty() && pods.iter().all(never)
}

/// What keeps a run from going on; `None` in the ordinary course.
///
/// Without events it is not known why a Job has no pod, or what a pod waits for that is to be made ready on its node.
pub(crate) fn hindrance(job: &JobView, pod: Option<&PodView>, events: &[EventView]) -> Option<Hindrance> {
    let Some(pod) = pod else { return refusal::hindrance(job, events) };
    match pod.phase {
        PodPhase::Pending if pod.node.is_none() => placement::hindrance(pod),
        PodPhase::Pending => container::hindrance(job, pod, events),
        _ => None,
    }
}

/// The pod that says most about a failure: the last that failed, else the last.
fn deciding(pods: &[PodView]) -> Option<&PodView> {
    let failed: Vec<_> = pods.iter().filter(|pod| pod.phase == PodPhase::Failed).cloned().collect();
    match status::latest(&failed) {
        Some(found) => pods.iter().find(|pod| pod.uid == found.uid),
        None => status::latest(pods),
    }
}

/// What a verdict is concluded from.
pub(crate) fn evidence(job: &JobView, pod: Option<&PodView>, events: &[EventView]) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.events = events.iter().filter(|event| event.is_warning()).map(EventView::line).collect();
    let facts = &mut evidence.facts;
    facts.insert("job", job.name.to_string());
    facts.insert("namespace", job.namespace.to_string());
    if let Some(condition) = job.failed() {
        facts.extend(condition.reason.clone().map(|reason| ("job reason", reason)));
        facts.extend(condition.message.clone().map(|message| ("job message", message)));
    }
    let Some(pod) = pod else { return evidence };
    facts.insert("pod", pod.name.to_string());
    facts.extend(pod.node.as_deref().map(|node| ("node", node.to_owned())));
    facts.extend(pod.reason.clone().map(|reason| ("pod reason", reason)));
    facts.extend(pod.message.clone().map(|message| ("pod message", message)));
    if let Some(condition) = pod.condition("DisruptionTarget").filter(|condition| condition.status == "True")
    {
        facts.extend(condition.reason.clone().map(|reason| ("disruption", reason)));
    }
    if let Some(condition) = pod.condition("PodScheduled") {
        facts.extend(condition.message.clone().map(|message| ("scheduler message", message)));
    }
    if let Some(end) = pod.terminated() {
        evidence.exit_code = Some(end.exit_code);
        facts.extend(end.reason.clone().map(|reason| ("container reason", reason)));
        facts.extend(end.message.clone().map(|message| ("container message", message.trim_end().to_owned())));
    } else if let Some(text) = waiting(pod) {
        facts.insert("container waiting", text);
    }
    evidence
}

/// The first container that waits for more than its turn, in the kubelet's words.
fn waiting(pod: &PodView) -> Option<String> {
    let states = pod.stuck.iter().map(|other| &other.state).chain(&pod.main);
    states.filter_map(|state| state.waiting.as_ref()).find_map(|waiting| {
        let reason = waiting.reason.as_deref()?;
        if matches!(reason, "ContainerCreating" | "PodInitializing") {
            return None;
        }
        Some(waiting.message.as_ref().map_or_else(|| reason.to_owned(), |text| format!("{reason}: {text}")))
    })
}

fn sentence(what: &str, message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    if message.is_empty() { what.to_owned() } else { format!("{what}: {message}") }
}

fn describe(pod: &PodView) -> String {
    format!("kubectl describe pod {}", pod.name)
}
