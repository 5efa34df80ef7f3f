//! Delays of minutes and days, exact and without waiting, while pods are real processes.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::{Value, json};
use wm_local::{Clock, ClusterOptions};

use crate::client::{JOBS, PODS, Served, has_condition, job};

async fn driven() -> Served {
    let mut options = ClusterOptions::default();
    options.clock = Clock::driven(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 50));
    options.job_sync_delay = Duration::ZERO;
    Served::start_with(options).await
}

async fn pods(served: &Served) -> Vec<Value> {
    served.get(PODS).await.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_finished_job_goes_when_its_time_to_live_is_over_and_not_a_second_before() {
    let served = driven().await;
    let mut job = job("brief", "true");
    job["spec"]["ttlSecondsAfterFinished"] = json!(172_800);
    served.post(JOBS, &job).await;
    served.until_condition("brief", "Complete").await;
    let path = format!("{JOBS}/brief");
    served.cluster.clock().advance(Duration::from_secs(172_799)).await;
    assert_eq!(served.get(&path).await.status, StatusCode::OK);
    served.cluster.clock().advance(Duration::from_secs(1)).await;
    assert_eq!(served.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn failed_pods_are_replaced_after_ten_seconds_then_twenty() {
    let served = driven().await;
    let mut failing = job("failing", "exit 1");
    failing["spec"]["backoffLimit"] = json!(2);
    served.post(JOBS, &failing).await;
    let selector = "fieldSelector=metadata.name%3Dfailing";
    for (failures, delay) in [(1, 10), (2, 20)] {
        served.until(JOBS, selector, |job| job["status"]["failed"] == failures).await;
        served.cluster.clock().advance(Duration::from_secs(delay - 1)).await;
        assert_eq!(pods(&served).await.len(), failures, "a second too early");
        served.cluster.clock().advance(Duration::from_secs(1)).await;
        assert_eq!(pods(&served).await.len(), failures + 1);
    }
    served.until_condition("failing", "Failed").await;
}

#[tokio::test]
async fn a_deadline_fails_the_job_and_deletes_the_running_pod() {
    let served = driven().await;
    let mut endless = job("endless", "sleep 600");
    endless["spec"]["activeDeadlineSeconds"] = json!(3600);
    served.post(JOBS, &endless).await;
    served.until(PODS, "", |pod| pod["status"]["phase"] == "Running").await;
    served.cluster.clock().advance(Duration::from_secs(3599)).await;
    assert_eq!(pods(&served).await.len(), 1);
    served.cluster.clock().advance(Duration::from_secs(1)).await;
    let failing = served.until_condition("endless", "FailureTarget").await;
    assert!(!has_condition(&failing, "Failed"), "it waits for its pod");
    // A process without a handler does not heed its signal: it is killed after its grace of a second.
    served.until(PODS, "", |pod| pod["metadata"]["deletionTimestamp"].is_string()).await;
    served.cluster.clock().advance(Duration::from_secs(1)).await;
    served.until_condition("endless", "Failed").await;
    assert_eq!(pods(&served).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_process_that_ignores_its_signal_is_killed_when_the_grace_period_is_driven_over() {
    let served = driven().await;
    let mut deaf = job("deaf", "trap '' TERM; echo ready; while true; do sleep 0.05; done");
    deaf["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(300);
    served.post(JOBS, &deaf).await;
    let pod = served.until(PODS, "", |pod| pod["status"]["phase"] == "Running").await;
    let path = format!("{PODS}/{}", pod["metadata"]["name"].as_str().unwrap());
    while !served.get(&format!("{path}/log")).await.text.contains("ready") {
        tokio::task::yield_now().await;
    }
    served.delete(&format!("{JOBS}/deaf?propagationPolicy=Background")).await;
    served.until(PODS, "", |pod| pod["metadata"]["deletionTimestamp"].is_string()).await;
    served.cluster.clock().advance(Duration::from_secs(299)).await;
    assert_eq!(served.get(&path).await.json()["status"]["phase"], "Running");
    served.cluster.clock().advance(Duration::from_secs(1)).await;
    while served.get(&path).await.status != StatusCode::NOT_FOUND {
        tokio::task::yield_now().await;
    }
}
