//! A run is cancelled in whatever state it is, twice, and nothing of it stays behind. Runs in the launcher's line are its
//! own tests' matter.

use futures::future::join_all;
use wm_core::{LogQuery, LogSource, Outcome, Phase, Reason, RunId, WorkloadManager as _};
use wm_k8s::KubernetesWorkloadManager;

use crate::stage::{Stage, finish, following, id, lines, reach, request, run_id, script, states};

/// Cancels a run twice, which whoever follows it sees end as cancelled, and waits until nothing is left of it.
async fn cancel(stage: &Stage, manager: &KubernetesWorkloadManager, run: &RunId) {
    let follower = manager.watch(run).await.unwrap();
    manager.cancel(run).await.unwrap();
    manager.cancel(run).await.unwrap();
    let verdict = states(follower).await.pop().unwrap().verdict.unwrap();
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Cancelled, Reason::Cancelled), "{run}");
    while stage.jobs().await.len() + stage.pods().await.len() + stage.secrets().await.len() > 0 {
        tokio::task::yield_now().await;
    }
    // Once more, now that it is gone.
    manager.cancel(run).await.unwrap();
}

#[tokio::test]
async fn a_suspended_run_never_runs() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let held = request(script("held", "echo it ran").secret("TOKEN", "x")).held();
    let run = manager.submit(&held).await.unwrap().run;
    let log = manager.logs(&run.workload, &following()).await.unwrap();
    cancel(&stage, &manager, &run).await;
    assert_eq!(lines(log).await, [""; 0]);
}

#[tokio::test]
async fn a_run_that_no_node_takes() {
    let stage = Stage::new().await;
    stage.cluster.faults().inject("unschedulable=cpu".parse().unwrap());
    let manager = stage.manager().await;
    let wanted = request(script("pending", "echo it ran").secret("TOKEN", "x"));
    let run = manager.submit(&wanted).await.unwrap().run;
    reach(&manager, &run, Phase::Pending).await;
    let log = manager.logs(&run.workload, &following()).await.unwrap();
    cancel(&stage, &manager, &run).await;
    assert_eq!(lines(log).await, [""; 0]);
}

#[tokio::test]
async fn a_run_whose_image_does_not_come() {
    let stage = Stage::new().await;
    stage.cluster.faults().inject("image=server-error".parse().unwrap());
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("starting", "echo it ran"))).await.unwrap().run;
    reach(&manager, &run, Phase::Starting).await;
    cancel(&stage, &manager, &run).await;
}

#[tokio::test]
async fn a_running_run_has_its_last_words_in_every_log_of_it() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    let parting = format!(
        "exec 2>/dev/null; trap 'echo last words; printf unended; exit 0' TERM; echo begun; read -r go < '{}' & wait $!",
        gate.path()
    );
    let wanted = request(script("running", &parting).secret("TOKEN", "x"));
    let run = manager.submit(&wanted).await.unwrap().run;
    reach(&manager, &run, Phase::Running).await;
    let observer = stage.observer().await;
    let mut logs = Vec::new();
    for manager in [&manager, &observer] {
        for query in [following(), LogQuery { tail: Some(10), ..following() }] {
            let mut log = manager.logs(&run.workload, &query).await.unwrap();
            assert_eq!(futures::StreamExt::next(&mut log).await.unwrap().unwrap().text(), "begun");
            logs.push(log);
        }
    }
    // Nobody reads while it ends.
    cancel(&stage, &manager, &run).await;
    for log in join_all(logs.into_iter().map(lines)).await {
        assert_eq!(log, ["last words", "unended"]);
    }
}

#[tokio::test]
async fn a_run_that_has_ended_stays_as_it_is() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    for (workload, text, phase) in [("good", "true", Phase::Succeeded), ("bad", "exit 4", Phase::Failed)] {
        let run = finish(&manager, &request(script(workload, text))).await;
        manager.cancel(&run).await.unwrap();
        manager.cancel(&run).await.unwrap();
        assert_eq!(manager.status(&run).await.unwrap().phase, phase);
        assert_eq!(stage.observer().await.status(&run).await.unwrap().phase, phase);
    }
    assert_eq!(stage.job_names().await, ["runner-bad-1", "runner-good-1"]);
}

#[tokio::test]
async fn a_run_that_is_gone_is_no_error() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let run = finish(&manager, &request(script("gone", "true"))).await;
    manager.delete(&run.workload).await.unwrap();
    manager.cancel(&run).await.unwrap();
    manager.cancel(&run_id("never", 1)).await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_first_read_when_its_run_is_gone_says_so_or_is_whole() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    finish(&manager, &request(script("late", "seq 1 5"))).await;
    let opened = manager.logs(&id("late"), &LogQuery::default()).await.unwrap();
    manager.delete(&id("late")).await.unwrap();
    while !stage.pods().await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(lines(opened).await, ["1", "2", "3", "4", "5"]);
    // Of two attempts only the first is open before it is read.
    for _ in 0..2 {
        finish(&manager, &request(script("twice", "echo out"))).await;
    }
    let opened = manager.logs(&id("twice"), &LogQuery::default()).await.unwrap();
    manager.delete(&id("twice")).await.unwrap();
    while !stage.pods().await.is_empty() {
        tokio::task::yield_now().await;
    }
    let records: Vec<_> = futures::TryStreamExt::try_collect(opened).await.unwrap();
    assert_eq!(records[0].text(), "out");
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!(records[1].source, LogSource::Manager);
    assert!(records[1].text().contains("is gone"), "{}", records[1].text());
}
