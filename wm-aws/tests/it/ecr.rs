//! What ECR's answers mean.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use secrecy::SecretString;
use wm_aws::{AwsAccount, Ecr, EcrSettings};
use wm_core::{ErrorKind, ImageReference, ManifestProbe, PlainRegistry, Probe, RegistrySetup as _};

use crate::serve::serve;

const IMAGE: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/zenml-runner:abc";
const DIGEST: &str = "sha256:0123456789012345678901234567890123456789012345678901234567890123";

/// Knows no registry.
#[derive(Debug)]
struct Nobody;

#[async_trait::async_trait]
impl ManifestProbe for Nobody {
    async fn probe(&self, _image: &ImageReference) -> Probe {
        Probe::Unknown("another registry".to_owned())
    }
}

type Calls = Arc<Mutex<Vec<(String, String)>>>;

/// ECR that gives these answers, one for each operation, and what it was asked.
async fn ecr(answers: &[(&'static str, u16, String)]) -> (Ecr, Calls) {
    let (answers, calls) = (Arc::new(answers.to_vec()), Calls::default());
    let seen = Arc::clone(&calls);
    let endpoint = serve(move |request: Request<Bytes>| {
        let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
        let operation = target.rsplit('.').next().unwrap().to_owned();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let answer = answers.iter().find(|(name, ..)| *name == operation).cloned();
        seen.lock().unwrap().push((operation, body));
        async move {
            let (_, status, body) = answer.expect("it is asked for what is expected");
            Response::builder().status(status).body(Bytes::from(body)).unwrap()
        }
    })
    .await;
    let account = AwsAccount::with_key("KEY", &SecretString::from("SECRET"), "us-east-1").await;
    let settings = EcrSettings { endpoint: Some(endpoint), ..EcrSettings::default() };
    (Ecr::new(account, settings, Arc::new(Nobody), Arc::new(PlainRegistry::new())), calls)
}

fn failure(name: &str) -> String {
    format!(r#"{{"__type":"{name}","message":"so it is"}}"#)
}

fn image() -> ImageReference {
    IMAGE.parse().unwrap()
}

fn operations(calls: &Calls) -> Vec<String> {
    calls.lock().unwrap().iter().map(|(operation, _)| operation.clone()).collect()
}

#[tokio::test]
async fn an_image_is_found_by_its_tag() {
    let answer = format!(r#"{{"imageDetails":[{{"imageDigest":"{DIGEST}","imageTags":["abc"]}}]}}"#);
    let (ecr, calls) = ecr(&[("DescribeImages", 200, answer)]).await;
    assert_eq!(ecr.probe(&image()).await, Probe::Found(DIGEST.to_owned()));
    let (_, body) = calls.lock().unwrap()[0].clone();
    assert_eq!(
        body,
        r#"{"registryId":"123456789012","repositoryName":"team/zenml-runner","imageIds":[{"imageTag":"abc"}]}"#
    );
    let other = "docker.io/library/python:3.12".parse().unwrap();
    assert_eq!(ecr.probe(&other).await, Probe::Unknown("another registry".to_owned()));
}

#[tokio::test]
async fn a_missing_image_or_repository_is_absent() {
    for name in ["ImageNotFoundException", "RepositoryNotFoundException"] {
        let (ecr, _) = ecr(&[("DescribeImages", 400, failure(name))]).await;
        assert_eq!(ecr.probe(&image()).await, Probe::Absent);
    }
}

#[tokio::test]
async fn a_refusal_is_asked_again_as_a_pull_and_is_no_absence() {
    let denied = ("DescribeImages", 400, failure("AccessDeniedException"));
    let found = format!(r#"{{"images":[{{"imageId":{{"imageDigest":"{DIGEST}"}}}}]}}"#);
    let (pulled, calls) = ecr(&[denied.clone(), ("BatchGetImage", 200, found)]).await;
    assert_eq!(pulled.probe(&image()).await, Probe::Found(DIGEST.to_owned()));
    assert_eq!(operations(&calls), ["DescribeImages", "BatchGetImage"]);
    let missing = r#"{"images":[],"failures":[{"failureCode":"ImageNotFound"}]}"#.to_owned();
    let (absent, _) = ecr(&[denied.clone(), ("BatchGetImage", 200, missing)]).await;
    assert_eq!(absent.probe(&image()).await, Probe::Absent);
    let (refused, _) = ecr(&[denied, ("BatchGetImage", 400, failure("AccessDeniedException"))]).await;
    let Probe::Unknown(why) = refused.probe(&image()).await else { panic!("nobody can tell") };
    assert!(why.contains("AccessDenied"), "{why}");
}

#[tokio::test]
async fn a_repository_is_made_where_it_is_missing() {
    for (status, answer) in [
        (200, "{}".to_owned()),
        (400, failure("RepositoryAlreadyExistsException")),
        (400, failure("AccessDeniedException")),
    ] {
        let (ecr, calls) = ecr(&[("CreateRepository", status, answer)]).await;
        ecr.ensure_repository(&image()).await.unwrap();
        let body = calls.lock().unwrap()[0].1.clone();
        assert!(body.contains(r#""repositoryName":"team/zenml-runner""#), "{body}");
        assert!(body.contains(r#""imageTagMutability":"IMMUTABLE""#), "{body}");
    }
    let (ecr, _) = ecr(&[("CreateRepository", 400, failure("LimitExceededException"))]).await;
    let error = ecr.ensure_repository(&image()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert!(
        error.to_string().contains("arn:aws:ecr:eu-central-1:123456789012:repository/team/zenml-runner"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_is_fetched_once_and_never_shown() {
    let answer =
        r#"{"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldA==","expiresAt":4102444800.0}]}"#;
    let (ecr, calls) = ecr(&[("GetAuthorizationToken", 200, answer.to_owned())]).await;
    for _ in 0..2 {
        let config = ecr.docker_config(&image()).await.unwrap().unwrap();
        assert!(config.is_secret());
        assert_eq!(
            config.expose(),
            r#"{"auths":{"123456789012.dkr.ecr.eu-central-1.amazonaws.com":{"auth":"QVdTOnNlY3JldA=="}}}"#
        );
    }
    assert_eq!(operations(&calls).len(), 1);
    assert!(!format!("{ecr:?}").contains("QVdT"));
    assert_eq!(ecr.builder_environment(&image())["AWS_REGION"], "eu-central-1");
}
