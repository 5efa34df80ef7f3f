//! A held run is on record and does not run.

use super::{ManagerHarness, Stage, patient};
use crate::{
    ErrorKind, Phase, RunFilter,
    testkit::{Program, assert_refused, id},
};

/// Proves the rule for a backend that can't hold runs, and says whether it can.
async fn holds(stage: &Stage<'_>) -> bool {
    if stage.can().hold_runs {
        return true;
    }
    let held = stage.request("held", &Program::new().print("ran\n")).held();
    assert_refused(
        stage.manager.submit(&held).await,
        ErrorKind::Unsupported,
        "to hold a run without `hold_runs`",
    );
    assert_eq!(stage.list(&RunFilter::default()).await, [], "what is refused is not on record");
    false
}

/// A held run waits until it is released, and then runs.
pub async fn a_held_run_waits_for_its_release(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !holds(&stage).await {
        return;
    }
    let program = Program::new().print("ran\n");
    let run = stage.submit(&stage.request("held", &program).held()).await.run;
    let mut follower = stage.watch(&run).await;
    let first = futures::StreamExt::next(&mut follower).await.expect("it is told where it is");
    assert_eq!(first.expect("the stream of states does not break").phase, Phase::Held);
    // Another run's whole life shows that there was the time.
    stage.run("clock", &program).await;
    assert_eq!(stage.status(&run).await.phase, Phase::Held);
    assert_eq!(stage.list(&RunFilter::of(&run.workload)).await[0].phase, Phase::Held);
    let server = stage.another().await.unwrap_or(stage);
    assert_eq!(server.status(&run).await.phase, Phase::Held, "another server knows it too");
    server.manager.release(&run).await.expect("a held run is released");
    assert_eq!(super::end(follower).await.phase, Phase::Succeeded);
    assert_eq!(server.lines("held").await, ["ran"]);
}

/// Submitting a held run again adopts it and does not start it, whether the second request is held or not.
pub async fn a_held_run_stays_held_when_it_is_adopted(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !holds(&stage).await {
        return;
    }
    let program = Program::new().print("ran\n");
    let run = stage.submit(&stage.request("still", &program).held()).await.run;
    assert!(stage.submit(&stage.request("still", &program).held()).await.adopted);
    assert!(stage.submit(&stage.request("still", &program)).await.adopted);
    stage.run("clock", &program).await;
    assert_eq!(stage.status(&run).await.phase, Phase::Held, "only a release starts it");
}

/// Releasing a run again, or one that has ended, does nothing.
pub async fn releasing_again_does_nothing(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !holds(&stage).await {
        let run = stage.run("held", &Program::new()).await.run;
        stage.manager.release(&run).await.expect("to release a run that is not held is no error");
        return;
    }
    let run = stage.submit(&stage.request("two", &patient()).held()).await.run;
    stage.manager.release(&run).await.expect("a held run is released");
    stage.manager.release(&run).await.expect("to release a run again is no error");
    stage.open().await;
    stage.end(&run).await;
    stage.manager.release(&run).await.expect("to release a run that has ended is no error");
    assert_eq!(stage.status(&run).await.phase, Phase::Succeeded);
    assert_eq!(stage.lines("two").await, ["begun", "done"], "it ran once");
}

/// A held run that is cancelled never runs, and ends as cancelled.
pub async fn a_held_run_is_cancelled_without_running(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !holds(&stage).await || !stage.can().cancel {
        return;
    }
    let run = stage.submit(&stage.request("never", &Program::new().print("ran\n")).held()).await.run;
    let follower = stage.watch(&run).await;
    stage.manager.cancel(&run).await.expect("a held run is cancelled");
    assert_eq!(super::end(follower).await.phase, Phase::Cancelled);
    // Its record may be gone, and with it its log.
    if let Ok(log) = stage.manager.logs(&id("never"), &crate::LogQuery::default()).await {
        let lines: Vec<_> = futures::TryStreamExt::try_collect(log).await.expect("a log is read");
        assert!(!super::texts(&lines).contains(&"ran".to_owned()), "it ran");
    }
}
