//! Tokens, and what each may do.

use std::{path::Path, time::Duration};

use http::{Method, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use wm_local::{Cluster, ClusterOptions, Grant, Identity, Role, StartError};

use crate::client::{Answer, JOBS, PODS, Served, suspended};

const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const RULES_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// The Role of the users' guide, as `wm role --narrow` prints its rules.
fn narrow() -> Value {
    json!([
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch", "delete"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ])
}

fn launcher(rules: &Value) -> Identity {
    Identity::service_account("default", "launcher").with_role(Role::from_json("default", rules).unwrap())
}

async fn ask(served: &Served, token: Option<&str>, method: Method, path: &str, body: &Value) -> Answer {
    let mut request = http::Request::builder().method(method).uri(format!("{}{path}", served.cluster.url()));
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    served
        .send(request.header(header::CONTENT_TYPE, "application/json").body(Full::from(body)).unwrap())
        .await
}

#[tokio::test]
async fn a_refusal_names_user_verb_resource_and_namespace_as_recorded() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("target")).await;
    let token = served.cluster.grant(Identity::service_account("default", "launcher")).unwrap();
    let user = "User \"system:serviceaccount:default:launcher\"";
    let in_batch = "in API group \"batch\" in the namespace \"default\"";
    let in_core = "in API group \"\" in the namespace \"default\"";
    let job = format!("{JOBS}/target");
    for (method, path, body, message, details) in [
        (
            Method::POST,
            JOBS.to_owned(),
            suspended("mine"),
            format!("jobs.batch is forbidden: {user} cannot create resource \"jobs\" {in_batch}"),
            json!({"group": "batch", "kind": "jobs"}),
        ),
        (
            Method::GET,
            job.clone(),
            Value::Null,
            format!("jobs.batch \"target\" is forbidden: {user} cannot get resource \"jobs\" {in_batch}"),
            json!({"name": "target", "group": "batch", "kind": "jobs"}),
        ),
        (
            Method::GET,
            format!("{JOBS}/absent"),
            Value::Null,
            format!("jobs.batch \"absent\" is forbidden: {user} cannot get resource \"jobs\" {in_batch}"),
            json!({"name": "absent", "group": "batch", "kind": "jobs"}),
        ),
        (
            Method::GET,
            format!("{JOBS}?watch=true"),
            Value::Null,
            format!("jobs.batch is forbidden: {user} cannot watch resource \"jobs\" {in_batch}"),
            json!({"group": "batch", "kind": "jobs"}),
        ),
        (
            Method::DELETE,
            JOBS.to_owned(),
            Value::Null,
            format!("jobs.batch is forbidden: {user} cannot deletecollection resource \"jobs\" {in_batch}"),
            json!({"group": "batch", "kind": "jobs"}),
        ),
        (
            Method::PATCH,
            job,
            json!({"spec": {"suspend": true}}),
            format!("jobs.batch \"target\" is forbidden: {user} cannot patch resource \"jobs\" {in_batch}"),
            json!({"name": "target", "group": "batch", "kind": "jobs"}),
        ),
        (
            Method::GET,
            format!("{PODS}/target-8cg46/log?container=main"),
            Value::Null,
            format!("pods \"target-8cg46\" is forbidden: {user} cannot get resource \"pods/log\" {in_core}"),
            json!({"name": "target-8cg46", "kind": "pods"}),
        ),
        (
            Method::GET,
            "/api/v1/nodes".to_owned(),
            Value::Null,
            format!(
                "nodes is forbidden: {user} cannot list resource \"nodes\" in API group \"\" at the cluster scope"
            ),
            json!({"kind": "nodes"}),
        ),
        (
            Method::GET,
            "/metrics".to_owned(),
            Value::Null,
            format!("forbidden: {user} cannot get path \"/metrics\""),
            json!({}),
        ),
    ] {
        let answer = ask(&served, Some(&token), method, &path, &body).await;
        let expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": "Forbidden", "details": details, "code": 403,
        });
        assert_eq!((answer.status, answer.json()), (StatusCode::FORBIDDEN, expected), "{path}");
    }
    for path in ["/version", "/apis", "/apis/batch/v1", "/openapi/v3"] {
        let answer = ask(&served, Some(&token), Method::GET, path, &Value::Null).await;
        assert_ne!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn who_brings_no_credential_is_anonymous_and_may_nothing() {
    let served = Served::start().await;
    let answer = ask(&served, None, Method::GET, JOBS, &Value::Null).await;
    let message = "jobs.batch is forbidden: User \"system:anonymous\" cannot list resource \"jobs\" in API group \
                   \"batch\" in the namespace \"default\"";
    assert_eq!((answer.status, &answer.json()["message"]), (StatusCode::FORBIDDEN, &json!(message)));
    let answer = ask(&served, None, Method::POST, ACCESS_REVIEWS, &json!({})).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    for token in ["wrong", ""] {
        let answer = ask(&served, Some(token), Method::GET, "/version", &Value::Null).await;
        let expected = if token.is_empty() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(answer.status, expected, "{token:?}");
    }
}

#[tokio::test]
async fn the_narrow_role_allows_what_it_lists_and_nothing_else() {
    let served = Served::start().await;
    let token = served.cluster.grant(launcher(&narrow())).unwrap();
    let token = Some(token.as_str());
    let created = ask(&served, token, Method::POST, JOBS, &suspended("a")).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    for path in [
        format!("{JOBS}/a"),
        JOBS.to_owned(),
        format!("{JOBS}?watch=true&timeoutSeconds=1"),
        "/apis/batch/v1/watch/namespaces/default/jobs/a?timeoutSeconds=1".to_owned(),
        PODS.to_owned(),
        format!("{PODS}?watch=true&timeoutSeconds=1"),
    ] {
        assert_eq!(ask(&served, token, Method::GET, &path, &Value::Null).await.status, 200, "{path}");
    }
    assert_eq!(ask(&served, token, Method::GET, &format!("{PODS}/p/log"), &Value::Null).await.status, 404);
    for (method, path) in [
        (Method::PATCH, format!("{JOBS}/a")),
        (Method::PUT, format!("{JOBS}/a")),
        (Method::DELETE, JOBS.to_owned()),
        (Method::DELETE, format!("{PODS}/p")),
        (Method::GET, "/apis/batch/v1/jobs".to_owned()),
        (Method::GET, "/apis/batch/v1/namespaces/other/jobs".to_owned()),
        (Method::POST, "/api/v1/namespaces/default/secrets".to_owned()),
    ] {
        let answer = ask(&served, token, method.clone(), &path, &json!({})).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    let path = format!("{JOBS}/a?propagationPolicy=Background");
    assert_eq!(ask(&served, token, Method::DELETE, &path, &Value::Null).await.status, 200);
}

#[tokio::test]
async fn reviews_tell_what_requests_would_be_answered() {
    let served = Served::start().await;
    let token = served.cluster.grant(launcher(&narrow())).unwrap();
    let token = Some(token.as_str());
    let review = async |attributes: Value| {
        let spec = json!({"resourceAttributes": attributes});
        let answer = ask(&served, token, Method::POST, ACCESS_REVIEWS, &json!({"spec": spec})).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.json()["spec"], spec);
        answer.json()["status"].clone()
    };
    let reason = "RBAC: allowed by RoleBinding \"granted/default\" of Role \"granted\" to ServiceAccount \
                  \"launcher/default\"";
    let log = json!({"namespace": "default", "verb": "get", "resource": "pods", "subresource": "log"});
    assert_eq!(review(log).await, json!({"allowed": true, "reason": reason}));
    let create = |namespace: &str, resource: &str| json!({"namespace": namespace, "verb": "create", "group": "batch", "resource": resource});
    assert_eq!(review(create("default", "jobs")).await["allowed"], true);
    for denied in [
        create("elsewhere", "jobs"),
        create("default", "nonsense"),
        json!({"namespace": "default", "verb": "patch", "group": "batch", "resource": "jobs"}),
    ] {
        assert_eq!(review(denied).await, json!({"allowed": false}));
    }
    let rules =
        ask(&served, token, Method::POST, RULES_REVIEWS, &json!({"spec": {"namespace": "default"}})).await;
    let status = &rules.json()["status"];
    assert_eq!(
        status["resourceRules"][0]["resources"],
        json!(["selfsubjectaccessreviews", "selfsubjectrulesreviews"])
    );
    let own: Vec<Value> = status["resourceRules"].as_array().unwrap()[2..].to_vec();
    let sorted: Vec<Value> = own
        .iter()
        .map(|rule| json!({"apiGroups": rule["apiGroups"], "resources": rule["resources"], "verbs": rule["verbs"]}))
        .collect();
    assert_eq!(json!(sorted), narrow());
    assert_eq!(status["nonResourceRules"].as_array().unwrap().len(), 3);
    let who = ask(&served, token, Method::POST, REVIEWS, &json!({})).await.json();
    let info = &who["status"]["userInfo"];
    assert_eq!(info["username"], "system:serviceaccount:default:launcher");
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_eq!(info["groups"], json!(groups));
    let account = served.get("/api/v1/namespaces/default/serviceaccounts/launcher").await.json();
    assert_eq!(info["uid"], account["metadata"]["uid"]);
}

#[tokio::test]
async fn a_token_ends_by_revocation_or_with_its_service_account() {
    let served = Served::start().await;
    let list = async |token: &str| ask(&served, Some(token), Method::GET, JOBS, &Value::Null).await.status;
    let first = served.cluster.grant(launcher(&narrow())).unwrap();
    let second = served.cluster.grant(launcher(&narrow())).unwrap();
    assert_eq!((list(&first).await, list(&second).await), (StatusCode::OK, StatusCode::OK));
    assert!(served.cluster.revoke(&first));
    assert!(!served.cluster.revoke(&first));
    assert_eq!((list(&first).await, list(&second).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    let account = "/api/v1/namespaces/default/serviceaccounts";
    served.delete(&format!("{account}/launcher")).await;
    assert_eq!(list(&second).await, StatusCode::UNAUTHORIZED);
    served.post(account, &json!({"metadata": {"name": "launcher"}})).await;
    assert_eq!(list(&second).await, StatusCode::UNAUTHORIZED, "a namesake is another account");
}

#[tokio::test]
async fn a_token_that_has_expired_is_replaced_by_the_one_in_the_renewed_file() {
    let served = Served::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let expired = launcher(&narrow()).with_lifetime(Duration::ZERO);
    std::fs::write(&path, served.cluster.grant(expired).unwrap()).unwrap();
    let list = async |path: &Path| {
        let token = std::fs::read_to_string(path).unwrap();
        ask(&served, Some(&token), Method::GET, JOBS, &Value::Null).await.status
    };
    assert_eq!(list(&path).await, StatusCode::UNAUTHORIZED);
    let renewed = launcher(&narrow()).with_lifetime(Duration::from_hours(1));
    std::fs::write(&path, served.cluster.grant(renewed).unwrap()).unwrap();
    assert_eq!(list(&path).await, StatusCode::OK);
}

#[tokio::test]
async fn tokens_given_at_the_start_are_valid_and_not_printed() {
    let mut options = ClusterOptions::default();
    options.grants.push(Grant::new("chosen-by-the-test", launcher(&narrow())));
    assert!(!format!("{options:?}").contains("chosen-by-the-test"));
    let served = Served::start_with(options).await;
    let answer = ask(&served, Some("chosen-by-the-test"), Method::GET, JOBS, &Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(served.cluster.kubeconfig_for("chosen-by-the-test").contains("chosen-by-the-test"));
}

#[tokio::test]
async fn impersonation_is_refused_and_not_ignored() {
    let served = Served::start().await;
    let request = served.request(Method::GET, JOBS).header("Impersonate-User", "somebody");
    let answer = served.send(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test]
async fn only_a_loopback_address_is_listened_on() {
    let mut options = ClusterOptions::default();
    options.address = "0.0.0.0:0".parse().unwrap();
    let error = Cluster::start(options).await.unwrap_err();
    assert!(matches!(error, StartError::NotLoopback { .. }));
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}
