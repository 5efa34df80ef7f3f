//! Faults of pods, images and the node, and how they look from outside.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use wm_local::ClusterOptions;

use crate::client::{JOBS, PODS, Served, has_condition, job};

async fn with(faults: &[&str]) -> Served {
    let mut options = ClusterOptions::default();
    options.image_backoff = Duration::from_millis(40);
    options.job_sync_delay = Duration::from_millis(10);
    options.job_backoff = Duration::from_millis(10);
    options.faults = faults.iter().map(|text| text.parse().unwrap()).collect();
    Served::start_with(options).await
}

fn inject(served: &Served, fault: &str) -> u64 {
    served.cluster.faults().inject(fault.parse().unwrap())
}

async fn pod_that(served: &Served, job: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    served.until(PODS, &format!("labelSelector=job-name%3D{job}"), wanted).await
}

fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

fn is_running(pod: &Value) -> bool {
    state(pod)["running"].is_object()
}

fn has_failed(pod: &Value) -> bool {
    pod["status"]["phase"] == "Failed"
}

/// Waits for an event with this reason, and returns its message.
async fn told(served: &Served, reason: &str) -> String {
    let events = "/api/v1/namespaces/default/events";
    let event = served.until(events, &format!("fieldSelector=reason%3D{reason}"), |_| true).await;
    event["message"].as_str().unwrap().to_owned()
}

async fn log(served: &Served, pod: &Value) -> (StatusCode, String) {
    let answer = served.get(&format!("{PODS}/{}/log", pod["metadata"]["name"].as_str().unwrap())).await;
    (answer.status, answer.text)
}

fn annotated(name: &str, script: &str, fault: &str, value: &str) -> Value {
    let mut job = job(name, script);
    let annotations = json!({format!("faults.workload-manager/{fault}"): value});
    job["spec"]["template"]["metadata"] = json!({"annotations": annotations});
    job
}

#[tokio::test]
async fn an_image_that_is_not_found_alternates_between_two_reasons_until_it_is() {
    let served = with(&["image=not-found,images=image:*"]).await;
    served.job("a", "echo pulled").await;
    let refusal = "rpc error: code = NotFound desc = failed to pull and unpack image \"image:1\": failed to resolve \
                   reference \"image:1\": image:1: not found";
    for (reason, message) in [
        ("ErrImagePull", refusal.to_owned()),
        ("ImagePullBackOff", format!("Back-off pulling image \"image:1\": ErrImagePull: {refusal}")),
        ("ErrImagePull", refusal.to_owned()),
    ] {
        let pod = pod_that(&served, "a", |pod| state(pod)["waiting"]["reason"] == reason).await;
        assert_eq!(state(&pod)["waiting"]["message"], message);
        assert_eq!(pod["status"]["phase"], "Pending");
    }
    let failed = told(&served, "Failed").await;
    assert_eq!(failed, format!("Failed to pull image \"image:1\": {refusal}"));
    served.cluster.faults().lift_all();
    served.until_condition("a", "Complete").await;
}

#[tokio::test]
async fn a_transient_pull_failure_heals_after_its_tries() {
    let served = with(&[]).await;
    served.post(JOBS, &annotated("a", "true", "image", "server-error,tries=2")).await;
    served.until_condition("a", "Complete").await;
    let pulling = served.get("/api/v1/namespaces/default/events?fieldSelector=reason%3DPulling").await.json();
    assert_eq!(pulling["items"][0]["count"], 2);
    assert_eq!(
        served.cluster.faults().journal()[0].to_string(),
        "image=server-error,tries=2 on pull pods default a (0)"
    );
}

#[tokio::test]
async fn names_that_are_none_and_images_never_pulled_have_their_own_reasons() {
    let served = with(&["image=invalid-name,names=a", "image=never-pull,names=b"]).await;
    for (name, reason) in [("a", "InvalidImageName"), ("b", "ErrImageNeverPull")] {
        served.job(name, "true").await;
        let pod = pod_that(&served, name, |pod| state(pod)["waiting"]["reason"] == reason).await;
        let (status, text) = log(&served, &pod).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(text.contains(&format!("is waiting to start: {reason}")), "{text}");
    }
}

#[tokio::test]
async fn an_unschedulable_pod_says_why_and_starts_by_itself() {
    let served = with(&["unschedulable=taint,names=a"]).await;
    served.job("a", "echo scheduled after all").await;
    let message = "0/1 nodes are available: 1 node(s) had untolerated taint(s). no new claims to deallocate, \
                   preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    let pod = pod_that(&served, "a", |pod| pod["status"]["conditions"][0]["status"] == "False").await;
    let condition = &pod["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["reason"], &condition["message"]),
        (&json!("PodScheduled"), &json!("Unschedulable"), &json!(message))
    );
    assert_eq!(pod["status"]["containerStatuses"], Value::Null);
    assert_eq!(told(&served, "FailedScheduling").await, message);
    assert_eq!(log(&served, &pod).await, (StatusCode::NO_CONTENT, String::new()));
    served.cluster.faults().lift_all();
    served.until_condition("a", "Complete").await;
}

#[tokio::test]
async fn what_is_larger_than_the_node_or_for_another_one_waits_and_can_be_deleted() {
    let mut options = ClusterOptions::default();
    options.node.allocatable.insert("cpu".to_owned(), "2".to_owned());
    options.node.labels.insert("pool".to_owned(), "small".to_owned());
    let served = Served::start_with(options).await;
    let mut large = job("large", "true");
    large["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "3"}});
    let mut elsewhere = job("elsewhere", "true");
    elsewhere["spec"]["template"]["spec"]["nodeSelector"] = json!({"pool": "large"});
    for (job, why) in
        [(large, "1 Insufficient cpu."), (elsewhere, "didn't match Pod's node affinity/selector.")]
    {
        let name = job["metadata"]["name"].as_str().unwrap();
        served.post(JOBS, &job).await;
        let pod = pod_that(&served, name, |pod| pod["status"]["conditions"][0]["status"] == "False").await;
        let message = pod["status"]["conditions"][0]["message"].as_str().unwrap();
        assert!(message.contains(why), "{message}");
    }
    let mut watch = served.watch(&format!("{JOBS}?watch=true&fieldSelector=metadata.name%3Dlarge")).await;
    served.delete(&format!("{JOBS}/large?propagationPolicy=Foreground")).await;
    while watch.next().await.unwrap()["type"] != "DELETED" {}
    let mut here = job("here", "true");
    here["spec"]["template"]["spec"]["nodeSelector"] = json!({"pool": "small"});
    served.post(JOBS, &here).await;
    served.until_condition("here", "Complete").await;
}

#[tokio::test]
async fn a_container_out_of_memory_is_killed_with_the_reason() {
    let served = with(&["oom=1B,names=printed"]).await;
    served.job("printed", "echo x; exec sleep 600").await;
    served.post(JOBS, &annotated("start", "exec sleep 600", "oom", "")).await;
    served.post(JOBS, &annotated("time", "exec sleep 600", "oom", "20ms")).await;
    served.post(JOBS, &annotated("child", "exit 7", "oom", "child")).await;
    for (name, code) in [("printed", 137), ("start", 137), ("time", 137), ("child", 7)] {
        served.until_condition(name, "Failed").await;
        let pod = pod_that(&served, name, has_failed).await;
        let terminated = &state(&pod)["terminated"];
        assert_eq!(
            (&terminated["exitCode"], &terminated["reason"]),
            (&json!(code), &json!("OOMKilled")),
            "{name}"
        );
        assert_eq!(pod["status"]["reason"], Value::Null);
    }
    served.job("well", "true").await;
    served.until_condition("well", "Complete").await;
}

#[tokio::test]
async fn a_pod_evicted_while_it_runs_fails_and_loses_its_log() {
    let served = with(&[]).await;
    served.post(JOBS, &annotated("a", "echo working; exec sleep 600", "evict", "50ms")).await;
    let pod = pod_that(&served, "a", has_failed).await;
    let message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ";
    assert_eq!((&pod["status"]["reason"], &pod["status"]["message"]), (&json!("Evicted"), &json!(message)));
    assert!(!has_condition(&pod, "DisruptionTarget"));
    assert_eq!(state(&pod)["terminated"]["reason"], "Error");
    assert_eq!(told(&served, "Evicted").await, message);
    let (status, text) = log(&served, &pod).await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.starts_with("unable to retrieve container logs for "), "{text}");
    served.until_condition("a", "Failed").await;
}

#[tokio::test]
async fn an_eviction_as_a_disruption_is_ignored_by_a_failure_policy() {
    let served = with(&["evict=20ms,disruption,names=a,count=1"]).await;
    let mut job = job("a", "sleep 0.2");
    job["spec"]["podFailurePolicy"] = json!({"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]});
    served.post(JOBS, &job).await;
    let pod = pod_that(&served, "a", has_failed).await;
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let target = conditions.iter().find(|one| one["type"] == "DisruptionTarget").unwrap();
    assert_eq!(target["reason"], "TerminationByKubelet");
    assert!(pod["status"]["message"].as_str().unwrap().starts_with("The node was low on resource: memory."));
    let done = served.until_condition("a", "Complete").await;
    assert_eq!(done["status"]["failed"], Value::Null);
}

#[tokio::test]
async fn a_pod_rejected_before_its_start_has_no_containers() {
    let served = with(&["evict=before-start,names=a"]).await;
    served.job("a", "true").await;
    let pod = pod_that(&served, "a", has_failed).await;
    assert_eq!(pod["status"]["reason"], "Evicted");
    assert_eq!(pod["status"]["containerStatuses"], Value::Null);
    assert_eq!(pod["spec"]["nodeName"], "local");
    served.until_condition("a", "Failed").await;
}

#[tokio::test]
async fn a_node_that_is_not_ready_keeps_its_pods_terminating_until_it_is_back() {
    let served = with(&[]).await;
    let mut patient = job("a", "trap 'echo stopped; exit 0' TERM; while true; do sleep 0.05; done");
    patient["spec"]["template"]["spec"]["tolerations"] = json!([
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
    ]);
    served.post(JOBS, &patient).await;
    pod_that(&served, "a", is_running).await;
    let id = inject(&served, "node-not-ready");
    let pod = pod_that(&served, "a", |pod| pod["metadata"]["deletionTimestamp"].is_string()).await;
    assert!(!has_condition(&pod, "Ready"));
    assert!(has_condition(&pod, "DisruptionTarget"));
    assert!(is_running(&pod), "nobody has heard otherwise");
    assert!(told(&served, "TaintManagerEviction").await.starts_with("Marking for deletion Pod default/a-"));
    let node = served.get("/api/v1/nodes/local").await.json();
    assert_eq!(node["status"]["conditions"][0]["reason"], "NodeStatusUnknown");
    assert_eq!(node["spec"]["taints"].as_array().unwrap().len(), 2);
    let (status, text) = log(&served, &pod).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("connection refused"), "{text}");
    served.job("late", "true").await;
    let late = pod_that(&served, "late", |pod| pod["status"]["conditions"][0]["status"] == "False").await;
    assert!(late["status"]["conditions"][0]["message"].as_str().unwrap().contains("untolerated taint"));
    let mut watch = served.watch(&format!("{PODS}?watch=true&labelSelector=job-name%3Da")).await;
    served.cluster.faults().lift(id);
    served.until_condition("late", "Complete").await;
    while watch.next().await.unwrap()["type"] != "DELETED" {}
}

#[tokio::test]
async fn a_pod_on_a_lost_node_can_be_deleted_by_force() {
    let served = with(&[]).await;
    served.job("a", "exec sleep 600").await;
    let pod = pod_that(&served, "a", is_running).await;
    inject(&served, "node-not-ready");
    let path = format!("{PODS}/{}", pod["metadata"]["name"].as_str().unwrap());
    assert!(served.delete(&path).await.json()["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(served.delete(&format!("{path}?gracePeriodSeconds=0")).await.status, StatusCode::OK);
    served.until_condition("a", "Failed").await;
    assert_eq!(served.get(&path).await.status, StatusCode::NOT_FOUND);
    served.cluster.shutdown().await;
}

#[tokio::test]
async fn the_pods_of_a_node_that_is_gone_are_failed_and_collected() {
    let served = with(&[]).await;
    served.job("a", "exec sleep 600").await;
    pod_that(&served, "a", is_running).await;
    let mut watch = served.watch(&format!("{PODS}?watch=true&labelSelector=job-name%3Da")).await;
    let id = inject(&served, "node-gone");
    let last = loop {
        let event = watch.next().await.unwrap();
        if event["type"] == "DELETED" {
            break event["object"].clone();
        }
    };
    assert!(has_failed(&last) && has_condition(&last, "DisruptionTarget"), "{last}");
    assert_eq!(served.get("/api/v1/nodes/local").await.status, StatusCode::NOT_FOUND);
    served.until_condition("a", "Failed").await;
    served.job("later", "true").await;
    let waiting = pod_that(&served, "later", |pod| pod["status"]["conditions"][0]["status"] == "False").await;
    assert_eq!(waiting["status"]["conditions"][0]["message"], "no nodes available to schedule pods");
    served.cluster.faults().lift(id);
    served.until_condition("later", "Complete").await;
}

#[tokio::test]
async fn the_kubelets_excuse_comes_as_the_log() {
    let served = with(&["log-unavailable,count=1"]).await;
    served.job("a", "echo said").await;
    served.until_condition("a", "Complete").await;
    let pod = pod_that(&served, "a", |_| true).await;
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str().unwrap();
    let excuse = format!("unable to retrieve container logs for {id}");
    assert_eq!(log(&served, &pod).await, (StatusCode::OK, excuse));
    assert_eq!(log(&served, &pod).await, (StatusCode::OK, "said\n".to_owned()));
}

#[tokio::test]
async fn a_log_is_rotated_by_an_annotation_as_early_as_it_says() {
    let served = with(&[]).await;
    let script = "for i in $(seq 1000 1999); do echo $i; done";
    served.post(JOBS, &annotated("a", script, "log-rotation", "4096")).await;
    served.until_condition("a", "Complete").await;
    let pod = pod_that(&served, "a", |_| true).await;
    let (_, text) = log(&served, &pod).await;
    assert!(text.ends_with("1998\n1999\n") && text.len() < 4096 / 2, "{text}");
    served.job("b", script).await;
    served.until_condition("b", "Complete").await;
    let pod = pod_that(&served, "b", |_| true).await;
    assert_eq!(log(&served, &pod).await.1.lines().count(), 1000);
}

#[tokio::test]
async fn one_seed_gives_the_same_names_and_uids_whatever_else_happens() {
    let run = async |seed, others: &[&str]| {
        let mut options = ClusterOptions::default();
        options.seed = seed;
        let served = Served::start_with(options).await;
        for other in others {
            served.job(other, "true").await;
        }
        served.job("a", "true").await;
        let job = served.until_condition("a", "Complete").await;
        let pod = pod_that(&served, "a", |_| true).await;
        [&job["metadata"]["uid"], &pod["metadata"]["name"], &pod["metadata"]["uid"]].map(Value::to_string)
    };
    let first = run(7, &[]).await;
    assert_eq!(run(7, &["b", "c"]).await, first);
    assert_ne!(run(8, &[]).await, first);
}

#[tokio::test]
async fn jobs_and_pods_are_refused_in_the_recorded_words() {
    let served = with(&[]).await;
    for (fault, code, message) in [
        (
            "admission=quota",
            403,
            "jobs.batch \"a\" is forbidden: exceeded quota: fault, requested: count/jobs.batch=1, used: \
             count/jobs.batch=1, limited: count/jobs.batch=1",
        ),
        (
            "admission=policy",
            422,
            "jobs.batch \"a\" is forbidden: ValidatingAdmissionPolicy 'fault' with binding 'fault' denied request: \
             every Job needs the label 'team'",
        ),
        (
            "admission=webhook,message=no",
            403,
            "admission webhook \"jobs.policy.example\" denied the request: no",
        ),
        (
            "admission=webhook-silent",
            400,
            "admission webhook \"jobs.policy.example\" denied the request without explanation",
        ),
        (
            "admission=webhook-down",
            500,
            "Internal error occurred: failed calling webhook \"jobs.policy.example\": failed to call webhook: Post \
             \"https://192.0.2.1:5610/validate?timeout=2s\": dial tcp 192.0.2.1:5610: connect: connection refused",
        ),
    ] {
        let id = inject(&served, fault);
        let answer = served.post(JOBS, &job("a", "true")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (code, &json!(message)));
        served.cluster.faults().lift(id);
    }
    inject(&served, "admission=quota,resources=pods,count=1");
    served.job("a", "true").await;
    let refused = told(&served, "FailedCreate").await;
    assert!(refused.starts_with("Error creating: pods \"a-"), "{refused}");
    let end = "is forbidden: exceeded quota: fault, requested: pods=1, used: pods=0, limited: pods=0";
    assert!(refused.ends_with(end), "{refused}");
    served.until_condition("a", "Complete").await;
}

#[tokio::test]
async fn an_annotation_that_is_no_fault_is_refused() {
    let served = with(&[]).await;
    let answer = served.post(JOBS, &annotated("a", "true", "image", "nowhere")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("not-found"), "{}", answer.text);
}
