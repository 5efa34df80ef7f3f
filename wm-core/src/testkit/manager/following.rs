//! Where a run is, now and as it changes.

use futures::{
    StreamExt as _,
    future::{join, join_all},
};

use super::{ManagerHarness, Stage, end, patient, states};
use crate::{
    ErrorKind, Outcome, Phase, Reason, RunId, WorkloadKind,
    testkit::{Program, assert_refused, id},
};

/// A follower is told the state now, then each change, forwards; the stream ends after the terminal state.
pub async fn a_follower_sees_each_change_up_to_the_end(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let run = stage.start("seen", &patient()).await;
    let follower = states(stage.watch(&run).await);
    let course = async {
        stage.until("seen", "begun").await;
        // Behind a line of its program a run is running, for who follows and for who asks.
        let mut early = stage.watch(&run).await;
        while let Some(status) = early.next().await {
            if status.expect("the stream of states does not break").phase == Phase::Running {
                break;
            }
        }
        assert_eq!(stage.status(&run).await.phase, Phase::Running);
        // What changes meanwhile is no change of the run.
        stage.manager.log(&run.workload, "said").await.expect("a message is added");
        stage.run("other", &Program::new()).await;
        stage.open().await;
    };
    let (states, ()) = join(follower, course).await;
    assert!(states.iter().all(|status| status.run == run), "they are of this run: {states:?}");
    let phases: Vec<_> = states.iter().map(|status| status.phase).collect();
    assert!(phases.is_sorted(), "a run goes forwards: {phases:?}");
    assert!(phases.contains(&Phase::Running), "it was seen to run: {phases:?}");
    assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "each is a change: {states:?}");
    assert_eq!(phases.last(), Some(&Phase::Succeeded));
}

/// Whoever follows a run that has ended is told its end, and nothing else.
pub async fn a_late_follower_is_told_the_end(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let ended = stage.run("late", &Program::new().exit(5)).await;
    for server in stage.servers().await {
        let late = states(server.watch(&ended.run).await).await;
        let [status] = &late[..] else { panic!("one state is all that there is to tell: {late:?}") };
        let verdict = status.verdict.as_ref().expect("it has ended");
        assert_eq!((status.phase, verdict.evidence.exit_code), (Phase::Failed, Some(5)));
    }
}

/// Any number of callers follow a run, on any server, and all see its end.
pub async fn all_followers_see_the_end(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let run = stage.start("many", &patient()).await;
    let servers = stage.servers().await;
    let mut followers = Vec::new();
    for number in 0..10 {
        followers.push(servers[number % servers.len()].watch(&run).await);
    }
    // One that goes away takes nothing from the others.
    drop(followers.swap_remove(0));
    harness.open(super::GO).await;
    for status in join_all(followers.into_iter().map(end)).await {
        assert_eq!(status.phase, Phase::Succeeded);
    }
}

/// Exit code 0 is a success, any other a failure that names the code and keeps the last lines as evidence.
pub async fn the_exit_code_is_the_verdict(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let good = stage.run("good", &Program::new().print("fine\n")).await;
    let verdict = good.verdict.expect("it has ended");
    assert_eq!(
        (good.phase, verdict.outcome, verdict.reason),
        (Phase::Succeeded, Outcome::Succeeded, Reason::Completed)
    );
    let bad = stage.run("bad", &Program::new().count(3).exit(42)).await;
    let verdict = bad.verdict.expect("it has ended");
    assert_eq!(
        (bad.phase, verdict.outcome, verdict.reason),
        (Phase::Failed, Outcome::Failed, Reason::ExitCode)
    );
    assert_eq!(verdict.evidence.exit_code, Some(42));
    assert!(!verdict.may_retry, "its program began");
    assert!(verdict.message.contains("42"), "its sentence names the code: {verdict}");
    assert!(!verdict.advice.is_empty(), "a failure has advice");
    assert_eq!(verdict.evidence.log_tail, super::numbered(3), "the last lines are evidence");
}

/// What a run is told to have been is what it was: its image, its times in their order, its aliases.
pub async fn a_status_tells_image_and_times(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let request = super::request(stage.workload("told", &Program::new()).alias(id("told-alias")));
    let run = stage.submit(&request).await.run;
    let status = stage.end(&run).await;
    assert_eq!(status.image.as_deref(), Some(request.image.as_str()));
    assert_eq!(status.aliases, [id("told-alias")]);
    let created = status.created.expect("it was put on record");
    let finished = status.finished.expect("it ended");
    assert!(created <= finished, "it was created before it ended: {status:?}");
    if let Some(started) = status.started {
        assert!(created <= started && started <= finished, "it began in between: {status:?}");
    }
}

/// A run that exceeds its time limit is stopped, and its verdict says so.
pub async fn a_time_limit_ends_a_run(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let limited = stage.workload("long", &patient()).timeout(std::time::Duration::from_secs(1));
    let run = stage.submit(&super::request(limited)).await.run;
    let verdict = stage.end(&run).await.verdict.expect("it has ended");
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Failed, Reason::DeadlineExceeded), "{verdict}");
}

/// Command, arguments and environment reach the program as they were given.
pub async fn the_environment_reaches_the_program(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let value = "two words, $HOME, $(MODE), `id`, \"quotes\", 'single' and ünïcode\\n";
    let program = Program::new().require("PLAIN", value).require("SECRET", value).require("EMPTY", "");
    let workload = stage.workload("given", &program).variable("PLAIN", value).variable("EMPTY", "");
    let run = stage.submit(&super::request(workload.secret("SECRET", value.to_owned()))).await.run;
    let status = stage.end(&run).await;
    assert_eq!(status.phase, Phase::Succeeded, "the program found another value: {:?}", status.verdict);
}

/// Of a run that is not there nothing is told: `NotFound`, also for another attempt or kind of a known workload.
pub async fn an_unknown_run_is_not_found(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let known = stage.run("known", &Program::new()).await.run;
    let unknown = [
        RunId { workload: id("unknown"), ..known.clone() },
        RunId { attempt: known.attempt.next(), ..known.clone() },
        RunId { kind: WorkloadKind::Snapshot, ..known },
    ];
    for run in unknown {
        assert_refused(stage.manager.status(&run).await, ErrorKind::NotFound, "the status of an unknown run");
        assert_refused(
            stage.manager.watch(&run).await.map(drop),
            ErrorKind::NotFound,
            "to follow an unknown run",
        );
        assert_refused(stage.manager.release(&run).await, ErrorKind::NotFound, "to release an unknown run");
    }
}
