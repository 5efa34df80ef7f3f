//! A run is its id: however often it is submitted, there is one.

use futures::future::join_all;

use super::{GO, ManagerHarness, Stage, patient, request};
use crate::{
    Attempt, ErrorKind, Phase, RunFilter,
    testkit::{Program, assert_refused, id},
};

/// The same attempt submitted again, while it runs and after its end, is the same run.
pub async fn a_second_submission_adopts_the_first(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let same = request(stage.workload("twice", &patient()).attempt(Attempt::FIRST));
    let first = stage.submit(&same).await;
    assert!(!first.adopted, "nothing was there to be adopted");
    assert_eq!((first.run.workload.as_str(), first.run.attempt), ("twice", Attempt::FIRST));
    let second = stage.submit(&same).await;
    assert_eq!((&second.run, second.adopted), (&first.run, true));
    stage.open().await;
    stage.end(&first.run).await;
    assert_eq!(stage.lines("twice").await, ["begun", "done"], "it ran once");
}

/// A finished attempt that is asked for by its number is adopted, and does not run again.
pub async fn a_finished_attempt_is_adopted_by_its_number(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let same =
        request(stage.workload("done", &Program::new().print("once\n").exit(3)).attempt(Attempt::FIRST));
    let first = stage.submit(&same).await;
    stage.end(&first.run).await;
    let second = stage.submit(&same).await;
    assert_eq!((&second.run, second.adopted), (&first.run, true));
    assert_eq!(stage.status(&first.run).await.phase, Phase::Failed, "it stays as it ended");
    assert_eq!(stage.lines("done").await, ["once"], "it ran once");
}

/// Another server adopts a run that it did not start: as the same attempt, and as the next while it is unfinished.
pub async fn another_server_adopts_a_run(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let Some(another) = stage.another().await else { return };
    let run = stage.start("moved", &patient()).await;
    let next = another.submit(&another.request("moved", &patient())).await;
    assert_eq!((&next.run, next.adopted), (&run, true));
    let exactly = request(another.workload("moved", &patient()).attempt(run.attempt));
    let exactly = another.submit(&exactly).await;
    assert_eq!((&exactly.run, exactly.adopted), (&run, true));
    stage.open().await;
    assert_eq!(another.end(&run).await.phase, Phase::Succeeded);
    assert_eq!(another.lines("moved").await, ["begun", "done"], "it ran once");
}

/// The same attempt with another spec is a conflict, whatever its phase, and leaves the run as it is.
pub async fn another_spec_of_an_attempt_is_a_conflict(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let run = stage.start("taken", &patient()).await;
    let other = request(stage.workload("taken", &Program::new()).attempt(run.attempt));
    assert_refused(
        stage.manager.submit(&other).await,
        ErrorKind::Conflict,
        "another spec of a running attempt",
    );
    stage.open().await;
    assert_eq!(stage.end(&run).await.phase, Phase::Succeeded, "the run goes on");
    assert_refused(
        stage.manager.submit(&other).await,
        ErrorKind::Conflict,
        "another spec of a finished attempt",
    );
}

/// The next attempt is a conflict while one of another spec is unfinished.
pub async fn an_unfinished_run_of_another_spec_is_a_conflict(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let run = stage.start("busy", &patient()).await;
    let servers = stage.servers().await;
    for server in &servers {
        let other = server.request("busy", &Program::new());
        assert_refused(
            server.manager.submit(&other).await,
            ErrorKind::Conflict,
            "another spec as the next attempt",
        );
    }
    harness.open(GO).await;
    assert_eq!(servers[0].end(&run).await.phase, Phase::Succeeded, "the run goes on");
    assert_eq!(servers[0].lines("busy").await, ["begun", "done"]);
}

/// The next attempt after finished ones is the one behind the last, also on another server.
pub async fn the_next_attempt_follows_the_last(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let program = Program::new().print("again\n");
    for number in 1..=2 {
        let status = stage.run("again", &program).await;
        assert_eq!(status.run.attempt.get(), number);
    }
    let other_spec = Program::new().print("other\n");
    let server = stage.another().await.unwrap_or(stage);
    let status = server.run("again", &other_spec).await;
    assert_eq!(status.run.attempt.get(), 3, "whatever its spec");
    assert_eq!(server.lines("again").await, ["again", "again", "other"], "one log over all attempts");
}

/// An attempt may be asked for by any number, and the next one counts on from it.
pub async fn the_next_attempt_counts_on_from_a_named_one(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let seventh = request(stage.workload("seven", &Program::new()).attempt(attempt(7)));
    let run = stage.submit(&seventh).await.run;
    assert_eq!(run.attempt, attempt(7));
    stage.end(&run).await;
    assert_eq!(stage.run("seven", &Program::new()).await.run.attempt, attempt(8));
}

/// A new value of a secret, as each try of a server has one, is no other spec; another name is.
pub async fn a_new_secret_value_is_the_same_run(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let wanted = |name: &str, value: &str| request(stage.workload("token", &patient()).secret(name, value));
    let first = stage.submit(&wanted("TOKEN", "first")).await;
    let second = stage.submit(&wanted("TOKEN", "second")).await;
    assert_eq!((&second.run, second.adopted), (&first.run, true));
    let other = stage.manager.submit(&wanted("KEY", "first")).await;
    assert_refused(other, ErrorKind::Conflict, "another secret is another spec");
    stage.open().await;
    stage.end(&first.run).await;
}

/// Of submissions at the same time, from two servers, one makes the run and the others adopt it.
pub async fn concurrent_submissions_make_one_run(harness: &dyn ManagerHarness) {
    let servers = Stage::new(harness).await.servers().await;
    let same = servers[0].request("crowd", &patient());
    let submissions = join_all((0..20).map(|n| servers[n % servers.len()].submit(&same))).await;
    let made = submissions.iter().filter(|submission| !submission.adopted).count();
    assert_eq!(made, 1, "one of them makes it: {submissions:?}");
    let run = &submissions[0].run;
    assert!(submissions.iter().all(|submission| submission.run == *run), "{submissions:?}");
    harness.open(GO).await;
    for server in &servers {
        assert_eq!(server.end(run).await.phase, Phase::Succeeded);
        assert_eq!(server.lines("crowd").await, ["begun", "done"], "it ran once");
        assert_eq!(server.list(&RunFilter::of(&id("crowd"))).await.len(), 1);
    }
}

fn attempt(number: u32) -> Attempt {
    Attempt::new(number).expect("it is not 0")
}
