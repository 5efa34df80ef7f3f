//! To stop a run.

use futures::{TryStreamExt as _, future::join};

use super::{ManagerHarness, Stage, end, follow, patient, texts};
use crate::{
    ErrorKind, Outcome, Phase, Reason, RunId,
    testkit::{Program, assert_refused, id},
};

fn parting() -> Program {
    Program::new().at_stop("last words\n").print("begun\n").wait(super::GO)
}

/// Proves the rule for a backend that can't stop runs, and says whether it can.
async fn cancels(stage: &Stage<'_>) -> bool {
    if stage.can().cancel {
        return true;
    }
    let run = stage.start("kept", &patient()).await;
    assert_refused(stage.manager.cancel(&run).await, ErrorKind::Unsupported, "to cancel without `cancel`");
    stage.open().await;
    assert_eq!(stage.end(&run).await.phase, Phase::Succeeded, "it goes on");
    false
}

/// A cancelled run is asked to end, and what it says then is in its log; it ends as cancelled for all who follow it.
pub async fn a_cancelled_run_says_its_last_words(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !cancels(&stage).await {
        return;
    }
    let run = stage.start("parting", &parting()).await;
    stage.until("parting", "begun").await;
    let servers = stage.servers().await;
    let mut followers = Vec::new();
    for server in &servers {
        followers.push(server.watch(&run).await);
    }
    let cancel = async {
        servers[0].manager.cancel(&run).await.expect("a run is cancelled");
        for follower in followers {
            let status = end(follower).await;
            let verdict = status.verdict.expect("it has ended");
            assert_eq!((status.phase, verdict.outcome), (Phase::Cancelled, Outcome::Cancelled));
            assert_eq!(verdict.reason, Reason::Cancelled, "{verdict}");
        }
    };
    let Some(mut log) = servers[0].followed("parting", follow()).await else { return cancel.await };
    let begun = log.try_next().await.expect("a log is followed").expect("it has not ended");
    assert_eq!(begun.text(), "begun");
    let (rest, ()) = join(log.try_collect::<Vec<_>>(), cancel).await;
    assert_eq!(texts(&rest.expect("a log is followed")), ["last words"]);
}

/// To cancel again is no error and changes nothing.
pub async fn cancelling_again_changes_nothing(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !cancels(&stage).await {
        return;
    }
    let run = stage.start("twice", &parting()).await;
    stage.until("twice", "begun").await;
    let follower = stage.watch(&run).await;
    for _ in 0..2 {
        stage.manager.cancel(&run).await.expect("to cancel again is no error");
    }
    assert_eq!(end(follower).await.phase, Phase::Cancelled);
    for server in stage.servers().await {
        server.manager.cancel(&run).await.expect("to cancel what was cancelled is no error");
    }
}

/// A run that has ended stays as it is when it is cancelled.
pub async fn a_finished_run_can_not_be_cancelled(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !cancels(&stage).await {
        return;
    }
    let run = stage.run("over", &Program::new().print("out\n").exit(4)).await.run;
    stage.manager.cancel(&run).await.expect("to cancel a run that has ended is no error");
    for server in stage.servers().await {
        let status = server.status(&run).await;
        let exit_code = status.verdict.and_then(|verdict| verdict.evidence.exit_code);
        assert_eq!((status.phase, exit_code), (Phase::Failed, Some(4)));
        assert_eq!(server.lines("over").await, ["out"], "and its log stays");
    }
}

/// Of a run that is not there nothing is left to stop, which is no error.
pub async fn cancelling_nothing_is_no_error(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !cancels(&stage).await {
        return;
    }
    let known = stage.run("known", &Program::new()).await.run;
    for run in
        [RunId { workload: id("unknown"), ..known.clone() }, RunId { attempt: known.attempt.next(), ..known }]
    {
        stage.manager.cancel(&run).await.expect("to cancel nothing is no error");
    }
}

/// To cancel an attempt leaves the earlier ones, and other workloads.
pub async fn cancelling_one_run_leaves_the_others(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !cancels(&stage).await {
        return;
    }
    let first = stage.run("several", &Program::new().print("first\n")).await.run;
    let second = stage.start("several", &parting()).await;
    let other = stage.start("several-2", &patient()).await;
    stage.until("several", "begun").await;
    let follower = stage.watch(&second).await;
    stage.manager.cancel(&second).await.expect("a run is cancelled");
    assert_eq!(end(follower).await.phase, Phase::Cancelled);
    assert_eq!(stage.status(&first).await.phase, Phase::Succeeded, "the earlier attempt is still there");
    assert_eq!(stage.lines("several").await[0], "first", "and so is its log");
    stage.open().await;
    assert_eq!(stage.end(&other).await.phase, Phase::Succeeded, "the other workload goes on");
}

/// A workload whose run was cancelled can run again.
pub async fn a_cancelled_workload_runs_again(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !cancels(&stage).await {
        return;
    }
    let program = Program::new().at_stop("").print("begun\n").wait(super::GO);
    let run = stage.start("again", &program).await;
    stage.until("again", "begun").await;
    let follower = stage.watch(&run).await;
    stage.manager.cancel(&run).await.expect("a run is cancelled");
    assert_eq!(end(follower).await.phase, Phase::Cancelled);
    let server = stage.another().await.unwrap_or(stage);
    let next = server.submit(&server.request("again", &program)).await;
    assert!(!next.adopted, "the cancelled one is not taken for it: {next:?}");
    harness.open(super::GO).await;
    assert_eq!(server.end(&next.run).await.phase, Phase::Succeeded);
}
