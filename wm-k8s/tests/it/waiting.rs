//! Runs that do not start: what is said of them, and how they end.

use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use serde_json::{Value, json};
use wm_core::{Phase, Reason, RunId, Verdict, WorkloadManager as _};
use wm_k8s::{KubernetesSettings, KubernetesWorkloadManager};

use crate::{
    narrow::NARROW,
    stage::{Stage, following, id, log, reach, request, script, verdict},
};

fn settings() -> KubernetesSettings {
    KubernetesSettings::new("default", "default")
}

/// Submits a run of this name and follows it to its end.
async fn end(manager: &KubernetesWorkloadManager, name: &str) -> (RunId, Verdict) {
    let run = manager.submit(&request(script(name, "true"))).await.unwrap().run;
    let end = verdict(manager, &run).await;
    (run, end)
}

/// Waits until a run is said to wait for this.
async fn waits_for(manager: &KubernetesWorkloadManager, run: &RunId, words: &str) {
    let mut states = manager.watch(run).await.unwrap();
    while let Some(state) = states.next().await {
        let state = state.unwrap();
        if state.detail.as_ref().is_some_and(|detail| detail.contains(words)) {
            return;
        }
        assert!(state.verdict.is_none(), "{state:?}");
    }
}

/// The lines of the manager that begin like this.
async fn told(manager: &KubernetesWorkloadManager, name: &str, beginning: &str) -> Vec<String> {
    log(manager, name).await.into_iter().filter(|line| line.starts_with(beginning)).collect()
}

/// Waits until so much was said of what a run waits for.
async fn said(manager: &KubernetesWorkloadManager, name: &str, times: usize) {
    while told(manager, name, "Waiting: ").await.len() < times {
        tokio::task::yield_now().await;
    }
}

/// Nothing runs, and nothing will: the Job is over and has no pod.
async fn assert_stopped(stage: &Stage) {
    let jobs = stage.jobs().await;
    assert_eq!(jobs.len(), 1);
    let failed = |condition: &Value| condition["type"] == "Failed" && condition["status"] == "True";
    assert!(jobs[0]["status"]["conditions"].as_array().unwrap().iter().any(failed), "{}", jobs[0]);
    assert!(stage.pods().await.is_empty());
}

#[tokio::test]
async fn an_image_that_can_not_be_had_ends_the_run_and_the_job_keeps_the_verdict() {
    let stage = Stage::new().await;
    stage.inject("image=not-found");
    let manager = stage.manager().await;
    let (run, end) = end(&manager, "absent").await;
    assert_eq!(end.reason, Reason::ImagePull, "{end:?}");
    assert_eq!(end.message, "the image registry.example.com/app:1 does not exist in its registry");
    assert!(!end.may_retry, "it is not there next time either");
    assert!(end.evidence.events.iter().any(|event| event.contains("ErrImagePull")), "{:?}", end.evidence);
    assert_stopped(&stage).await;
    // Whoever asks later, and another server, hear the same; and a second submission does not start it again.
    let observer = stage.observer().await;
    for manager in [&manager, &observer] {
        assert_eq!(manager.status(&run).await.unwrap().verdict.unwrap().message, end.message);
        assert_eq!(told(manager, "absent", "Given up: the image").await.len(), 1);
    }
    let again = request(script("absent", "true").attempt(run.attempt));
    assert!(manager.submit(&again).await.unwrap().adopted);
    assert!(stage.pods().await.is_empty());
}

#[tokio::test]
async fn passing_trouble_with_an_image_is_said_once_and_passes() {
    let stage = Stage::with(|options| options.image_backoff = Duration::from_secs(1)).await;
    stage.inject("image=server-error,tries=3");
    let manager = stage.manager().await;
    let (_, end) = end(&manager, "busy").await;
    assert!(end.is_success(), "{end:?}");
    let said = told(&manager, "busy", "Waiting: ").await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("can't be pulled for now") && said[0].contains("500 Internal Server Error"));
}

#[tokio::test]
async fn trouble_with_an_image_that_has_passed_is_not_why_the_run_failed() {
    let stage = Stage::with(|options| options.image_backoff = Duration::from_secs(1)).await;
    stage.inject("image=server-error,tries=1");
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("later", "exit 3"))).await.unwrap().run;
    waits_for(&manager, &run, "can't be pulled for now").await;
    // That the pod got further is not told, but that the Job has failed.
    stage.inject("watch-silent,resources=pods");
    let end = verdict(&manager, &run).await;
    assert_eq!((end.reason, end.evidence.exit_code), (Reason::ExitCode, Some(3)), "{end:?}");
}

#[tokio::test]
async fn trouble_with_an_image_that_does_not_pass_ends_the_run_after_its_grace() {
    let stage = Stage::new().await;
    stage.inject("image=refused");
    let settings = KubernetesSettings { image_pull_grace_seconds: 1, ..settings() };
    let manager = stage.manager_with(settings).await.unwrap();
    let (_, end) = end(&manager, "down").await;
    assert_eq!(end.reason, Reason::ImagePull, "{end:?}");
    assert!(end.message.starts_with("the pull of the image failed for 1 seconds: "), "{end:?}");
    assert!(end.may_retry, "the program never began, and the registry may come back: {end:?}");
    assert_stopped(&stage).await;
}

#[tokio::test]
async fn a_run_that_no_node_takes_says_so_once_and_is_given_up() {
    let stage = Stage::new().await;
    stage.inject("unschedulable=cpu");
    let settings = KubernetesSettings { schedule_timeout_seconds: 3, ..settings() };
    let manager = stage.manager_with(settings.clone()).await.unwrap();
    let other = stage.manager_with(settings).await.unwrap();
    let run = manager.submit(&request(script("homeless", "true"))).await.unwrap().run;
    let (here, there) = tokio::join!(verdict(&manager, &run), verdict(&other, &run));
    for end in [&here, &there] {
        assert_eq!(end.reason, Reason::Unschedulable, "{end:?}");
        assert_eq!(
            end.message,
            "the run had no machine after 3 seconds: no node takes the pod: not enough free cpu"
        );
    }
    assert_stopped(&stage).await;
    assert_eq!(told(&manager, "homeless", "Waiting: ").await.len(), 1, "two servers say it once");
    assert_eq!(told(&manager, "homeless", "Given up: ").await.len(), 1);
}

#[tokio::test]
async fn why_there_is_no_pod_is_said_while_it_lasts_and_the_run_goes_on_by_itself() {
    let stage = Stage::new().await;
    let fault = stage.inject("admission=quota,resources=pods");
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("full", "echo out"))).await.unwrap().run;
    let mut output = manager.logs(&id("full"), &following()).await.unwrap();
    waits_for(&manager, &run, "the quota fault leaves no room for the pod").await;
    let first = output.next().await.unwrap().unwrap();
    assert!(first.text().starts_with("Waiting: the quota fault leaves no room"), "{first:?}");
    stage.cluster.faults().lift(fault);
    assert!(verdict(&manager, &run).await.is_success());
    assert_eq!(told(&manager, "full", "Waiting: ").await.len(), 1);
}

#[tokio::test]
async fn other_words_are_said_again() {
    let stage = Stage::new().await;
    let cpu = stage.inject("unschedulable=cpu");
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("unlucky", "true"))).await.unwrap().run;
    let mut states = manager.watch(&run).await.unwrap();
    said(&manager, "unlucky", 1).await;
    stage.inject("unschedulable=taint");
    stage.cluster.faults().lift(cpu);
    waits_for(&manager, &run, "does not tolerate a taint").await;
    said(&manager, "unlucky", 2).await;
    stage.cluster.faults().lift_all();
    while let Some(state) = states.next().await {
        if let Some(verdict) = state.unwrap().verdict {
            assert!(verdict.is_success());
        }
    }
    assert_eq!(told(&manager, "unlucky", "Waiting: ").await.len(), 2);
}

#[tokio::test]
async fn what_is_missing_for_the_container_is_named_and_the_run_is_given_up() {
    let stage = Stage::new().await;
    let patch = json!({ "spec": { "containers": [{ "name": "main", "env": [
        { "name": "KEY", "valueFrom": { "secretKeyRef": { "name": "absent", "key": "key" } } },
    ]}]}});
    let settings =
        KubernetesSettings { start_timeout_seconds: 2, pod_template_patch: Some(patch), ..settings() };
    let manager = stage.manager_with(settings).await.unwrap();
    let (_, end) = end(&manager, "keyless").await;
    assert_eq!(end.reason, Reason::Configuration, "{end:?}");
    assert_eq!(end.message, "the program had not begun after 2 seconds: the Secret absent does not exist");
    assert_stopped(&stage).await;
}

#[tokio::test]
async fn a_run_that_waits_for_its_turn_has_no_clock() {
    let stage = Stage::new().await;
    let settings = KubernetesSettings { schedule_timeout_seconds: 1, ..settings() };
    let manager = stage.manager_with(settings).await.unwrap();
    let held = manager.submit(&request(script("held", "true")).held()).await.unwrap().run;
    let follower = manager.watch(&held).await.unwrap();
    // Another run's whole wait is the clock.
    let fault = stage.inject("unschedulable=cpu,names=*runner-clock-*");
    assert_eq!(end(&manager, "clock").await.1.reason, Reason::Unschedulable);
    stage.cluster.faults().lift(fault);
    assert_eq!(manager.status(&held).await.unwrap().phase, Phase::Held);
    manager.release(&held).await.unwrap();
    assert!(crate::stage::states(follower).await.pop().unwrap().verdict.unwrap().is_success());
}

#[tokio::test]
async fn under_the_narrow_role_a_run_is_given_up_as_well_and_its_verdict_told() {
    let stage = Stage::new().await;
    stage.inject("unschedulable=selector");
    stage.wire.allow_only(NARROW);
    let settings = KubernetesSettings { schedule_timeout_seconds: 1, ..settings() };
    let manager = stage.manager_with(settings).await.unwrap();
    let (run, end) = end(&manager, "narrow").await;
    assert_eq!(end.reason, Reason::Unschedulable, "{end:?}");
    assert!(stage.jobs().await.is_empty() && stage.pods().await.is_empty());
    assert_eq!(told(&manager, run.workload.as_str(), "Given up: ").await.len(), 1);
    assert_eq!(stage.wire.calls_beyond(NARROW), [], "nothing is tried that is not allowed");
}

#[tokio::test]
async fn the_pod_of_a_dead_node_is_removed_and_the_run_ends() {
    // The cluster's day began ten minutes ago, so whatever ends there has been over for long.
    let past = SystemTime::now() - Duration::from_mins(10);
    let stage = Stage::with(|options| options.clock = wm_local::Clock::driven(past)).await;
    let gate = stage.gate("gate");
    let tolerations = json!([
        { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0 },
    ]);
    let settings = KubernetesSettings { tolerations: Some(tolerations), ..settings() };
    let manager = stage.manager_with(settings).await.unwrap();
    let run = manager.submit(&request(script("stranded", &gate.wait()))).await.unwrap().run;
    let tick = async {
        loop {
            stage.cluster.clock().advance(Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
    };
    let course = async {
        reach(&manager, &run, Phase::Running).await;
        stage.inject("node-not-ready");
        verdict(&manager, &run).await
    };
    let end = tokio::select! {
        end = course => end,
        () = tick => unreachable!(),
    };
    assert_eq!(end.reason, Reason::NodeLost, "{end:?}");
    assert!(stage.wire.count("delete", "pods") >= 1, "{:?}", stage.wire.calls());
    assert!(stage.pods().await.is_empty());
}
