//! How a program ended, or why it never began.

use wm_core::Reason;

use super::{Finding, sentence};
use crate::view::{JobView, PodPhase, PodView, Terminated};

/// The program can't be started, or a container before it failed.
pub(super) fn never_started(job: &JobView, pod: &PodView) -> Option<Finding> {
    let is_no_program =
        |end: &Terminated| matches!(end.reason.as_deref(), Some("StartError" | "ContainerCannotRun"));
    if let Some(end) = pod.terminated().filter(|end| is_no_program(end)) {
        return Some(Finding::new(
            Reason::StartError,
            sentence("the program can't be started", end.message.as_deref().unwrap_or_default()),
            "check the command, and that the image has the program; `wm render` shows what is submitted",
        ));
    }
    let (name, end) = pod
        .stuck
        .iter()
        .filter(|other| other.is_init)
        .find_map(|other| other.state.terminated.as_ref().map(|end| (&other.name, end)))?;
    if is_no_program(end) {
        return Some(Finding::new(
            Reason::StartError,
            sentence(
                &format!("the init container {name} can't be started"),
                end.message.as_deref().unwrap_or_default(),
            ),
            "check its command and image in the pod template patch (…_POD_TEMPLATE_PATCH)",
        ));
    }
    let reason =
        if end.reason.as_deref() == Some("OOMKilled") { Reason::OutOfMemory } else { Reason::Configuration };
    let memory = if reason == Reason::OutOfMemory { ", for want of memory" } else { "" };
    Some(Finding::new(
        reason,
        format!("the init container {name} failed with exit code {}{memory}", end.exit_code),
        format!("read its log: kubectl -n {} logs {} -c {name}", job.namespace, pod.name),
    ))
}

pub(super) fn memory(pod: &PodView) -> Option<Finding> {
    let end = pod.terminated()?;
    (end.reason.as_deref() == Some("OOMKilled")).then(|| {
        Finding::new(
            Reason::OutOfMemory,
            format!(
                "a process of the runner needed more memory than its limit (exit code {})",
                end.exit_code
            ),
            "raise limits.memory (…_POD_RESOURCES)",
        )
    })
}

/// The time that the program may run was over, by the pod's own clock or the Job's.
pub(super) fn deadline(job: &JobView, pod: Option<&PodView>) -> Option<Finding> {
    let by_pod = pod.is_some_and(|pod| pod.reason.as_deref() == Some("DeadlineExceeded"));
    let by_job =
        job.failed().is_some_and(|condition| condition.reason.as_deref() == Some("DeadlineExceeded"));
    let (limit, gone) = match (by_pod, by_job) {
        (true, _) => (job.pod_deadline, ""),
        (_, true) => (job.job_deadline, "; the Job's own deadline deletes the pod with its log"),
        _ => return None,
    };
    let limit = limit.map_or_else(String::new, |limit| format!(" of {limit} seconds"));
    Some(Finding::new(
        Reason::DeadlineExceeded,
        format!("the runner took longer than its time limit{limit}{gone}"),
        format!("give it more time, or find out what it waited for: wm logs {} --tail 50", job.run.workload),
    ))
}

pub(super) fn exit(job: &JobView, pod: &PodView) -> Option<Finding> {
    let end = pod.terminated().filter(|end| end.exit_code != 0)?;
    let killed =
        signal(end.exit_code - 128).map_or_else(String::new, |signal| format!(" (killed by {signal})"));
    let message = format!("the runner ended with exit code {}{killed}", end.exit_code);
    let advice = match end.exit_code {
        126 => "the program is there but can't be executed: check its rights and its architecture".to_owned(),
        127 => "the program was not found: check the command and the image".to_owned(),
        137 => "somebody or something killed it; if it was memory, raise limits.memory (…_POD_RESOURCES)"
            .to_owned(),
        _ => format!("read the end of its log: wm logs {} --tail 50", job.run.workload),
    };
    Some(Finding::new(Reason::ExitCode, message, advice))
}

/// The pod failed although its program did not.
pub(super) fn beside(job: &JobView, pod: &PodView) -> Option<Finding> {
    let (name, end) = pod
        .stuck
        .iter()
        .filter(|other| !other.is_init)
        .find_map(|other| other.state.terminated.as_ref().map(|end| (&other.name, end)))?;
    Some(Finding::new(
        Reason::Configuration,
        format!("the container {name} beside the runner failed with exit code {}", end.exit_code),
        format!("read its log: kubectl -n {} logs {} -c {name}", job.namespace, pod.name),
    ))
}

pub(super) fn deleted(job: &JobView, pod: &PodView) -> Option<Finding> {
    pod.deleting.then(|| pod_deleted(job))
}

pub(super) fn pod_deleted(job: &JobView) -> Finding {
    Finding::new(
        Reason::PodDeleted,
        "the pod was deleted before the runner had ended",
        format!(
            "find out who deletes pods in the namespace: kubectl -n {} get events --field-selector involvedObject.name={}",
            job.namespace, job.name
        ),
    )
}

/// The pod failed for a reason of its own that is none of those that we know.
pub(super) fn other(job: &JobView, pod: &PodView) -> Option<Finding> {
    if pod.phase != PodPhase::Failed {
        return None;
    }
    let reason = pod.reason.as_deref().unwrap_or("no reason");
    Some(Finding::new(
        Reason::BackendFailure,
        sentence(&format!("the pod failed ({reason})"), pod.message.as_deref().unwrap_or_default()),
        format!("kubectl -n {} describe pod {}", job.namespace, pod.name),
    ))
}

pub(super) fn unexplained(job: &JobView) -> Finding {
    let condition = job.failed();
    let reason = condition.and_then(|condition| condition.reason.as_deref()).unwrap_or("no reason");
    let message = condition.and_then(|condition| condition.message.as_deref()).unwrap_or_default();
    if reason == "BackoffLimitExceeded" {
        return pod_deleted(job);
    }
    if reason == "PodFailurePolicy" {
        return Finding::new(
            Reason::ExitCode,
            sentence("the pod failure policy ended the run", message),
            format!("read the end of its log: wm logs {} --tail 50", job.run.workload),
        );
    }
    Finding::new(
        Reason::BackendFailure,
        sentence(&format!("the Job failed ({reason})"), message),
        format!("kubectl -n {} describe job {}", job.namespace, job.name),
    )
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
