//! The log of a Pod through the API.

use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use wm_local::ClusterOptions;

use crate::client::{JOBS, PODS, Served, job};

async fn pod_name(served: &Served, job: &str) -> String {
    let path = format!("{PODS}?labelSelector=job-name%3D{job}");
    let pods = served.get(&path).await.json();
    pods["items"][0]["metadata"]["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_log_of_a_finished_pod_is_read() {
    let served = Served::start().await;
    served.job("lines", "for n in 1 2 3; do echo line $n; done").await;
    served.until_condition("lines", "Complete").await;
    let pod = pod_name(&served, "lines").await;
    let log = served.get(&format!("{PODS}/{pod}/log")).await;
    assert_eq!(log.headers["content-type"], "text/plain");
    assert_eq!(log.text, "line 1\nline 2\nline 3\n");
    let tail = served.get(&format!("{PODS}/{pod}/log?container=main&tailLines=1&timestamps=true")).await;
    assert!(tail.text.ends_with("Z line 3\n"), "{}", tail.text);
    assert_eq!(served.get(&format!("{PODS}/{pod}/log?limitBytes=6")).await.text, "line 1");
}

#[tokio::test]
async fn a_follow_ends_with_the_container() {
    let served = Served::start().await;
    served.job("follow", "echo begin; read -r line < /dev/null; sleep 0.2; echo end").await;
    let running =
        |pod: &serde_json::Value| !pod["status"]["containerStatuses"][0]["state"]["waiting"].is_object();
    served
        .until(PODS, "labelSelector=job-name%3Dfollow", |pod| {
            pod["status"]["containerStatuses"].is_array() && running(pod)
        })
        .await;
    let pod = pod_name(&served, "follow").await;
    let log = served.get(&format!("{PODS}/{pod}/log?follow=true")).await;
    assert_eq!(log.text, "begin\nend\n");
}

#[tokio::test]
async fn a_container_that_waits_has_no_log_yet() {
    let served = Served::start().await;
    let mut waiting = job("waiting", "true");
    waiting["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "a"}}}]);
    served.post(JOBS, &waiting).await;
    let is_waiting = |pod: &serde_json::Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    };
    served.until(PODS, "labelSelector=job-name%3Dwaiting", is_waiting).await;
    let pod = pod_name(&served, "waiting").await;
    let log = served.get(&format!("{PODS}/{pod}/log")).await;
    assert_eq!(log.status, StatusCode::BAD_REQUEST);
    let expected =
        format!("container \"main\" in pod \"{pod}\" is waiting to start: CreateContainerConfigError");
    assert_eq!(log.json()["message"], json!(expected));
    served.cluster.shutdown().await;
}

#[tokio::test]
async fn after_a_rotation_the_first_lines_are_only_with_who_followed() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = ClusterOptions::default();
    options.directory = Some(directory.path().to_owned());
    options.container_log_max_size = 50_000;
    let served = Served::start_with(options).await;
    let script = "mkfifo go; echo begin; read -r line < go; seq -f 'line %.0f' 3000";
    served.job("much", script).await;
    let is_running =
        |pod: &serde_json::Value| pod["status"]["containerStatuses"][0]["state"]["running"].is_object();
    let pod = served.until(PODS, "labelSelector=job-name%3Dmuch", is_running).await;
    let path = format!("{PODS}/{}/log", pod["metadata"]["name"].as_str().unwrap());
    let request = served.request(Method::GET, &format!("{path}?follow=true"));
    let mut body = served.open(request.body(Full::default()).unwrap()).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "begin\n");
    let home = directory.path().join("pods").join(pod["metadata"]["uid"].as_str().unwrap()).join("home");
    tokio::fs::write(home.join("go"), "go\n").await.unwrap();
    let followed = body.collect().await.unwrap().to_bytes();
    assert!(followed.ends_with(b"line 3000\n"));
    let read = served.get(&path).await.text;
    assert!(!read.contains("begin") && read.ends_with("line 3000\n"), "{read}");
}
