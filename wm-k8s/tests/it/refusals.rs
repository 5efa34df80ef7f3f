//! What a cluster refuses, for a while or for good, and what it forgets.

use serde_json::json;
use wm_core::{ErrorKind, WorkloadManager as _};
use wm_k8s::KubernetesSettings;

use crate::{
    stage::{Stage, finish, log, request, run_id, script},
    wire::Fault,
};

#[tokio::test]
async fn passing_trouble_is_passed_over_without_a_second_job() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let overload = "Too many requests, please try again later.\n".to_owned();
    let webhook = "Internal error occurred: failed calling webhook \"policy.example.com\": timeout";
    for fault in [
        Fault::Answer { code: 429, retry_after: Some(1), body: overload },
        Fault::status(500, "InternalError", webhook),
        Fault::status(503, "ServiceUnavailable", "apiserver is shutting down"),
    ] {
        stage.wire.fail("create", "jobs", 1, fault);
    }
    let submission = manager.submit(&request(script("patient", "true"))).await.unwrap();
    assert!(!submission.adopted);
    assert_eq!(stage.wire.count("create", "jobs"), 4);
    assert_eq!(stage.job_names().await, ["runner-patient-1"]);
}

#[tokio::test]
async fn trouble_that_does_not_pass_is_told_as_retryable() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    // From here on only the wire answers, so no time has to pass between the tries.
    finish(&manager, &request(script("clock", "true"))).await;
    tokio::time::pause();
    let down = Fault::Answer { code: 503, retry_after: None, body: "upstream connect error".to_owned() };
    stage.wire.fail("create", "jobs", usize::MAX, down);
    let error = manager.submit(&request(script("down", "true"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert!(error.message().contains("upstream connect error"), "{error}");
}

#[tokio::test]
async fn permanent_refusals_come_at_once_with_their_kind_and_the_servers_words() {
    let cases = [
        (422, "Invalid", "Job.batch \"x\" is invalid: spec.template: bad", ErrorKind::InvalidRequest),
        (400, "BadRequest", "quantities must match the regular expression", ErrorKind::InvalidRequest),
        (403, "Forbidden", "exceeded quota: jobs, requested: count/jobs.batch=1", ErrorKind::QuotaExceeded),
        (403, "Forbidden", "User \"server\" cannot create resource \"jobs\"", ErrorKind::PermissionDenied),
        (401, "Unauthorized", "Unauthorized", ErrorKind::PermissionDenied),
        (500, "InternalError", "etcd is sad", ErrorKind::Unavailable),
    ];
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    for (tries, (code, reason, message, kind)) in cases.into_iter().enumerate() {
        stage.wire.fail("create", "jobs", 1, Fault::status(code, reason, message));
        let error = manager.submit(&request(script("refused", "true"))).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(message), "{error}");
        assert_eq!(stage.wire.count("create", "jobs"), tries + 1, "{error}");
    }
}

#[tokio::test]
async fn a_missing_namespace_is_told_with_what_to_do() {
    let stage = Stage::new().await;
    let manager = stage.manager_with(KubernetesSettings::new("absent", "default")).await.unwrap();
    let error = manager.submit(&request(script("lost", "true"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("create the namespace"), "{error}");
}

#[tokio::test]
async fn a_server_too_old_for_a_policy_is_refused_and_the_job_withdrawn() {
    let stage = Stage::new().await;
    let mut settings = KubernetesSettings::new("default", "default");
    settings.pod_failure_policy = Some(json!({ "rules": [
        { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget" }] },
    ]}));
    let manager = stage.manager_with(settings).await.unwrap();
    stage.wire.fail("create", "jobs", 1, Fault::Forget(&["/spec/podFailurePolicy"]));
    let error = manager.submit(&request(script("old", "true"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("podFailurePolicy"), "{error}");
    assert_eq!(stage.job_names().await, [""; 0]);
    assert!(manager.submit(&request(script("old", "true"))).await.is_ok(), "one that keeps it is fine");
}

#[tokio::test]
async fn a_server_that_drops_a_harmless_field_runs_the_job() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    stage.wire.fail("create", "jobs", 1, Fault::Forget(&["/spec/template/spec/enableServiceLinks"]));
    let run = finish(&manager, &request(script("old", "echo out"))).await;
    assert_eq!(run, run_id("old", 1));
    assert_eq!(log(&manager, "old").await, ["out"]);
}

#[tokio::test]
async fn settings_that_break_a_rule_are_refused_before_any_request() {
    let stage = Stage::new().await;
    let bad = |change: fn(&mut KubernetesSettings)| {
        let mut settings = KubernetesSettings::new("default", "default");
        change(&mut settings);
        settings
    };
    let cases = [
        (
            bad(|s| s.pod_failure_policy = Some(json!({ "rules": [{ "action": "Explode" }] }))),
            "pod_failure_policy",
        ),
        (bad(|s| s.pod_resources = Some(json!({ "limits": { "cpu": "many" } }))), "pod_resources"),
        (bad(|s| s.tolerations = Some(json!([{ "operator": "Sometimes" }]))), "tolerations"),
        (
            bad(|s| s.pod_template_patch = Some(json!({ "spec": { "restartPolicy": "Always" } }))),
            "pod_template_patch",
        ),
    ];
    for (settings, setting) in cases {
        let error = stage.manager_with(settings).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.message().contains(setting), "{error}");
    }
    let reviews = stage.wire.every_call();
    assert_eq!(reviews, [], "not even which rights there are");
}
