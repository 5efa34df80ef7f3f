//! What may be changed, and what is refused.

use http::Method;
use serde_json::{Value, json};

use crate::client::{JOBS, PODS, Served, has_condition, job, suspended};

#[tokio::test]
async fn a_put_with_a_stale_version_is_a_conflict() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("a")).await;
    let stored = served.until_condition("a", "Suspended").await;
    let path = format!("{JOBS}/a");
    let put = async |object: &Value| served.write(Method::PUT, &path, "application/json", object).await;
    let mut object = stored.clone();
    object["metadata"]["labels"]["put"] = "1".into();
    let changed = put(&object).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let stale = put(&object).await;
    assert_eq!(stale.status, 409);
    let message = "Operation cannot be fulfilled on jobs.batch \"a\": the object has been modified; please apply \
                   your changes to the latest version and try again";
    assert_eq!(stale.json()["message"], message);
    object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    object["metadata"]["labels"]["put"] = "2".into();
    assert_eq!(put(&object).await.status, 200, "without a version no check is made");
    object["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    assert_eq!(put(&object).await.status, 409);
    let absent = format!("{JOBS}/absent");
    assert_eq!(
        served.write(Method::PUT, &absent, "application/json", &suspended("absent")).await.status,
        404
    );
}

#[tokio::test]
async fn the_template_is_fixed_but_for_the_placing_of_a_job_that_has_not_started() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("a")).await;
    let path = format!("{JOBS}/a");
    let strategic = "application/strategic-merge-patch+json";
    let patch = async |spec: Value| {
        let patch = json!({"spec": {"template": {"spec": spec}}});
        served.write(Method::PATCH, &path, strategic, &patch).await
    };
    let refused = patch(json!({"containers": [{"name": "main", "image": "other"}]})).await;
    assert_eq!(refused.status, 422);
    let cause = &refused.json()["details"]["causes"][0];
    assert!(cause["field"].as_str().unwrap().starts_with("spec.template"), "{cause}");
    assert!(cause["message"].as_str().unwrap().ends_with("field is immutable"), "{cause}");
    let placed = patch(json!({"nodeSelector": {"disk": "ssd"}})).await;
    assert_eq!(placed.json()["spec"]["template"]["spec"]["nodeSelector"], json!({"disk": "ssd"}));
}

#[tokio::test]
async fn a_suspended_job_is_resumed_by_a_patch() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("a")).await;
    let stored = served.until_condition("a", "Suspended").await;
    assert_eq!(stored["status"]["startTime"], Value::Null);
    let resumed = served.merge(&format!("{JOBS}/a"), &json!({"spec": {"suspend": false}})).await.json();
    assert_eq!(resumed["metadata"]["generation"], 2);
    let done = served.until_condition("a", "Complete").await;
    assert!(!has_condition(&done, "Suspended"));
    assert_eq!(done["status"]["succeeded"], 1);
}

#[tokio::test]
async fn the_status_is_changed_by_its_own_path_only() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("a")).await;
    served.until_condition("a", "Suspended").await;
    let ignored = served.merge(&format!("{JOBS}/a"), &json!({"status": {"failed": 9}})).await.json();
    assert_eq!(ignored["status"]["failed"], Value::Null);
    let patch = json!({"status": {"failed": 9}, "spec": {"backoffLimit": 9}});
    let status = served.merge(&format!("{JOBS}/a/status"), &patch).await.json();
    assert_eq!(status["status"]["failed"], 9);
    assert_eq!(status["spec"]["backoffLimit"], 0);
}

#[tokio::test]
async fn an_immutable_secret_stays() {
    let served = Served::start().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = json!({"metadata": {"name": "s"}, "immutable": true, "stringData": {"a": "1"}});
    assert_eq!(served.post(secrets, &secret).await.json()["data"], json!({"a": "MQ=="}));
    let refused = served.merge(&format!("{secrets}/s"), &json!({"stringData": {"a": "2"}})).await;
    let expected = "Secret \"s\" is invalid: data: Forbidden: field is immutable when `immutable` is set";
    assert_eq!(refused.json()["message"], expected);
    let labelled = served.merge(&format!("{secrets}/s"), &json!({"metadata": {"labels": {"a": "b"}}})).await;
    assert_eq!(labelled.status, 200);
}

#[tokio::test]
async fn a_pod_of_its_own_runs_and_needs_its_service_account() {
    let served = Served::start().await;
    let template = &job("unused", "echo alone")["spec"]["template"]["spec"];
    let mut pod = json!({"metadata": {"name": "alone"}, "spec": template});
    let created = served.post(PODS, &pod).await.json();
    assert_eq!(created["spec"]["serviceAccountName"], "default");
    assert_eq!(created["status"]["qosClass"], "BestEffort");
    let selector = "fieldSelector=metadata.name%3Dalone";
    served.until(PODS, selector, |pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(served.get(&format!("{PODS}/alone/log")).await.text, "alone\n");
    let deleted = served.delete(&format!("{PODS}/alone")).await.json();
    assert_eq!(deleted["kind"], "Pod");
    pod["metadata"]["name"] = "other".into();
    pod["spec"]["serviceAccountName"] = "absent".into();
    let refused = served.post(PODS, &pod).await;
    assert_eq!(refused.status, 403);
    let expected = "pods \"other\" is forbidden: error looking up service account default/absent: serviceaccount \
                    \"absent\" not found";
    assert_eq!(refused.json()["message"], expected);
}

#[tokio::test]
async fn what_is_not_supported_is_refused_and_not_pretended() {
    let served = Served::start().await;
    let mut indexed = suspended("indexed");
    indexed["spec"]["completionMode"] = "Indexed".into();
    let refused = served.post(JOBS, &indexed).await;
    assert_eq!(refused.status, 501);
    assert_eq!(
        refused.json()["message"],
        "the embedded cluster does not support Jobs with completionMode Indexed"
    );
    let apply =
        served.write(Method::PATCH, &format!("{JOBS}/a"), "application/apply-patch+yaml", &json!({})).await;
    assert_eq!(apply.status, 501);
    assert_eq!(served.post(&format!("{PODS}/a/eviction"), &json!({})).await.status, 501);
    assert_eq!(served.delete("/api/v1/namespaces/default").await.status, 403);
    assert_eq!(served.delete("/api/v1/nodes/local").await.status, 501);
}
