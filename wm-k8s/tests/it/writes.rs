//! How many requests it takes.

use futures::future::join_all;
use wm_core::{Phase, RunFilter, WorkloadManager as _};

use crate::stage::{Stage, finish, following, lines, reach, request, script};

#[tokio::test]
async fn a_run_is_one_write_and_two_with_a_secret() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let plain = finish(&manager, &request(script("plain", "echo out"))).await;
    assert_eq!(stage.wire.writes(), ["create jobs"]);
    finish(&manager, &request(script("with-secret", "exit 1").secret("TOKEN", "x"))).await;
    manager.status(&plain).await.unwrap();
    lines(manager.logs(&plain.workload, &following()).await.unwrap()).await;
    assert_eq!(stage.wire.writes(), ["create jobs", "create jobs", "create secrets"]);
}

#[tokio::test]
async fn any_number_of_runs_is_followed_with_one_list_and_one_watch_a_kind() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let requests: Vec<_> = (0..12).map(|n| request(script(&format!("many-{n}"), "true"))).collect();
    join_all(requests.iter().map(|request| finish(&manager, request))).await;
    assert_eq!(manager.list(&RunFilter::default()).await.unwrap().len(), 12);
    for resource in ["jobs", "pods"] {
        assert_eq!((stage.wire.count("watch", resource), resource), (1, resource));
    }
    assert_eq!(stage.wire.count("list", "pods"), 1);
    // One of the watch, and one of each submission that came before the watch: it must know the last attempt.
    assert!(stage.wire.count("list", "jobs") <= 13, "{:?}", stage.wire.calls());
    assert_eq!(stage.wire.count("get", "jobs"), 0);
}

#[tokio::test]
async fn nothing_is_asked_while_runs_wait() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let mut runs = Vec::new();
    for n in 0..6 {
        let waits = request(script(&format!("waits-{n}"), &gate.wait()));
        runs.push(manager.submit(&waits).await.unwrap().run);
    }
    let followers = join_all(runs.iter().map(async |run| manager.watch(run).await.unwrap())).await;
    join_all(runs.iter().map(|run| reach(&manager, run, Phase::Running))).await;
    let before = stage.wire.calls().len();
    // Another run's whole life is the clock.
    let clock = request(script("clock", "true"));
    finish(&manager, &clock).await;
    for run in &runs {
        assert_eq!(manager.status(run).await.unwrap().phase, Phase::Running);
    }
    let asked = &stage.wire.calls()[before..];
    let own = |call: &&crate::wire::Call| call.verb == "create" || call.target.contains("clock");
    assert!(asked.iter().all(|call| own(&call)), "{asked:?}");
    assert_eq!(asked.iter().filter(|call| call.verb == "create").count(), 1);
    gate.open(6);
    for follower in followers {
        assert!(crate::stage::states(follower).await.pop().unwrap().verdict.unwrap().is_success());
    }
}
