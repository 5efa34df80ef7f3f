//! A run is its id: however often it is submitted, there is one Job.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;
use tokio::sync::Notify;
use wm_core::{Attempt, ErrorKind, Phase, WorkloadManager as _};

use crate::{
    stage::{Stage, finish, reach, request, run_id, script, verdict},
    wire::Fault,
};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

fn attempt(number: u32) -> Attempt {
    Attempt::new(number).unwrap()
}

#[tokio::test]
async fn a_second_submission_adopts_the_first() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let same = request(script("twice", "true").attempt(attempt(1)));
    let first = manager.submit(&same).await.unwrap();
    let second = manager.submit(&same).await.unwrap();
    assert_eq!((first.adopted, second.adopted), (false, true));
    assert_eq!(first.run, second.run);
    assert_eq!(stage.job_names().await, ["runner-twice-1"]);
}

#[tokio::test]
async fn a_finished_attempt_is_adopted_when_it_is_asked_for_by_number() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let same = request(script("done", "exit 3").attempt(attempt(1)));
    finish(&manager, &same).await;
    assert!(manager.submit(&same).await.unwrap().adopted);
    assert_eq!(manager.status(&run_id("done", 1)).await.unwrap().phase, Phase::Failed);
}

#[tokio::test]
async fn twenty_submissions_at_once_from_two_managers_make_one_run() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let managers = [stage.manager().await, stage.manager().await];
    let same = request(script("crowd", &gate.wait()));
    let submissions = join_all((0..20).map(|n| managers[n % 2].submit(&same))).await;
    let submissions: Vec<_> = submissions.into_iter().map(Result::unwrap).collect();
    assert!(submissions.iter().all(|submission| submission.run == run_id("crowd", 1)));
    assert_eq!(submissions.iter().filter(|submission| !submission.adopted).count(), 1);
    assert_eq!(stage.job_names().await, ["runner-crowd-1"]);
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_run() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    let now = Arc::new(Notify::new());
    now.notify_one();
    stage.wire.fail("create", "jobs", 1, Fault::LoseAnswer(now));
    let submission = manager.submit(&request(script("lost", &gate.wait()))).await.unwrap();
    assert_eq!(submission.run, run_id("lost", 1));
    assert!(!submission.adopted, "this very call made it");
    assert_eq!(stage.wire.count("create", "jobs"), 2);
    assert_eq!(stage.job_names().await, ["runner-lost-1"]);
}

#[tokio::test]
async fn a_lost_answer_about_a_run_that_has_ended_meanwhile_does_not_make_a_second_one() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let ended = Arc::new(Notify::new());
    stage.wire.fail("create", "jobs", 1, Fault::LoseAnswer(Arc::clone(&ended)));
    let quick = request(script("quick", "true"));
    let watching = async {
        let observer = stage.observer().await;
        while observer.status(&run_id("quick", 1)).await.is_err() {
            tokio::task::yield_now().await;
        }
        verdict(&observer, &run_id("quick", 1)).await;
        ended.notify_one();
    };
    let (submission, ()) = tokio::join!(manager.submit(&quick), watching);
    assert_eq!(submission.unwrap().run, run_id("quick", 1));
    assert_eq!(stage.job_names().await, ["runner-quick-1"]);
}

#[tokio::test]
async fn an_attempt_with_another_spec_is_a_conflict_and_stays_as_it_is() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    manager.submit(&request(script("same", "true").attempt(attempt(1)))).await.unwrap();
    let before = stage.jobs().await[0]["spec"].clone();
    let error = manager.submit(&request(script("same", "false").attempt(attempt(1)))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(stage.jobs().await[0]["spec"], before);
}

#[tokio::test]
async fn the_next_attempt_begins_behind_a_finished_one() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let again = request(script("again", "true"));
    assert_eq!(finish(&manager, &again).await, run_id("again", 1));
    assert_eq!(finish(&manager, &again).await, run_id("again", 2));
    let elsewhere = stage.manager().await;
    assert_eq!(elsewhere.submit(&again).await.unwrap().run, run_id("again", 3));
}

#[tokio::test]
async fn the_next_attempt_is_the_unfinished_one_of_the_same_spec_and_conflicts_with_another() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    let same = request(script("resumed", &gate.wait()));
    manager.submit(&same).await.unwrap();
    let elsewhere = stage.manager().await;
    for manager in [&manager, &elsewhere] {
        let adopted = manager.submit(&same).await.unwrap();
        assert!(adopted.adopted);
        assert_eq!(adopted.run, run_id("resumed", 1));
        let error = manager.submit(&request(script("resumed", "true"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    assert_eq!(stage.job_names().await, ["runner-resumed-1"]);
}

#[tokio::test]
async fn the_next_attempt_goes_on_behind_the_last_one_that_still_exists() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let again = request(script("old", "true"));
    for _ in 0..3 {
        finish(&manager, &again).await;
    }
    stage.delete(&format!("{JOBS}/runner-old-1")).await;
    stage.delete(&format!("{JOBS}/runner-old-2")).await;
    let elsewhere = stage.manager().await;
    assert_eq!(elsewhere.submit(&again).await.unwrap().run, run_id("old", 4));
}

#[tokio::test]
async fn a_foreign_job_of_the_name_is_a_conflict_and_is_not_touched() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let foreign = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "runner-theirs-1" },
        "spec": { "suspend": true, "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "main", "image": "theirs:1" }],
        }}},
    });
    let made = stage.create(JOBS, &foreign).await;
    let error = manager.submit(&request(script("theirs", "true"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    manager.cancel(&run_id("theirs", 1)).await.unwrap();
    manager.delete(&crate::stage::id("theirs")).await.unwrap();
    let status = manager.status(&run_id("theirs", 1)).await.unwrap_err();
    assert_eq!(status.kind(), ErrorKind::NotFound);
    assert_eq!(stage.jobs().await[0]["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(stage.jobs().await[0]["spec"], made["spec"]);
}

#[tokio::test]
async fn a_job_that_is_being_deleted_is_waited_for() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    // It is asked to end, and takes until the gate opens.
    let stubborn = format!("trap '' TERM; {}", gate.wait());
    let first = manager.submit(&request(script("leaving", &stubborn))).await.unwrap().run;
    reach(&manager, &first, Phase::Running).await;
    let uid = stage.jobs().await[0]["metadata"]["uid"].clone();
    manager.cancel(&first).await.unwrap();
    let next = request(script("leaving", "true"));
    let submitting = async {
        let submission = manager.submit(&next).await.unwrap();
        assert!(!submission.adopted);
        assert_ne!(stage.jobs().await[0]["metadata"]["uid"], uid);
        submission.run
    };
    let opening = async {
        stage.wire.called("create", "jobs", 2).await;
        gate.open(1);
    };
    let (run, ()) = tokio::join!(submitting, opening);
    assert!(verdict(&manager, &run).await.is_success());
}
