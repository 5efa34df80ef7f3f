//! A run's states, in order, to a verdict.

use std::time::Duration;

use futures::future::join_all;
use wm_core::{ErrorKind, Phase, Reason, RunFilter, WorkloadManager as _};

use crate::stage::{Stage, finish, reach, request, run_id, script, states, verdict};

#[tokio::test]
async fn phases_come_in_order_and_the_stream_ends_with_the_verdict() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("phases", "exit 3"))).await.unwrap().run;
    let seen = states(manager.watch(&run).await.unwrap()).await;
    let phases: Vec<_> = seen.iter().map(|status| status.phase).collect();
    let order = [Phase::Pending, Phase::Starting, Phase::Running, Phase::Failed];
    let places: Vec<_> =
        phases.iter().map(|phase| order.iter().position(|one| one == phase).unwrap()).collect();
    assert!(places.is_sorted(), "{phases:?}");
    assert_eq!(phases.iter().filter(|phase| phase.is_terminal()).count(), 1);
    let verdict = seen.last().unwrap().verdict.clone().unwrap();
    assert_eq!((verdict.reason, verdict.evidence.exit_code), (Reason::ExitCode, Some(3)));
    // A late follower is told the end at once.
    let late = states(manager.watch(&run).await.unwrap()).await;
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].phase, Phase::Failed);
}

#[tokio::test]
async fn a_verdict_names_what_ended_the_program() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let cases = [
        (script("exit", "echo why; exit 7"), Reason::ExitCode, Some(7)),
        (script("killed", "sh -c 'kill -KILL $$'; exit $?"), Reason::ExitCode, Some(137)),
        (script("absent", "").command(["no-such-program"]), Reason::StartError, Some(128)),
        (
            script("late", "trap 'exit 143' TERM; while :; do sleep 0.05; done")
                .timeout(Duration::from_secs(1)),
            Reason::DeadlineExceeded,
            None,
        ),
    ];
    for (workload, reason, code) in cases {
        let run = manager.submit(&request(workload)).await.unwrap().run;
        let verdict = verdict(&manager, &run).await;
        assert_eq!(verdict.reason, reason, "{run}: {verdict:?}");
        if code.is_some() {
            assert_eq!(verdict.evidence.exit_code, code, "{run}");
        }
    }
    let status = manager.status(&run_id("exit", 1)).await.unwrap();
    assert_eq!(status.verdict.unwrap().evidence.log_tail, ["why"]);
}

#[tokio::test]
async fn a_state_is_the_same_for_who_watches_and_who_asks() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let run = finish(&manager, &request(script("both", "exit 2"))).await;
    let watched = states(manager.watch(&run).await.unwrap()).await.pop().unwrap();
    let asked = stage.manager().await.status(&run).await.unwrap();
    assert_eq!(watched.phase, asked.phase);
    assert_eq!(watched.place, asked.place);
    assert_eq!(watched.verdict.unwrap().message, asked.verdict.unwrap().message);
}

#[tokio::test]
async fn any_number_of_callers_follow_a_run() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("popular", &gate.wait()))).await.unwrap().run;
    let mut followers = Vec::new();
    for _ in 0..50 {
        followers.push(manager.watch(&run).await.unwrap());
    }
    drop(followers.split_off(40));
    gate.open(1);
    for seen in join_all(followers.into_iter().map(states)).await {
        assert_eq!(seen.last().unwrap().phase, Phase::Succeeded);
    }
    assert_eq!(stage.wire.count("watch", "jobs"), 1);
}

#[tokio::test]
async fn a_retried_run_ends_with_its_last_try() {
    let stage = Stage::new().await;
    let mut settings = wm_k8s::KubernetesSettings::new("default", "default");
    settings.job_backoff_limit = 2;
    let manager = stage.manager_with(settings).await.unwrap();
    let marker = stage.gate("tries");
    // The first try takes the marker away and fails; the second finds it gone.
    let retried = format!("rm '{}' 2>/dev/null && exit 1; exit 0", marker.path());
    let run = manager.submit(&request(script("retried", &retried))).await.unwrap().run;
    assert!(verdict(&manager, &run).await.is_success());
    assert_eq!(stage.pods().await.len(), 2);
}

#[tokio::test]
async fn a_job_that_somebody_deletes_ends_as_deleted() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let mut settings = wm_k8s::KubernetesSettings::new("default", "default");
    settings.termination_grace_period_seconds = 1;
    let manager = stage.manager_with(settings).await.unwrap();
    let run = manager.submit(&request(script("taken", &gate.wait()))).await.unwrap().run;
    let follower = manager.watch(&run).await.unwrap();
    reach(&manager, &run, Phase::Running).await;
    stage.delete("/apis/batch/v1/namespaces/default/jobs/runner-taken-1").await;
    let verdict = states(follower).await.pop().unwrap().verdict.unwrap();
    assert_eq!(verdict.reason, Reason::JobDeleted, "{verdict:?}");
    // The pod tells of the run until its grace is over.
    let error = loop {
        match manager.status(&run).await {
            Ok(status) => assert_eq!(status.verdict.unwrap().reason, Reason::JobDeleted),
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let nothing = run_id("nothing", 1);
    assert_eq!(manager.status(&nothing).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(manager.watch(&nothing).await.err().unwrap().kind(), ErrorKind::NotFound);
    finish(&manager, &request(script("something", "true"))).await;
    assert_eq!(manager.watch(&run_id("something", 2)).await.err().unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn runs_are_listed_oldest_first_and_by_what_is_asked_for() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    finish(&manager, &request(script("b", "true"))).await;
    finish(&manager, &request(script("a", "true").alias(crate::stage::id("other")))).await;
    let running = manager.submit(&request(script("b", &gate.wait()))).await.unwrap().run;
    for manager in [&manager, &stage.manager().await] {
        let runs = async |filter: RunFilter| -> Vec<_> {
            manager.list(&filter).await.unwrap().into_iter().map(|status| status.run).collect()
        };
        assert_eq!(runs(RunFilter::default()).await, [run_id("b", 1), run_id("a", 1), running.clone()]);
        assert_eq!(runs(RunFilter::of(&crate::stage::id("other"))).await, [run_id("a", 1)]);
        let unfinished = RunFilter { unfinished: true, ..RunFilter::default() };
        assert_eq!(runs(unfinished).await, std::slice::from_ref(&running));
    }
}
