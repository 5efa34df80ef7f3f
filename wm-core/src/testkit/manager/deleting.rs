//! To remove a workload.

use super::{ManagerHarness, Stage, end, patient, request};
use crate::{
    Attempt, ErrorKind, LogQuery, Phase, RunFilter,
    testkit::{Program, assert_refused, id},
};

/// To delete what is not there is no error.
pub async fn deleting_nothing_is_no_error(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    stage.manager.delete(&id("nothing")).await.expect("to delete nothing is no error");
    stage.run("gone", &Program::new()).await;
    for _ in 0..2 {
        stage.manager.delete(&id("gone")).await.expect("to delete again is no error");
    }
}

/// To delete removes all attempts of a workload and its log, for whoever asks next, and leaves other workloads.
pub async fn deleting_removes_all_runs_and_the_log(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let program = Program::new().print("out\n");
    let runs = [stage.run("gone", &program).await.run, stage.run("gone", &program).await.run];
    let kept = stage.run("gone-2", &program).await.run;
    stage.manager.log(&id("gone"), "said").await.expect("a message is added");
    stage.manager.log(&id("never-ran"), "said").await.expect("a message is added");
    for workload in ["gone", "never-ran"] {
        stage.manager.delete(&id(workload)).await.expect("a workload is deleted");
    }
    for run in &runs {
        assert_refused(
            stage.manager.status(run).await,
            ErrorKind::NotFound,
            "the status of what was deleted",
        );
        assert_refused(
            stage.manager.watch(run).await.map(drop),
            ErrorKind::NotFound,
            "to follow what was deleted",
        );
    }
    for workload in ["gone", "never-ran"] {
        let log = stage.manager.logs(&id(workload), &LogQuery::default()).await;
        assert_refused(log.map(drop), ErrorKind::NotFound, "the log of what was deleted");
    }
    let listed = stage.list(&RunFilter::default()).await;
    assert_eq!(listed.iter().map(|status| &status.run).collect::<Vec<_>>(), [&kept]);
    assert_eq!(stage.lines("gone-2").await, ["out"]);
}

/// To delete a workload ends its running run, and those who follow it are told an end.
pub async fn deleting_ends_a_running_run(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let run = stage.start("gone", &patient()).await;
    stage.until("gone", "begun").await;
    let follower = stage.watch(&run).await;
    stage.manager.delete(&id("gone")).await.expect("a running workload is deleted");
    let status = end(follower).await;
    assert_ne!(status.phase, Phase::Succeeded, "it did not do what it was asked to: {status:?}");
    assert_eq!(stage.list(&RunFilter::of(&id("gone"))).await, []);
}

/// A deleted workload begins anew: with its first attempt and an empty log.
pub async fn a_deleted_workload_begins_anew(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let program = Program::new().print("old\n");
    stage.run("anew", &program).await;
    stage.run("anew", &program).await;
    stage.manager.delete(&id("anew")).await.expect("a workload is deleted");
    let again = stage.submit(&request(stage.workload("anew", &program))).await;
    assert_eq!((again.run.attempt, again.adopted), (Attempt::FIRST, false));
    stage.end(&again.run).await;
    assert_eq!(stage.lines("anew").await, ["old"], "nothing of before is left");
}
