use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::{fixture, settings::KubernetesSettings};

/// A cluster that answers every read of the Job with this one, lists nothing, and tells what it is asked to change.
fn cluster(job: Value) -> (Client, mpsc::UnboundedReceiver<(String, Value)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (job, tell) = (job.clone(), tell.clone());
        async move {
            let method = request.method().to_string();
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            if method != "GET" {
                let change = serde_json::from_slice(&body).unwrap_or_default();
                tell.send((format!("{method} {path}"), change)).unwrap();
            }
            let answer = if path.ends_with("/events") { json!({ "items": [] }) } else { job };
            let body = Body::from(answer.to_string().into_bytes());
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    (Client::new(service, "runs"), told)
}

fn all_rights() -> Rights {
    Rights {
        list_jobs: true,
        watch: true,
        patch_jobs: true,
        delete_job: true,
        delete_jobs: true,
        delete_pod: true,
        create_secrets: true,
        list_events: true,
        get_namespace: true,
    }
}

fn steward(client: Client, rights: Rights) -> Steward {
    let api = Api::new(client, "runs");
    let limits = Limits::new(&KubernetesSettings::new("runs", "runner"));
    Steward::new(&api, &Arc::default(), rights, limits, &Arc::default())
}

fn accepted() -> Value {
    json!({ "status": { "startTime": Timestamp::now().to_string() } })
}

fn unschedulable() -> PodView {
    let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu." });
    let created = json!({ "creationTimestamp": Timestamp::now().to_string() });
    let status = json!({ "phase": "Pending", "conditions": [condition] });
    fixture::pod(&json!({ "metadata": created, "status": status }), 0)
}

#[tokio::test(start_paused = true)]
async fn a_run_in_our_care_is_spoken_of_and_ends_when_its_time_is_over() {
    let (client, mut told) = cluster(fixture::job_object(&accepted()));
    let steward = steward(client, all_rights());
    let board = Arc::clone(&steward.board);
    board.put_job(fixture::job(&accepted()));
    board.put_pod(unschedulable());
    let began = Instant::now();
    let attending = tokio::spawn(steward.attend());
    board.care_for("runner-w-1");
    let (call, change) = told.recv().await.unwrap();
    assert_eq!(call, "PATCH /apis/batch/v1/namespaces/runs/jobs/runner-w-1");
    let annotations = &change["metadata"]["annotations"];
    assert!(annotations[names::WAITS].as_str().unwrap().contains("not enough free cpu"), "{change}");
    assert!(
        annotations[names::MESSAGES].as_str().unwrap().contains("Waiting: no node takes the pod"),
        "{change}"
    );
    assert!(began.elapsed() < Duration::from_secs(3));
    let (call, change) = told.recv().await.unwrap();
    assert_eq!(call, "PATCH /apis/batch/v1/namespaces/runs/jobs/runner-w-1");
    assert!((899..=901).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(change["spec"]["activeDeadlineSeconds"], 1);
    let ended: Ended =
        serde_json::from_str(change["metadata"]["annotations"][names::VERDICT].as_str().unwrap()).unwrap();
    assert_eq!(ended.reason, wm_core::Reason::Unschedulable);
    assert!(ended.advice.contains("_SCHEDULE_TIMEOUT_SECONDS"), "{}", ended.advice);
    attending.abort();
}

#[tokio::test(start_paused = true)]
async fn runs_that_nobody_follows_here_are_left_alone() {
    let (client, mut told) = cluster(fixture::job_object(&accepted()));
    let steward = steward(client, all_rights());
    let board = Arc::clone(&steward.board);
    let attending = tokio::spawn(steward.attend());
    board.put_job(fixture::job(&accepted()));
    board.put_pod(unschedulable());
    tokio::time::sleep(Duration::from_hours(10)).await;
    attending.abort();
    assert!(told.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_change_a_job_it_is_deleted_and_its_verdict_remembered() {
    let (client, mut told) = cluster(fixture::job_object(&accepted()));
    let rights = Rights { patch_jobs: false, delete_job: false, list_events: false, ..all_rights() };
    let steward = steward(client, rights);
    let (board, unplaced) = (Arc::clone(&steward.board), Arc::clone(&steward.unplaced));
    board.put_job(fixture::job(&accepted()));
    board.put_pod(unschedulable());
    let attending = tokio::spawn(steward.attend());
    board.care_for("runner-w-1");
    let (call, change) = told.recv().await.unwrap();
    assert_eq!(call, "DELETE /apis/batch/v1/namespaces/runs/jobs");
    assert_eq!(change["propagationPolicy"], "Foreground");
    let texts: Vec<_> = unplaced.of(&"w".parse().unwrap()).into_iter().map(|message| message.text).collect();
    assert!(texts[0].starts_with("Waiting: ") && texts[1].starts_with("Given up: "), "{texts:?}");
    let _follower = board.subscribe("runner-w-1");
    board.remove_job("runner-w-1", Some(fixture::job(&accepted())));
    let verdict = board.status("runner-w-1").unwrap().verdict.unwrap();
    assert_eq!(verdict.reason, wm_core::Reason::Unschedulable);
    attending.abort();
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_a_dead_node_is_removed_by_its_uid() {
    let (client, mut told) = cluster(fixture::job_object(&accepted()));
    let steward = steward(client, all_rights());
    let board = Arc::clone(&steward.board);
    board.put_job(fixture::job(&accepted()));
    let began = Instant::now();
    let gone = json!({ "deletionTimestamp": (Timestamp::now() + Duration::from_secs(30)).to_string() });
    let status =
        json!({ "phase": "Running", "containerStatuses": [{ "name": "main", "state": { "running": {} } }] });
    board.put_pod(fixture::pod(
        &json!({ "metadata": gone, "spec": { "nodeName": "node-1" }, "status": status }),
        0,
    ));
    let attending = tokio::spawn(steward.attend());
    board.care_for("runner-w-1");
    let (call, options) = told.recv().await.unwrap();
    assert_eq!(call, "DELETE /api/v1/namespaces/runs/pods/w-0");
    assert_eq!(
        (&options["gracePeriodSeconds"], &options["preconditions"]["uid"]),
        (&json!(0), &json!("pod-0"))
    );
    assert!((89..=91).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    attending.abort();
}
