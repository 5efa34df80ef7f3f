//! Somebody else's backend, selected by environment variable as a server's configuration does.

#[path = "../../examples/custom_backend/mod.rs"]
pub(crate) mod backend;

use std::{fs, path::Path, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tempfile::TempDir;
use wm_core::{ImageRequest, RunId, RunRequest};
use workload_manager::{
    Attempt, Configuration, ErrorKind, LogQuery, LogSource, Outcome, Phase, Reason, RunFilter, RunStatus,
    Setup, Workload, WorkloadBuilder, WorkloadId, WorkloadKind, WorkloadManager, WorkloadManagerExt as _,
};

use backend::{SOURCE, SubprocessFactory};

const SELECTED: (&str, &str) = ("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", SOURCE);

/// Says that it begins, and ends when there is a file `go`.
const UNTIL_GO: &str = "echo begun; while ! test -e go; do sleep 0.01; done; echo done";

fn configured(variables: &[(&str, &str)]) -> Configuration {
    let variables = variables.iter().copied().chain([SELECTED]);
    Setup::new().source(SOURCE, SubprocessFactory).environment(variables).load().unwrap()
}

async fn manager(directory: &Path) -> Arc<dyn WorkloadManager> {
    let directory = directory.to_str().unwrap();
    let grace = ("ACME_WORKLOAD_MANAGER_GRACE_SECONDS", "0");
    configured(&[("ACME_WORKLOAD_MANAGER_DIRECTORY", directory), grace]).manager().await.unwrap()
}

fn id(text: &str) -> WorkloadId {
    text.parse().unwrap()
}

fn shell(name: &str, script: &str) -> WorkloadBuilder {
    let image = "registry.example.com/app:1".parse().unwrap();
    Workload::builder(id(name), WorkloadKind::Run).snapshot_image(image).command(["sh", "-c", script])
}

fn request(workload: WorkloadBuilder) -> RunRequest {
    let workload = workload.build().unwrap();
    let image = workload.snapshot_image().unwrap().clone();
    RunRequest::new(workload, image)
}

/// The end of a run, and the phases up to it.
async fn end(manager: &dyn WorkloadManager, run: &RunId) -> (RunStatus, Vec<Phase>) {
    let states: Vec<_> = manager.watch(run).await.unwrap().try_collect().await.unwrap();
    let phases = states.iter().map(|status| status.phase).collect();
    (states.into_iter().next_back().unwrap(), phases)
}

async fn lines(manager: &dyn WorkloadManager, id: &WorkloadId, query: &LogQuery) -> Vec<String> {
    let log = manager.logs(id, query).await.unwrap();
    log.map_ok(|record| record.text().into_owned()).try_collect().await.unwrap()
}

#[tokio::test]
async fn a_launched_run_is_followed_to_its_exit_code() {
    let directory = TempDir::new().unwrap();
    let configuration =
        configured(&[("ACME_WORKLOAD_MANAGER_DIRECTORY", directory.path().to_str().unwrap())]);
    assert_eq!(configuration.source(), SOURCE);
    let launcher = configuration.launcher().await.unwrap();
    let script = "echo hello; echo problem >&2; pwd -P; printf last; exit 3";
    let run = launcher.launch(shell("nightly", script).build().unwrap()).await.unwrap();
    let log = run.logs(&LogQuery { follow: true, ..LogQuery::default() }).await.unwrap();
    let mut records: Vec<_> = log.try_collect().await.unwrap();
    assert_eq!(
        records.remove(0).text(),
        "the image is only a name: a subprocess has the files of this machine"
    );
    let place = directory.path().canonicalize().unwrap().display().to_string();
    let lines: Vec<_> = records.iter().map(|record| record.text()).collect();
    assert_eq!(lines, ["hello", "problem", &place, "last"]);
    assert_eq!(records.iter().map(|record| record.ended).collect::<Vec<_>>(), [true, true, true, false]);
    let verdict = run.wait().await.unwrap();
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Failed, Reason::ExitCode));
    assert_eq!(verdict.evidence.exit_code, Some(3));
    assert_eq!(verdict.evidence.log_tail, lines);
}

#[tokio::test]
async fn the_same_spec_is_adopted_and_another_is_a_conflict_until_the_run_has_ended() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    let first = manager.submit(&request(shell("a", UNTIL_GO))).await.unwrap();
    assert!(!first.adopted);
    let again = manager.submit(&request(shell("a", UNTIL_GO))).await.unwrap();
    assert_eq!((again.run, again.adopted), (first.run.clone(), true));
    let other = manager.submit(&request(shell("a", "true"))).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict);

    fs::write(directory.path().join("go"), "").unwrap();
    let (status, phases) = end(&*manager, &first.run).await;
    assert_eq!(status.verdict.unwrap().reason, Reason::Completed);
    assert_eq!(phases.last(), Some(&Phase::Succeeded));

    let exactly = request(shell("a", UNTIL_GO).attempt(Attempt::FIRST));
    assert!(manager.submit(&exactly).await.unwrap().adopted);
    let exactly = request(shell("a", "true").attempt(Attempt::FIRST));
    assert_eq!(manager.submit(&exactly).await.unwrap_err().kind(), ErrorKind::Conflict);
    let next = manager.submit(&request(shell("a", "echo second"))).await.unwrap();
    assert_eq!((next.run.attempt.get(), next.adopted), (2, false));
    end(&*manager, &next.run).await;
    assert_eq!(lines(&*manager, &id("a"), &LogQuery::default()).await, ["begun", "done", "second"]);
}

#[tokio::test]
async fn of_submissions_at_the_same_time_one_makes_the_run() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    let request = request(shell("a", "echo x >> started"));
    let submissions = futures::future::try_join_all((0..20).map(|_| manager.submit(&request))).await.unwrap();
    assert_eq!(submissions.iter().filter(|submission| !submission.adopted).count(), 1);
    end(&*manager, &submissions[0].run).await;
    assert_eq!(fs::read_to_string(directory.path().join("started")).unwrap(), "x\n");
}

#[tokio::test]
async fn a_cancelled_run_says_its_last_lines() {
    let directory = TempDir::new().unwrap();
    let grace = ("ACME_WORKLOAD_MANAGER_GRACE_SECONDS", "600");
    let configuration =
        configured(&[("ACME_WORKLOAD_MANAGER_DIRECTORY", directory.path().to_str().unwrap()), grace]);
    let manager = configuration.manager().await.unwrap();
    let script = "trap 'echo last; exit 0' TERM; echo begun; while :; do sleep 0.01; done";
    let run = manager.submit(&request(shell("a", script))).await.unwrap().run;
    let follow = LogQuery { follow: true, ..LogQuery::default() };
    let mut log = manager.logs(&id("a"), &follow).await.unwrap();
    assert_eq!(log.try_next().await.unwrap().unwrap().text(), "begun");
    manager.cancel(&run).await.unwrap();
    // A shell may tell of its `sleep` that was ended too.
    assert!(log.any(|record| async { record.unwrap().text() == "last" }).await);
    let (status, _) = end(&*manager, &run).await;
    assert_eq!(status.phase, Phase::Cancelled);
    assert_eq!(status.verdict.unwrap().evidence.exit_code, Some(0));
    manager.cancel(&run).await.unwrap();
    assert_eq!(manager.status(&run).await.unwrap().phase, Phase::Cancelled);
}

#[tokio::test]
async fn what_does_not_end_when_asked_is_killed_with_its_children() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    let script = "trap '' TERM; sleep 600 & echo begun; wait; sleep 600";
    let run = manager.submit(&request(shell("a", script))).await.unwrap().run;
    let mut log = manager.logs(&id("a"), &LogQuery { follow: true, ..LogQuery::default() }).await.unwrap();
    assert_eq!(log.try_next().await.unwrap().unwrap().text(), "begun");
    manager.cancel(&run).await.unwrap();
    // The log ends when all who could write have ended.
    assert!(log.try_next().await.unwrap().is_none());
    let (status, _) = end(&*manager, &run).await;
    assert_eq!(status.verdict.unwrap().evidence.exit_code, Some(128 + 9));
}

#[tokio::test]
async fn a_time_limit_and_a_program_that_is_not_there_are_verdicts() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    let long = request(shell("a", "exec sleep 600").timeout(Duration::from_secs(1)));
    let run = manager.submit(&long).await.unwrap().run;
    assert_eq!(end(&*manager, &run).await.0.verdict.unwrap().reason, Reason::DeadlineExceeded);
    let missing = request(shell("b", "").command(["no-such-program"]));
    let run = manager.submit(&missing).await.unwrap().run;
    let verdict = end(&*manager, &run).await.0.verdict.unwrap();
    assert_eq!(verdict.reason, Reason::StartError);
    assert!(verdict.message.contains("no-such-program"), "{verdict}");
}

#[tokio::test]
async fn a_workload_answers_to_its_alias_before_and_after_its_run_and_until_it_is_deleted() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    let (own, alias) = (id("own"), id("alias"));
    assert_eq!(manager.logs(&own, &LogQuery::default()).await.err().unwrap().kind(), ErrorKind::NotFound);
    manager.log(&alias, "queued").await.unwrap();
    assert_eq!(lines(&*manager, &alias, &LogQuery::default()).await, ["queued"]);
    let run = manager.submit(&request(shell("own", UNTIL_GO).alias(alias.clone()))).await.unwrap().run;
    let other = manager.submit(&request(shell("other", "true"))).await.unwrap().run;
    end(&*manager, &other).await;

    let all = manager.list(&RunFilter::default()).await.unwrap();
    assert_eq!(all.iter().map(|status| &status.run).collect::<Vec<_>>(), [&run, &other]);
    let unfinished = RunFilter { unfinished: true, ..RunFilter::default() };
    let snapshots = RunFilter { kind: Some(WorkloadKind::Snapshot), ..RunFilter::default() };
    assert_eq!(manager.list(&unfinished).await.unwrap().len(), 1);
    assert_eq!(manager.list(&snapshots).await.unwrap(), []);
    assert_eq!(manager.latest(&alias).await.unwrap().run, run);
    assert_eq!(manager.latest(&alias).await.unwrap().aliases, std::slice::from_ref(&alias));

    fs::write(directory.path().join("go"), "").unwrap();
    let follow = LogQuery { follow: true, ..LogQuery::default() };
    assert_eq!(lines(&*manager, &alias, &follow).await, ["queued", "begun", "done"]);
    let tail = LogQuery { tail: Some(1), ..LogQuery::default() };
    assert_eq!(lines(&*manager, &own, &tail).await, ["done"]);
    let output = LogQuery { attempt: Some(Attempt::FIRST), ..LogQuery::default() };
    assert_eq!(lines(&*manager, &own, &output).await, ["begun", "done"]);
    let log: Vec<_> = manager.logs(&own, &LogQuery::default()).await.unwrap().try_collect().await.unwrap();
    assert_eq!(log[0].source, LogSource::Manager);
    let since = LogQuery { since: log[2].time, ..LogQuery::default() };
    assert_eq!(lines(&*manager, &own, &since).await.last().unwrap(), "done");
    assert!(lines(&*manager, &own, &since).await.len() < 3);

    manager.delete(&alias).await.unwrap();
    assert_eq!(manager.status(&run).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(manager.logs(&own, &LogQuery::default()).await.err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(manager.list(&RunFilter::default()).await.unwrap().len(), 1);
    manager.delete(&alias).await.unwrap();
    manager.cancel(&run).await.unwrap();
}

#[tokio::test]
async fn to_delete_a_workload_ends_its_process_and_those_who_follow_see_it() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    let run = manager.submit(&request(shell("a", "exec sleep 600"))).await.unwrap().run;
    let states = manager.watch(&run).await.unwrap();
    manager.delete(&id("a")).await.unwrap();
    let last = states.map(Result::unwrap).collect::<Vec<_>>().await.pop().unwrap();
    assert_eq!(last.phase, Phase::Cancelled);
    let again = manager.submit(&request(shell("a", "true"))).await.unwrap();
    assert_eq!((again.run.attempt, again.adopted), (Attempt::FIRST, false));
}

#[tokio::test]
async fn processes_end_with_the_manager_and_not_with_those_who_follow() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    let run = manager.submit(&request(shell("a", "exec sleep 600"))).await.unwrap().run;
    drop(manager.watch(&run).await.unwrap());
    let mut states = manager.watch(&run).await.unwrap();
    while states.try_next().await.unwrap().unwrap().phase != Phase::Running {}
    assert!(states.next().now_or_never().is_none());
    drop(manager);
    let last = states.try_next().await.unwrap().unwrap();
    assert_eq!(last.verdict.unwrap().reason, Reason::BackendFailure);
    assert!(states.next().await.is_none());
}

#[tokio::test]
async fn a_secret_reaches_the_program_and_nothing_that_is_shown() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    let script = r#"test "$TOKEN" = hunter2 && test "$MODE" = fast && test -z "$CARGO_MANIFEST_DIR""#;
    let workload = shell("a", script).variable("MODE", "fast").secret("TOKEN", "hunter2".to_owned());
    let run = manager.submit(&request(workload)).await.unwrap().run;
    let (status, _) = end(&*manager, &run).await;
    assert_eq!(status.phase, Phase::Succeeded);
    let shown = format!("{manager:?} {status:?} {}", serde_json::to_string(&status).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn what_it_can_not_do_is_unsupported() {
    let directory = TempDir::new().unwrap();
    let manager = manager(directory.path()).await;
    assert!(!manager.capabilities().hold_runs && !manager.capabilities().build_images);
    let held = manager.submit(&request(shell("a", "true")).held()).await.unwrap_err();
    assert_eq!(held.kind(), ErrorKind::Unsupported);
    let without: [&str; 0] = [];
    let nothing = manager.submit(&request(shell("a", "").command(without))).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::InvalidRequest);
    let run = RunId { workload: id("a"), kind: WorkloadKind::Run, attempt: Attempt::FIRST };
    for result in [manager.release(&run).await, manager.status(&run).await.map(drop)] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    }
    let image = ImageRequest::new(id("a"), WorkloadKind::Run, None);
    assert_eq!(manager.resolve_image(&image).await.unwrap().image.as_str(), "subprocess/none");
}

#[tokio::test]
async fn bad_options_name_their_variable() {
    for (name, value) in [
        ("ACME_WORKLOAD_MANAGER_DIRECTORY", "relative"),
        ("ACME_WORKLOAD_MANAGER_DIRECTORY", "/no/such/directory"),
        ("ACME_WORKLOAD_MANAGER_GRACE_SECONDS", "soon"),
        ("ACME_WORKLOAD_MANAGER_DIRECTOR", "/"),
    ] {
        let error = configured(&[(name, value)]).manager().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{name}={value}");
        assert!(error.context().any(|(_, about)| about == name), "{error}");
    }
    assert!(configured(&[("ACME_WORKLOAD_MANAGER_DIRECTORY", "")]).manager().await.is_ok());
}
