//! From a Job and its Pods to why a run ended: pure.

use std::fmt::Write as _;

use wm_core::{Evidence, Outcome, Reason, Verdict};

use crate::{
    status,
    view::{JobView, PodPhase, PodView, Terminated},
};

/// The verdict on a run that did what it was asked to.
pub(crate) fn success(job: &JobView, pod: Option<&PodView>) -> Verdict {
    let mut evidence = evidence(job, pod);
    evidence.exit_code = Some(0);
    Verdict::new(Outcome::Succeeded, Reason::Completed, "the runner ended with exit code 0", "")
        .with_evidence(evidence)
}

/// The verdict on a run that failed: node, eviction, image, configuration, memory, deadline, exit code, in this order.
pub(crate) fn failure(job: &JobView, pods: &[PodView]) -> Verdict {
    let pod = deciding(pods);
    let facts = evidence(job, pod);
    let (reason, message, advice) = pod
        .and_then(|pod| {
            disrupted(pod)
                .or_else(|| never_started(job, pod))
                .or_else(|| memory(pod))
                .or_else(|| deadline(job, Some(pod)))
                .or_else(|| deleted(job, pod))
                .or_else(|| exit(job, pod))
        })
        .or_else(|| deadline(job, None))
        .unwrap_or_else(|| unexplained(job));
    Verdict::new(Outcome::Failed, reason, message, advice).with_evidence(facts)
}

/// The pod that says most about a failure: the last that failed, else the last.
fn deciding(pods: &[PodView]) -> Option<&PodView> {
    let failed: Vec<_> = pods.iter().filter(|pod| pod.phase == PodPhase::Failed).cloned().collect();
    match status::latest(&failed) {
        Some(found) => pods.iter().find(|pod| pod.uid == found.uid),
        None => status::latest(pods),
    }
}

type Finding = (Reason, String, String);

fn disrupted(pod: &PodView) -> Option<Finding> {
    let describe = describe(pod);
    let message = pod.message.clone().unwrap_or_default();
    match pod.reason.as_deref() {
        Some("Evicted") => {
            return Some((
                Reason::Evicted,
                sentence("the node evicted the pod", &message),
                format!(
                    "give the run the memory and storage that it needs (…_POD_RESOURCES), or a node that has them; {describe}"
                ),
            ));
        }
        Some(
            reason
            @ ("NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated" | "NodeAffinity" | "Preempting"),
        ) => {
            return Some((
                Reason::NodeLost,
                sentence(&format!("the node gave the pod up ({reason})"), &message),
                "run it again; if nodes go often, keep runs on ones that stay (…_NODE_SELECTOR)".to_owned(),
            ));
        }
        _ => {}
    }
    let condition = pod.condition("DisruptionTarget").filter(|condition| condition.status == "True")?;
    let message = condition.message.clone().unwrap_or_default();
    let cause = condition.reason.as_deref().unwrap_or("unknown");
    let (reason, what) = match cause {
        "DeletionByPodGC" | "DeletionByTaintManager" => {
            (Reason::NodeLost, "the node was taken away from the pod")
        }
        "TerminationByKubelet" => (Reason::Evicted, "the node ended the pod"),
        _ => (Reason::Disrupted, "the cluster evicted the pod"),
    };
    Some((
        reason,
        sentence(&format!("{what} ({cause})"), &message),
        "run it again; a pod failure policy that ignores DisruptionTarget has Kubernetes do so by itself"
            .to_owned(),
    ))
}

fn never_started(job: &JobView, pod: &PodView) -> Option<Finding> {
    if let Some(end) = pod.terminated()
        && matches!(end.reason.as_deref(), Some("StartError" | "ContainerCannotRun"))
    {
        return Some((
            Reason::StartError,
            sentence("the program can't be started", end.message.as_deref().unwrap_or_default()),
            "check the command, and that the image has the program; `wm render` shows what is submitted"
                .to_owned(),
        ));
    }
    if let Some(init) = pod.init.iter().find(|init| init.state.terminated.is_some()) {
        let code = init.state.terminated.as_ref().map_or(0, |end| end.exit_code);
        return Some((
            Reason::Configuration,
            format!("the init container {} failed with exit code {code}", init.name),
            format!("read its log: kubectl -n {} logs {} -c {}", job.namespace, pod.name, init.name),
        ));
    }
    let waiting = pod.main.as_ref()?.waiting.as_ref()?;
    let text = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref()? {
        "InvalidImageName" => Some((
            Reason::InvalidImage,
            sentence("the image's name is none", text),
            "mend the image's name; `wm config` shows where it comes from".to_owned(),
        )),
        reason @ ("ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "ImageInspectError"
        | "RegistryUnavailable") => Some((
            Reason::ImagePull,
            sentence(&format!("the image can't be pulled ({reason})"), text),
            "check that the image exists and that the pods may pull it (…_IMAGE_PULL_SECRETS, or the service account's)"
                .to_owned(),
        )),
        reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError"
        | "PostStartHookError") => Some((
            Reason::Configuration,
            sentence(&format!("the container can't be made ({reason})"), text),
            describe(pod),
        )),
        _ => None,
    }
}

fn memory(pod: &PodView) -> Option<Finding> {
    let end = pod.terminated()?;
    (end.reason.as_deref() == Some("OOMKilled")).then(|| {
        (
            Reason::OutOfMemory,
            format!(
                "a process of the runner needed more memory than its limit (exit code {})",
                end.exit_code
            ),
            "raise limits.memory (…_POD_RESOURCES)".to_owned(),
        )
    })
}

fn deadline(job: &JobView, pod: Option<&PodView>) -> Option<Finding> {
    let by_pod = pod.is_some_and(|pod| pod.reason.as_deref() == Some("DeadlineExceeded"));
    let by_job = job
        .condition("Failed")
        .or_else(|| job.condition("FailureTarget"))
        .is_some_and(|condition| condition.reason.as_deref() == Some("DeadlineExceeded"));
    let (limit, gone) = match (by_pod, by_job) {
        (true, _) => (job.pod_deadline, ""),
        (_, true) => (job.job_deadline, "; the Job's own deadline deletes the pod with its log"),
        _ => return None,
    };
    let limit = limit.map_or_else(String::new, |limit| format!(" of {limit} seconds"));
    Some((
        Reason::DeadlineExceeded,
        format!("the runner took longer than its time limit{limit}{gone}"),
        format!("give it more time, or find out what it waited for: wm logs {} --tail 50", job.run.workload),
    ))
}

fn exit(job: &JobView, pod: &PodView) -> Option<Finding> {
    let end: &Terminated = pod.terminated().filter(|end| end.exit_code != 0)?;
    let mut message = format!("the runner ended with exit code {}", end.exit_code);
    if let Some(name) = signal(end.exit_code - 128) {
        let _infallible = write!(message, " (killed by {name})");
    }
    let advice = match end.exit_code {
        126 => "the program is there but can't be executed: check its rights and its architecture",
        127 => "the program was not found: check the command and the image",
        137 => "somebody or something killed it; if it was memory, raise limits.memory (…_POD_RESOURCES)",
        _ => {
            return Some((
                Reason::ExitCode,
                message,
                format!("read the end of its log: wm logs {} --tail 50", job.run.workload),
            ));
        }
    };
    Some((Reason::ExitCode, message, advice.to_owned()))
}

fn deleted(job: &JobView, pod: &PodView) -> Option<Finding> {
    pod.deleting.then(|| pod_deleted(job))
}

fn pod_deleted(job: &JobView) -> Finding {
    (
        Reason::PodDeleted,
        "the pod was deleted before the runner had ended".to_owned(),
        format!(
            "find out who deletes pods in the namespace: kubectl -n {} get events --field-selector involvedObject.name={}",
            job.namespace, job.name
        ),
    )
}

fn unexplained(job: &JobView) -> Finding {
    let condition = job.condition("Failed").or_else(|| job.condition("FailureTarget"));
    let reason = condition.and_then(|condition| condition.reason.as_deref()).unwrap_or("no reason");
    let message = condition.and_then(|condition| condition.message.as_deref()).unwrap_or_default();
    if reason == "BackoffLimitExceeded" {
        return pod_deleted(job);
    }
    (
        Reason::BackendFailure,
        sentence(&format!("the Job failed ({reason})"), message),
        format!("kubectl -n {} describe job {}", job.namespace, job.name),
    )
}

/// What a pod that has a node waits for, in words; `None` in the ordinary course.
pub(crate) fn waiting(pod: &PodView) -> Option<String> {
    let states = pod.init.iter().map(|init| &init.state).chain(&pod.main);
    states.filter_map(|state| state.waiting.as_ref()).find_map(|waiting| {
        let reason = waiting.reason.as_deref()?;
        if matches!(reason, "ContainerCreating" | "PodInitializing") {
            return None;
        }
        Some(waiting.message.as_ref().map_or_else(|| reason.to_owned(), |text| format!("{reason}: {text}")))
    })
}

fn evidence(job: &JobView, pod: Option<&PodView>) -> Evidence {
    let mut evidence = Evidence::default();
    let facts = &mut evidence.facts;
    facts.insert("job", job.name.to_string());
    facts.insert("namespace", job.namespace.to_string());
    if let Some(condition) = job.condition("Failed").or_else(|| job.condition("FailureTarget")) {
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
    if let Some(end) = pod.terminated() {
        evidence.exit_code = Some(end.exit_code);
        facts.extend(end.reason.clone().map(|reason| ("container reason", reason)));
        facts.extend(end.message.clone().map(|message| ("container message", message.trim_end().to_owned())));
    } else if let Some(text) = waiting(pod) {
        facts.insert("container waiting", text);
    }
    evidence
}

fn sentence(what: &str, message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    if message.is_empty() { what.to_owned() } else { format!("{what}: {message}") }
}

fn describe(pod: &PodView) -> String {
    format!("kubectl describe pod {}", pod.name)
}

fn signal(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}
