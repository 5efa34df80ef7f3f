//! What a deletion answers, and what becomes of the Pods.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{JOBS, PODS, Served, job, suspended};

async fn delete(served: &Served, name: &str, options: Value) -> (u16, Value) {
    let path = format!("{JOBS}/{name}");
    let answer = served.write(Method::DELETE, &path, "application/json", &options).await;
    (answer.status.as_u16(), answer.json())
}

async fn pod_of(served: &Served, job: &str) -> Value {
    let selector = format!("labelSelector=job-name%3D{job}");
    served.until(PODS, &selector, |pod| pod["status"]["phase"] == "Running").await
}

#[tokio::test]
async fn a_precondition_on_another_uid_or_version_is_a_conflict() {
    let served = Served::start().await;
    let job = served.post(JOBS, &suspended("guarded")).await.json();
    let uid = job["metadata"]["uid"].as_str().unwrap();
    let other = "00000000-0000-0000-0000-000000000000";
    let (code, body) = delete(
        &served,
        "guarded",
        json!({"propagationPolicy": "Background", "preconditions": {"uid": other}}),
    )
    .await;
    assert_eq!(code, 409);
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!(
            "Operation cannot be fulfilled on Job.batch \"guarded\": the UID in the precondition ({other}) does not \
             match the UID in record ({uid}). The object might have been deleted and then recreated"
        ),
        "reason": "Conflict",
        "details": {"name": "guarded", "group": "batch", "kind": "Job"},
        "code": 409,
    });
    assert_eq!(body, expected);
    let options =
        json!({"propagationPolicy": "Background", "preconditions": {"uid": uid, "resourceVersion": "1"}});
    let (code, body) = delete(&served, "guarded", options).await;
    assert_eq!(code, 409);
    assert!(body["message"].as_str().unwrap().contains("the ResourceVersion in the precondition (1)"));
    let (code, _) = delete(&served, "guarded", json!({"preconditions": {"uid": uid}})).await;
    assert_eq!(code, 200);
}

#[tokio::test]
async fn in_the_background_the_job_is_gone_at_once_and_its_pod_follows() {
    let served = Served::start().await;
    let job = served.job("background", "sleep 600").await;
    let pod = pod_of(&served, "background").await;
    let (code, body) = delete(&served, "background", json!({"propagationPolicy": "Background"})).await;
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "background", "group": "batch", "kind": "jobs", "uid": job["metadata"]["uid"]},
    });
    assert_eq!((code, body), (200, expected));
    let gone = served.get(&format!("{JOBS}/background")).await;
    assert_eq!(gone.status, 404);
    let version = pod["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{PODS}?watch=true&labelSelector=job-name%3Dbackground&resourceVersion={version}");
    let mut watch = served.watch(&path).await;
    while watch.next().await.unwrap()["type"] != "DELETED" {}
    served.cluster.shutdown().await;
}

#[tokio::test]
async fn in_the_foreground_the_job_stays_until_its_pod_is_gone() {
    let served = Served::start().await;
    served.job("foreground", "trap 'exit 0' TERM; while :; do sleep 0.05; done").await;
    pod_of(&served, "foreground").await;
    let selector = "fieldSelector=metadata.name%3Dforeground";
    let mut watch = served.watch(&format!("{JOBS}?watch=true&{selector}")).await;
    let (code, body) = delete(&served, "foreground", json!({"propagationPolicy": "Foreground"})).await;
    assert_eq!(code, 200);
    assert_eq!(body["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert_eq!(body["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(body["metadata"]["generation"], 2);
    while watch.next().await.unwrap()["type"] != "DELETED" {}
    let pods = served.get(&format!("{PODS}?labelSelector=job-name%3Dforeground")).await.json();
    assert_eq!(pods["items"], json!([]));
    served.cluster.shutdown().await;
}

#[tokio::test]
async fn without_a_policy_the_pod_runs_on_and_a_warning_says_so() {
    let served = Served::start().await;
    served.job("orphan", "sleep 600").await;
    pod_of(&served, "orphan").await;
    let answer = served.delete(&format!("{JOBS}/orphan")).await;
    let warning = answer.headers["warning"].to_str().unwrap();
    assert!(
        warning.starts_with("299 - \"child pods are preserved by default when jobs are deleted;"),
        "{warning}"
    );
    assert_eq!(answer.json()["metadata"]["finalizers"], json!(["orphan"]));
    let selector = "labelSelector=job-name%3Dorphan";
    let pod = served.until(PODS, selector, |pod| pod["metadata"]["ownerReferences"].is_null()).await;
    assert_eq!(pod["status"]["phase"], "Running");
    served.cluster.shutdown().await;
}

#[tokio::test]
async fn a_collection_is_deleted_by_label() {
    let served = Served::start().await;
    for (name, set) in [("a", "sweep"), ("b", "sweep"), ("c", "keep")] {
        let mut job = suspended(name);
        job["metadata"]["labels"] = json!({"set": set});
        served.post(JOBS, &job).await;
    }
    let path = format!("{JOBS}?labelSelector=set%3Dsweep&propagationPolicy=Background");
    let deleted = served.delete(&path).await.json();
    let names = |list: &Value| -> Vec<Value> {
        list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].clone()).collect()
    };
    assert_eq!(names(&deleted), ["a", "b"]);
    assert_eq!(names(&served.get(JOBS).await.json()), ["c"]);
}

#[tokio::test]
async fn a_dry_run_deletes_nothing() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("kept")).await;
    let path = format!("{JOBS}/kept");
    let answer = served.delete(&format!("{path}?propagationPolicy=Background&dryRun=All")).await;
    assert_eq!(answer.json()["status"], "Success");
    assert_eq!(served.get(&path).await.status, 200);
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let served = Served::start().await;
    let namespace = json!({"metadata": {"name": "team"}});
    let at = |path: &str| path.replace("/default/", "/team/");
    assert_eq!(served.post("/api/v1/namespaces", &namespace).await.status, StatusCode::CREATED);
    let secret = json!({"metadata": {"name": "s", "finalizers": ["example.com/hold"]}});
    assert_eq!(served.post("/api/v1/namespaces/team/secrets", &secret).await.status, StatusCode::CREATED);
    let mut job = job("runs", "sleep 600");
    job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(0);
    assert_eq!(served.post(&at(JOBS), &job).await.status, StatusCode::CREATED);
    served.until(&at(PODS), "", |pod| pod["status"]["phase"] == "Running").await;
    let deleted = served.delete("/api/v1/namespaces/team").await.json();
    assert_eq!(deleted["status"]["phase"], "Terminating");
    assert!(deleted["metadata"]["deletionTimestamp"].is_string());
    let refused = served.post(&at(JOBS), &job).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["details"]["causes"][0]["reason"], "NamespaceTerminating");
    // The finalizer of the secret holds it, until it is taken away.
    let mut watch = served.watch("/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3Dteam").await;
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(served.merge("/api/v1/namespaces/team/secrets/s", &free).await.status, StatusCode::OK);
    while watch.next().await.unwrap()["type"] != "DELETED" {}
    assert_eq!(served.get("/api/v1/namespaces/team").await.status, 404);
    for path in [at(JOBS), at(PODS), "/api/v1/namespaces/team/events".to_owned()] {
        assert_eq!(served.get(&path).await.json()["items"], json!([]), "{path}");
    }
    assert_eq!(served.post("/api/v1/namespaces", &namespace).await.status, StatusCode::CREATED);
    let account = served.get("/api/v1/namespaces/team/serviceaccounts/default").await;
    assert_eq!(account.status, StatusCode::OK);
}
