//! Why the API server refuses the pod of a Job: the words of the Job's controller, which tries again without end.

use wm_core::Reason;

use super::{Finding, Hindrance, Outlook, sentence};
use crate::{event::EventView, view::JobView};

/// What keeps a Job from having a pod, by the last event that tells.
pub(super) fn hindrance(job: &JobView, events: &[EventView]) -> Option<Hindrance> {
    let told = events.iter().filter(|event| event.about.uid == job.uid && event.reason() == "FailedCreate");
    let event = told.max_by_key(|event| event.last())?;
    Some(Hindrance { finding: finding(job, cause(event.message())), outlook: Outlook::Lasting })
}

/// A refusal without the name of the pod, which is another one each time.
fn cause(message: &str) -> &str {
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    message
        .strip_prefix("pods \"")
        .and_then(|rest| rest.split_once("\" is forbidden: "))
        .map_or(message, |(_, cause)| cause)
}

fn finding(job: &JobView, cause: &str) -> Finding {
    let namespace = &job.namespace;
    let between = |start: &str, end: &str| {
        let (_, rest) = cause.split_once(start)?;
        Some(rest.split_once(end).map_or(rest, |(word, _)| word))
    };
    if let Some(quota) = between("exceeded quota: ", ", ") {
        let asked = between("requested: ", ", used: ").unwrap_or("more");
        let limit = between("limited: ", "\n").unwrap_or("less");
        return Finding::new(
            Reason::QuotaExceeded,
            format!(
                "the quota {quota} leaves no room for the pod: it asks for {asked}, the limit for all is {limit}"
            ),
            format!(
                "wait until others have ended, ask for less (…_POD_RESOURCES), or have it raised: kubectl -n {namespace} describe quota {quota}"
            ),
        );
    }
    if let Some(rest) = between("failed quota: ", "\n") {
        return Finding::new(
            Reason::Configuration,
            format!("a quota wants the pod to name its resources: {rest}"),
            "name them (…_POD_RESOURCES), or give the namespace a LimitRange with defaults",
        );
    }
    if let Some(account) = between("serviceaccount \"", "\" not found") {
        return Finding::new(
            Reason::Configuration,
            format!("the service account {account} does not exist"),
            format!(
                "make it: kubectl -n {namespace} create serviceaccount {account}; or name another (…_SERVICE_ACCOUNT)"
            ),
        );
    }
    if cause.contains("violates PodSecurity") {
        return Finding::new(
            Reason::Refused,
            sentence("the namespace's Pod Security refuses the pod", cause),
            "lock the pods down as far as it asks for (…_POD_SECURITY, …_POD_TEMPLATE_PATCH)",
        );
    }
    if let Some(class) = between("no PriorityClass with name ", " was found") {
        return Finding::new(
            Reason::Configuration,
            format!("the priority class {class} does not exist"),
            "see which there are: kubectl get priorityclasses; the pod template patch names it (…_POD_TEMPLATE_PATCH)",
        );
    }
    if let Some(class) = between("RuntimeClass \"", "\" not found") {
        return Finding::new(
            Reason::Configuration,
            format!("the runtime class {class} does not exist"),
            "see which there are: kubectl get runtimeclasses; the pod template patch names it (…_POD_TEMPLATE_PATCH)",
        );
    }
    if cause.starts_with("maximum ") || cause.starts_with("minimum ") || cause.contains(" to limit ratio ") {
        return Finding::new(
            Reason::Refused,
            sentence("a limit range of the namespace refuses the pod", cause),
            format!("stay within it (…_POD_RESOURCES): kubectl -n {namespace} describe limitrange"),
        );
    }
    if cause.contains("failed calling webhook") {
        return Finding::new(
            Reason::Refused,
            sentence("an admission webhook of the cluster does not work", cause),
            "have whoever runs the webhook look at it; the pod is made as soon as it answers",
        );
    }
    if cause.contains("being terminated") {
        return Finding::new(
            Reason::Refused,
            format!("the namespace {namespace} is being deleted"),
            "run it in another namespace (…_NAMESPACE)",
        );
    }
    if cause.contains("denied the request") || cause.contains("denied request") {
        return Finding::new(
            Reason::Refused,
            sentence("a policy of the cluster refuses the pod", cause),
            "change what the policy names (…_POD_TEMPLATE_PATCH), or have the policy changed",
        );
    }
    Finding::new(
        Reason::Refused,
        sentence("the cluster refuses to make the pod", cause),
        format!("kubectl -n {namespace} describe job {}", job.name),
    )
}

#[cfg(test)]
mod tests {
    use super::cause;

    #[test]
    fn the_name_of_the_pod_is_no_part_of_a_refusal() {
        assert_eq!(
            cause("Error creating: pods \"a-rfsdm\" is forbidden: exceeded quota: q"),
            "exceeded quota: q"
        );
        assert_eq!(cause("Error creating: Internal error occurred: x"), "Internal error occurred: x");
    }
}
