//! Builds of images: Jobs of pods that somebody else describes.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt as _;
use serde_json::json;
use wm_core::{
    Attempt, EnvironmentValue, ErrorKind, LogQuery, LogSource, Phase, Reason, RunFilter, WorkloadKind,
    WorkloadManager as _,
};
use wm_k8s::{BuildRequest, KubernetesSettings};

use crate::stage::{Stage, finish, following, id, lines, log, reach, request, run_id, script, verdict};

/// A build that is a shell script.
fn build(name: &str, attempt: u32, script: &str) -> BuildRequest {
    let container = json!({
        "name": "builder", "image": "registry.example.com/builder:1", "command": ["sh", "-c", script],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    BuildRequest {
        id: id(name),
        attempt: Attempt::new(attempt).unwrap(),
        fingerprint: format!("{name:0>64}"),
        template: json!({ "spec": { "restartPolicy": "Never", "containers": [container] } }),
        secrets: BTreeMap::new(),
        timeout: Duration::from_mins(10),
    }
}

#[tokio::test]
async fn a_build_is_made_once_and_its_end_told_to_all() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let (one, other) = (stage.manager().await.builds(), stage.observer().await.builds());
    let text = format!("{}; echo sha256:abc > /dev/termination-log", gate.wait());
    let asked = build("image", 1, &text);
    assert_eq!(one.submit(&asked).await.unwrap(), None, "it was created");
    let found = other.submit(&asked).await.unwrap().unwrap();
    assert!(!found.phase.is_terminal());
    gate.open(1);
    for builds in [&one, &other] {
        let (end, message) = builds.end(&asked.id, asked.attempt).await.unwrap();
        assert!(end.is_success(), "{end:?}");
        assert_eq!(message.as_deref().map(str::trim), Some("sha256:abc"));
    }
    assert_eq!(one.submit(&asked).await.unwrap().unwrap().phase, Phase::Succeeded);
    assert_eq!(stage.job_names().await, ["builder-image-1"]);
    let other = BuildRequest { fingerprint: "f".repeat(64), ..asked };
    assert_eq!(one.submit(&other).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_failed_build_says_why_and_the_next_attempt_is_another_job() {
    let stage = Stage::new().await;
    let builds = stage.manager().await.builds();
    let bad = build("image", 1, "echo cannot push; exit 5");
    builds.submit(&bad).await.unwrap();
    let (end, message) = builds.end(&bad.id, bad.attempt).await.unwrap();
    assert_eq!((end.reason, end.evidence.exit_code), (Reason::ExitCode, Some(5)), "{end:?}");
    assert_eq!(end.evidence.log_tail, ["cannot push"]);
    assert_eq!(message.as_deref().map(str::trim), Some("cannot push"));
    assert_eq!(builds.submit(&bad).await.unwrap().unwrap().phase, Phase::Failed);
    assert_eq!(builds.submit(&build("image", 2, "true")).await.unwrap(), None);
    assert_eq!(stage.job_names().await, ["builder-image-1", "builder-image-2"]);
}

#[tokio::test]
async fn the_log_of_a_build_stands_in_the_logs_of_all_who_wait_for_it() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let builds = manager.builds();
    let asked = build("image", 1, &format!("echo step 1; {}; echo step 2", gate.wait()));
    builds.submit(&asked).await.unwrap();
    // One has its Job, held back until the image is there; the other has none yet.
    let held = request(script("early", "echo out")).held();
    let run = manager.submit(&held).await.unwrap().run;
    for workload in ["early", "late"] {
        builds.log(&id(workload), "building").await.unwrap();
        builds.include(&id(workload), &asked.id, asked.attempt).await.unwrap();
    }
    let mut live = manager.logs(&id("early"), &following()).await.unwrap();
    assert_eq!(live.next().await.unwrap().unwrap().text(), "building");
    let step = live.next().await.unwrap().unwrap();
    assert_eq!(step.text(), "step 1", "while it is built");
    assert!(matches!(&step.source, LogSource::Output { container, .. } if container == "builder"));
    gate.open(1);
    builds.end(&asked.id, asked.attempt).await.unwrap();
    for workload in ["early", "late"] {
        builds.log(&id(workload), "built").await.unwrap();
    }
    manager.release(&run).await.unwrap();
    assert_eq!(lines(live).await, ["step 2", "built", "out"]);
    verdict(&manager, &run).await;
    finish(&manager, &request(script("late", "echo out"))).await;
    let expected = ["building", "step 1", "step 2", "built", "out"];
    let observer = stage.observer().await;
    for workload in ["early", "late"] {
        assert_eq!(log(&manager, workload).await, expected, "{workload}");
        assert_eq!(log(&observer, workload).await, expected, "{workload}, on another server");
    }
    // Whoever reads on from any line misses nothing and reads nothing twice.
    let records: Vec<_> = manager.logs(&id("late"), &LogQuery::default()).await.unwrap().collect().await;
    for (index, record) in records.into_iter().enumerate() {
        let after = record.unwrap().cursor;
        let rest = observer.logs(&id("late"), &LogQuery { after, ..LogQuery::default() }).await.unwrap();
        assert_eq!(lines(rest).await, expected[index + 1..]);
    }
    let own = LogQuery { container: Some("main".to_owned()), ..LogQuery::default() };
    assert_eq!(lines(manager.logs(&id("late"), &own).await.unwrap()).await, ["out"]);
}

#[tokio::test]
async fn that_the_log_of_a_build_is_gone_is_said_once() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let builds = manager.builds();
    let asked = build("image", 1, "echo built");
    builds.submit(&asked).await.unwrap();
    builds.end(&asked.id, asked.attempt).await.unwrap();
    builds.log(&id("w"), "building").await.unwrap();
    builds.include(&id("w"), &asked.id, asked.attempt).await.unwrap();
    for pod in stage.pods().await {
        let name = pod["metadata"]["name"].as_str().unwrap();
        stage.delete(&format!("/api/v1/namespaces/default/pods/{name}")).await;
    }
    finish(&manager, &request(script("w", "echo out"))).await;
    let observer = stage.observer().await;
    let expected = ["building", "the log of the build image is gone with its pod", "out"];
    assert_eq!(log(&observer, "w").await, expected);
    let records: Vec<_> = observer.logs(&id("w"), &LogQuery::default()).await.unwrap().collect().await;
    for (index, record) in records.into_iter().enumerate() {
        let after = record.unwrap().cursor;
        let rest = observer.logs(&id("w"), &LogQuery { after, ..LogQuery::default() }).await.unwrap();
        assert_eq!(lines(rest).await, expected[index + 1..]);
    }
}

#[tokio::test]
async fn a_build_outlives_the_workloads_that_waited_for_it() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let builds = manager.builds();
    let asked = build("image", 1, "echo built");
    builds.submit(&asked).await.unwrap();
    builds.include(&id("w"), &asked.id, asked.attempt).await.unwrap();
    builds.end(&asked.id, asked.attempt).await.unwrap();
    finish(&manager, &request(script("w", "true"))).await;
    manager.delete(&id("w")).await.unwrap();
    let left = manager.list(&RunFilter::of(&asked.id)).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].run.kind, WorkloadKind::Build);
    assert_eq!(log(&manager, "image").await, ["built"], "it has a log of its own");
    manager.delete(&asked.id).await.unwrap();
    assert_eq!(stage.job_names().await, <[&str; 0]>::default());
}

#[tokio::test]
async fn builds_are_not_among_the_runs() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let asked = build("image", 1, "true");
    manager.builds().submit(&asked).await.unwrap();
    let run = finish(&manager, &request(script("w", "true"))).await;
    reach(&manager, &run_id("w", 1), Phase::Succeeded).await;
    let listed = manager.list(&RunFilter::default()).await.unwrap();
    assert_eq!(listed.iter().map(|status| &status.run).collect::<Vec<_>>(), [&run]);
    let filter = RunFilter { kind: Some(WorkloadKind::Build), ..RunFilter::default() };
    assert_eq!(manager.list(&filter).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_all_pods_get_a_builder_gets_too_and_its_secrets_stay_out_of_the_job() {
    let stage = Stage::new().await;
    let mut settings = KubernetesSettings::new("default", "default");
    settings.image_pull_secrets = vec!["pull".to_owned()];
    settings.tolerations = Some(json!([{ "operator": "Exists" }]));
    settings.pod_failure_policy = Some(json!({ "rules": [{
        "action": "Ignore", "onExitCodes": { "containerName": "main", "operator": "In", "values": [42] }
    }]}));
    settings.job_backoff_limit = 1;
    let manager = stage.manager_with(settings).await.unwrap();
    let mut asked = build("image", 1, "test ${#AUTH} = 14");
    asked.secrets.insert("AUTH".to_owned(), EnvironmentValue::Secret("planted-secret".into()));
    manager.builds().submit(&asked).await.unwrap();
    let (end, _) = manager.builds().end(&asked.id, asked.attempt).await.unwrap();
    assert!(end.is_success(), "{end:?}");
    let job = stage.jobs().await.pop().unwrap();
    assert!(!job.to_string().contains("planted-secret"));
    assert_eq!(job["spec"]["template"]["spec"]["activeDeadlineSeconds"], 600);
    assert_eq!(job["spec"]["template"]["spec"]["imagePullSecrets"][0]["name"], "pull");
    assert_eq!(job["spec"]["template"]["spec"]["tolerations"][0]["operator"], "Exists");
    assert_eq!(job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["containerName"], "builder");
    assert_eq!(stage.secrets().await[0]["metadata"]["name"], "builder-image-1");
    assert_eq!(stage.secrets().await[0]["metadata"]["ownerReferences"][0]["name"], "builder-image-1");
}
