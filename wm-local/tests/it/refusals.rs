//! What the cluster does not do it refuses: nothing of this list succeeds, and what a client may ask for is told with 501.

use http::Method;
use serde_json::{Value, json};

use crate::client::{JOBS, PODS, Served, suspended};

#[tokio::test]
async fn what_is_not_served_is_refused_with_a_clear_status() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("j")).await;
    let job = format!("{JOBS}/j");
    let apply = "application/apply-patch+yaml";
    let mut indexed = suspended("indexed");
    indexed["spec"]["completionMode"] = "Indexed".into();
    for (method, path, content_type, body) in [
        (Method::GET, format!("{PODS}/p/exec?command=true"), "application/json", Value::Null),
        (Method::GET, format!("{PODS}/p/attach"), "application/json", Value::Null),
        (Method::GET, format!("{PODS}/p/portforward"), "application/json", Value::Null),
        (Method::POST, format!("{PODS}/p/eviction"), "application/json", json!({})),
        (Method::POST, format!("{PODS}/p/binding"), "application/json", json!({})),
        (Method::PATCH, format!("{job}?fieldManager=me"), apply, suspended("j")),
        (Method::POST, JOBS.to_owned(), "application/json", indexed),
    ] {
        let answer = served.write(method.clone(), &path, content_type, &body).await;
        assert_eq!(answer.status, 501, "{method} {path}: {}", answer.text);
        let status = answer.json();
        assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("NotImplemented")));
        assert!(status["message"].as_str().unwrap().starts_with("the embedded cluster does not support"));
    }
}

#[tokio::test]
async fn other_groups_and_resources_are_not_there() {
    let served = Served::start().await;
    for path in [
        "/apis/apps/v1/namespaces/default/deployments",
        "/apis/apps/v1/namespaces/default/statefulsets",
        "/apis/batch/v1/namespaces/default/cronjobs",
        "/apis/networking.k8s.io/v1/ingresses",
        "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        "/apis/batch/v2/namespaces/default/jobs",
        "/api/v1/namespaces/default/services",
        "/api/v1/persistentvolumes",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = served.write(method.clone(), path, "application/json", &json!({})).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
        }
    }
}
