//! Nobody runs processes without the token.

use http::{Method, Request, header};
use http_body_util::Full;
use wm_local::{Cluster, ClusterOptions, StartError};

use crate::client::{JOBS, Served};

#[tokio::test]
async fn without_the_token_only_health_and_version_answer() {
    let served = Served::start().await;
    let get = async |path: &str, authorization: Option<&str>| {
        let mut request =
            Request::builder().method(Method::GET).uri(format!("{}{path}", served.cluster.url()));
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        served.send(request.body(Full::default()).unwrap()).await
    };
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(get(path, None).await.status, 200, "{path}");
    }
    for path in ["/", "/api", "/apis", "/api/v1/nodes", JOBS, "/nope", "/openapi/v3"] {
        for authorization in [None, Some("Bearer wrong"), Some("Basic d3Jvbmc6d3Jvbmc=")] {
            let answer = get(path, authorization).await;
            // Nobody in particular may nothing; a wrong token is not even nobody.
            let expected = if authorization.is_none() { (403, "Forbidden") } else { (401, "Unauthorized") };
            assert_eq!(answer.status, expected.0, "{path} {authorization:?}");
            assert_eq!(answer.json()["reason"], expected.1);
        }
    }
}

#[tokio::test]
async fn the_token_is_not_printed() {
    let served = Served::start().await;
    let printed = format!("{:?}", served.cluster);
    assert!(printed.contains(served.cluster.url()));
    assert!(!printed.contains(served.cluster.token()));
    assert!(served.cluster.kubeconfig().contains(served.cluster.token()));
}

#[tokio::test]
async fn a_taken_address_or_a_bad_name_is_told() {
    let served = Served::start().await;
    let mut options = ClusterOptions::default();
    options.address = served.cluster.url().strip_prefix("http://").unwrap().parse().unwrap();
    assert!(matches!(Cluster::start(options).await, Err(StartError::Listen { .. })));
    let mut options = ClusterOptions::default();
    options.namespaces.push("Not_A_Name".to_owned());
    let error = Cluster::start(options).await.unwrap_err();
    assert!(error.to_string().contains("Namespace \"Not_A_Name\" is invalid"), "{error}");
}

#[tokio::test]
async fn service_accounts_are_made() {
    let mut options = ClusterOptions::default();
    options.service_accounts.push(("team".to_owned(), "runner".to_owned()));
    let served = Served::start_with(options).await;
    for name in ["default", "runner"] {
        let path = format!("/api/v1/namespaces/team/serviceaccounts/{name}");
        assert_eq!(served.get(&path).await.status, 200, "{name}");
    }
}
