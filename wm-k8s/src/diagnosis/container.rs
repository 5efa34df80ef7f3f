//! Why the containers of a pod that has a node don't start: their waiting states, and the events of their volumes.

use wm_core::Reason;

use super::{Finding, Hindrance, Outlook, image, sentence};
use crate::{
    event::EventView,
    view::{JobView, PodView, Waiting},
};

/// What keeps the containers of a pod from starting; `None` in the ordinary course.
pub(super) fn hindrance(job: &JobView, pod: &PodView, events: &[EventView]) -> Option<Hindrance> {
    let others = pod.stuck.iter().map(|other| (&other.state, "of another container"));
    let main = pod.main.iter().map(|state| (state, job.image.as_deref().unwrap_or("of the runner")));
    let told = others.chain(main).find_map(|(state, image)| of_state(job, state.waiting.as_ref()?, image));
    told.or_else(|| of_events(job, pod, events))
}

fn of_state(job: &JobView, waiting: &Waiting, image: &str) -> Option<Hindrance> {
    let reason = waiting.reason.as_deref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    if matches!(reason, "ContainerCreating" | "PodInitializing") {
        return None;
    }
    if let Some(found) = image::hindrance(reason, message, image) {
        return Some(found);
    }
    if let Some(absent) = absent(job, message) {
        return Some(absent);
    }
    if message.contains("runAsNonRoot") {
        return Some(Hindrance {
            finding: Finding::new(
                Reason::Configuration,
                format!("the image {image} runs as root, which the pod forbids"),
                "give the image another user (USER in its Dockerfile), or allow root (…_POD_SECURITY=baseline)",
            ),
            outlook: Outlook::Hopeless,
        });
    }
    Some(Hindrance {
        finding: Finding::new(
            Reason::Configuration,
            sentence(&format!("the container can't be made ({reason})"), message),
            format!("kubectl -n {} describe job {}", job.namespace, job.name),
        ),
        outlook: Outlook::Lasting,
    })
}

/// The object that a kubelet's message says is missing.
fn absent(job: &JobView, message: &str) -> Option<Hindrance> {
    let namespace = &job.namespace;
    let lasting = |words: String, advice: String| Hindrance {
        finding: Finding::new(Reason::Configuration, words, advice),
        outlook: Outlook::Lasting,
    };
    for (kind, name) in [("secret", "Secret"), ("configmap", "ConfigMap")] {
        let marker = format!("{kind} \"");
        if let Some((_, rest)) = message.split_once(&marker)
            && let Some((object, rest)) = rest.split_once('"')
            && rest.trim_start().starts_with("not found")
        {
            let words = format!("the {name} {object} does not exist");
            let advice = format!("make it, and the run goes on: kubectl -n {namespace} get {kind}s");
            return Some(lasting(words, advice));
        }
    }
    let (_, rest) = message.split_once("couldn't find key ")?;
    let (key, object) = rest.split_once(" in ")?;
    Some(lasting(
        format!("there is no key {key} in the {object}"),
        "add the key, and the run goes on".to_owned(),
    ))
}

/// What the newest event says, if it is about what comes before the containers: volumes and the network.
fn of_events(job: &JobView, pod: &PodView, events: &[EventView]) -> Option<Hindrance> {
    if pod.main.as_ref().is_some_and(|main| main.waiting.is_none()) {
        return None;
    }
    let own = events.iter().filter(|event| event.about.uid == pod.uid);
    let event = own.max_by_key(|event| event.last())?;
    let message = event.message();
    let what = match event.reason() {
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => {
            if let Some(found) = absent(job, message) {
                return Some(found);
            }
            "a volume can't be mounted"
        }
        "FailedCreatePodSandBox" => "the node can't set the pod up",
        "NetworkNotReady" => "the network of the node is not ready",
        _ => return None,
    };
    Some(Hindrance {
        finding: Finding::new(
            Reason::Configuration,
            sentence(what, message),
            format!("the node tries again by itself; {}", super::describe(pod)),
        ),
        outlook: Outlook::Lasting,
    })
}
