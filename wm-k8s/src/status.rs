//! From a Job and its Pods to where a run is: pure.

use std::sync::Arc;

use jiff::Timestamp;
use wm_core::{Phase, RunStatus, Verdict};

use crate::{
    diagnosis,
    event::EventView,
    view::{JobView, PodPhase, PodView},
};

/// Tells where a run is.
///
/// The Job's condition is the final authority; a pod that has ended tells it about a second earlier, which counts
/// where nothing else can follow: without a retry, without a policy, and not while somebody deletes the pod.
pub(crate) fn status(job: &JobView, pods: &[PodView], events: &[EventView]) -> RunStatus {
    let pod = latest(pods);
    let mut status = RunStatus::new(job.run.clone(), Phase::Pending);
    status.image.clone_from(&job.image);
    status.created = job.created;
    status.aliases.clone_from(&job.aliases);
    status.place.insert("namespace", Arc::clone(&job.namespace));
    status.place.insert("job", Arc::clone(&job.name));
    if let Some(pod) = pod {
        status.place.insert("pod", Arc::clone(&pod.name));
        status.started = started(pod);
        if let Some(node) = &pod.node {
            status.place.insert("node", Arc::clone(node));
        }
    }
    if let Some(verdict) = verdict(job, pods, pod, events) {
        status.finished = pod.and_then(finished).or(job.completed).or_else(|| {
            job.condition("Failed").or_else(|| job.condition("Complete")).and_then(|c| c.last_transition_time)
        });
        return status.with_verdict(verdict);
    }
    (status.phase, status.detail) = unfinished(job, pods, pod, events);
    status
}

fn verdict(job: &JobView, pods: &[PodView], pod: Option<&PodView>, events: &[EventView]) -> Option<Verdict> {
    if job.condition("Complete").is_some() {
        return Some(diagnosis::success(job, pod));
    }
    if let Some(ended) = job.ended.as_deref().filter(|_| job.condition("Failed").is_some()) {
        return Some(ended.verdict(pods, diagnosis::evidence(job, pod, events)));
    }
    if job.condition("Failed").is_some() {
        return Some(diagnosis::failure(job, pods, events));
    }
    let pod = pod.filter(|pod| !pod.deleting && !job.deleting && !job.suspended && job.ended.is_none())?;
    match pod.phase {
        PodPhase::Succeeded => Some(diagnosis::success(job, Some(pod))),
        PodPhase::Failed if job.backoff_limit == 0 && !job.has_policy => {
            Some(diagnosis::failure(job, pods, events))
        }
        _ => None,
    }
}

fn unfinished(
    job: &JobView,
    pods: &[PodView],
    pod: Option<&PodView>,
    events: &[EventView],
) -> (Phase, Option<String>) {
    if let Some(ended) = &job.ended {
        return (Phase::Stopping, Some(ended.message.clone()));
    }
    if job.deleting {
        return (Phase::Stopping, None);
    }
    if job.suspended {
        return (Phase::Held, None);
    }
    let words = || diagnosis::hindrance(job, pod, events).map(|hindrance| hindrance.finding.words);
    let Some(pod) = pod else { return (Phase::Pending, words()) };
    match pod.phase {
        _ if pod.deleting => (Phase::Stopping, Some("the pod is being deleted".to_owned())),
        PodPhase::Failed => {
            let failed = pods.iter().filter(|pod| pod.phase == PodPhase::Failed).count();
            let why = diagnosis::failure(job, pods, events).message;
            (
                Phase::Pending,
                Some(format!("try {failed} of {} failed: {why}", job.backoff_limit.saturating_add(1))),
            )
        }
        PodPhase::Succeeded | PodPhase::Running => (Phase::Running, None),
        PodPhase::Pending if pod.node.is_none() => (Phase::Pending, words()),
        PodPhase::Pending => (Phase::Starting, words()),
    }
}

/// The pod that was made last.
pub(crate) fn latest(pods: &[PodView]) -> Option<&PodView> {
    pods.iter().max_by(|a, b| (a.created, !a.deleting, &a.name).cmp(&(b.created, !b.deleting, &b.name)))
}

fn started(pod: &PodView) -> Option<Timestamp> {
    let main = pod.main.as_ref()?;
    let started = main.running.as_ref().and_then(|state| state.started_at);
    // A program that could not be started has 1970 here.
    started
        .or_else(|| main.terminated.as_ref().and_then(|end| end.started_at))
        .filter(|time| *time > Timestamp::UNIX_EPOCH)
}

fn finished(pod: &PodView) -> Option<Timestamp> {
    pod.terminated()?.finished_at
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, sync::Arc};

    use expect_test::expect_file;
    use serde_json::Value;

    use crate::{
        board::Board,
        view::{JobView, PodView},
    };

    /// What a follower of a run sees, told as text.
    fn course(scenario: &Value) -> String {
        let board = Board::default();
        let mut told = String::new();
        let mut name: Arc<str> = Arc::default();
        let mut last = None;
        for event in scenario["events"].as_array().unwrap() {
            let (change, object) = (event[0].as_str().unwrap(), event[1].clone());
            if object["kind"] == "Event" {
                board.add_events(&name, vec![serde_json::from_value(object).unwrap()]);
            } else if object["kind"] == "Job" {
                let job = JobView::new(&serde_json::from_value(object).unwrap()).unwrap();
                name = Arc::clone(&job.name);
                match change {
                    "DELETED" => board.remove_job(&name, Some(job)),
                    _ => board.put_job(job),
                }
                // Somebody follows, so a run that is gone is not forgotten.
                drop(board.subscribe(&name));
            } else {
                let pod = PodView::new(&serde_json::from_value(object).unwrap()).unwrap();
                match change {
                    "DELETED" => board.remove_pod(&pod),
                    _ => board.put_pod(pod),
                }
            }
            let Some(status) = board.status(&name) else { continue };
            let seen = (status.phase, status.detail.clone());
            if last.as_ref() == Some(&seen) {
                continue;
            }
            writeln!(told, "  {} {}", seen.0, seen.1.as_deref().unwrap_or_default()).unwrap();
            last = Some(seen);
            if let Some(verdict) = status.verdict {
                writeln!(told, "  -> {}: {}", verdict.reason, verdict.message).unwrap();
                writeln!(told, "     {}", verdict.advice).unwrap();
                for (fact, text) in &verdict.evidence.facts {
                    writeln!(told, "     {fact}: {text}").unwrap();
                }
                break;
            }
        }
        told
    }

    #[test]
    fn recorded_runs_are_told_as_a_follower_sees_them() {
        let mut told = String::new();
        for line in include_str!("../tests/data/courses.jsonl").lines() {
            let scenario: Value = serde_json::from_str(line).unwrap();
            let title = format!("{} {}", scenario["scenario"], scenario["job"]).replace('"', "");
            write!(told, "{title}\n{}\n", course(&scenario)).unwrap();
        }
        expect_file!["../tests/data/courses.txt"].assert_eq(&told);
    }
}
