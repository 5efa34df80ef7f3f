//! A table of states in which runs end or hang, and what is concluded from each.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::{Value, json};
use wm_core::{Reason, RunStatus, Verdict};

use super::{Finding, Hindrance, hindrance};
use crate::{
    board::{Board, Snapshot},
    fixture,
    status::status,
    view::{JobView, PodView},
};

fn conclude(row: &Value) -> (RunStatus, Option<Hindrance>) {
    let Snapshot { job, pods, events } = fixture::run(row);
    (status(&job, &pods, &events), hindrance(&job, pods.first(), &events))
}

#[test]
fn every_state_is_explained() {
    let mut told = String::new();
    let rows: Vec<Value> = include_str!("../../tests/data/states.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(rows.len() >= 60);
    for row in &rows {
        let (status, hindrance) = conclude(row);
        let state = row["state"].as_str().unwrap();
        if let Some(verdict) = status.verdict {
            assert_ne!(verdict.reason, Reason::BackendFailure, "{state}");
            assert!(!verdict.advice.is_empty(), "{state}");
            let Verdict { reason, message, advice, may_retry, .. } = verdict;
            let retry = if may_retry { " (may be retried)" } else { "" };
            writeln!(told, "{state}\n  {reason}{retry}: {message}\n  {advice}").unwrap();
        } else {
            let Hindrance { finding, outlook } = hindrance.unwrap_or_else(|| panic!("{state} has no words"));
            let Finding { reason, words, advice, .. } = finding;
            assert_eq!(status.detail.as_ref(), Some(&words), "{state}");
            writeln!(told, "{state}\n  {}, {outlook:?}: {reason}: {words}\n  {advice}", status.phase)
                .unwrap();
        }
    }
    expect_file!["../../tests/data/states.txt"].assert_eq(&told);
}

#[test]
fn no_moment_of_a_recorded_run_is_unknown() {
    let mut moments = 0;
    for line in include_str!("../../tests/data/courses.jsonl").lines() {
        let scenario: Value = serde_json::from_str(line).unwrap();
        let board = Board::default();
        let mut name = String::new();
        for event in scenario["events"].as_array().unwrap() {
            let object = event[1].clone();
            let is_gone = event[0] == "DELETED";
            match object["kind"].as_str().unwrap() {
                "Event" => board.add_events(&name, vec![serde_json::from_value(object).unwrap()]),
                "Job" => {
                    let job = JobView::new(&serde_json::from_value(object).unwrap()).unwrap();
                    name = job.name.to_string();
                    if is_gone { board.remove_job(&name, Some(job)) } else { board.put_job(job) }
                }
                _ => {
                    let pod = PodView::new(&serde_json::from_value(object).unwrap()).unwrap();
                    if is_gone { board.remove_pod(&pod) } else { board.put_pod(pod) }
                }
            }
            let Some(status) = board.status(&name) else { continue };
            moments += 1;
            if let Some(verdict) = status.verdict {
                assert_ne!(verdict.reason, Reason::BackendFailure, "{name}");
            }
        }
    }
    assert!(moments > 500, "{moments}");
}

/// Each fact alone would be a verdict of its own; together the first in the order is.
#[test]
fn what_happened_to_the_node_counts_more_than_what_followed_from_it() {
    let terminated = |code: i32, reason: &str| json!({ "name": "main", "state": { "terminated": { "exitCode": code, "reason": reason } } });
    let failed = json!({ "status": { "conditions": [{ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded" }] } });
    let mut pod = json!({ "spec": { "nodeName": "node-1" }, "status": { "phase": "Failed" } });
    let mut conclude = |field: &str, value: Value| {
        pod["status"][field] = value;
        conclude(&json!({ "job": failed, "pods": [pod] })).0.verdict.unwrap().reason
    };
    assert_eq!(conclude("containerStatuses", json!([terminated(137, "Error")])), Reason::ExitCode);
    assert_eq!(conclude("reason", json!("DeadlineExceeded")), Reason::DeadlineExceeded);
    assert_eq!(conclude("containerStatuses", json!([terminated(137, "OOMKilled")])), Reason::OutOfMemory);
    let init = json!([{ "name": "fetch", "state": { "terminated": { "exitCode": 1, "reason": "Error" } } }]);
    assert_eq!(conclude("initContainerStatuses", init), Reason::Configuration);
    let waits = json!([{ "name": "main", "state": { "waiting": { "reason": "ErrImagePull", "message": "x: not found" } } }]);
    assert_eq!(conclude("initContainerStatuses", json!([])), Reason::OutOfMemory);
    assert_eq!(conclude("containerStatuses", waits), Reason::ImagePull);
    assert_eq!(conclude("reason", json!("Evicted")), Reason::Evicted);
    let taken = json!([{ "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC" }]);
    assert_eq!(conclude("conditions", taken), Reason::NodeLost);
}
