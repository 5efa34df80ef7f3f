//! Cancelling and deleting.

use futures::StreamExt as _;
use wm_core::{Outcome, Phase, Reason, RunFilter, WorkloadManager as _};

use crate::stage::{Stage, finish, following, id, lines, reach, request, run_id, script, states};

/// Says when it has begun, and has last words when it is asked to end.
fn parting(gate: &str) -> String {
    format!(
        "exec 2>/dev/null; trap 'echo last words; exit 0' TERM; echo begun; read -r go < '{gate}' & wait $!"
    )
}

#[tokio::test]
async fn a_cancelled_run_ends_as_cancelled_and_its_last_words_are_read() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("parting", &parting(&gate.path())))).await.unwrap().run;
    let here = manager.watch(&run).await.unwrap();
    let observer = stage.observer().await;
    let elsewhere = observer.watch(&run).await.unwrap();
    let mut output = manager.logs(&run.workload, &following()).await.unwrap();
    assert_eq!(output.next().await.unwrap().unwrap().text(), "begun");
    manager.cancel(&run).await.unwrap();
    assert_eq!(lines(output).await, ["last words"]);
    for follower in [here, elsewhere] {
        let last = states(follower).await.pop().unwrap();
        let verdict = last.verdict.unwrap();
        assert_eq!((verdict.outcome, verdict.reason), (Outcome::Cancelled, Reason::Cancelled));
    }
}

#[tokio::test]
async fn cancelling_again_after_the_end_or_nothing_is_no_error() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("twice", &gate.wait()))).await.unwrap().run;
    reach(&manager, &run, Phase::Running).await;
    manager.cancel(&run).await.unwrap();
    manager.cancel(&run).await.unwrap();
    let ended = finish(&manager, &request(script("ended", "exit 4"))).await;
    manager.cancel(&ended).await.unwrap();
    let status = manager.status(&ended).await.unwrap();
    assert_eq!(status.verdict.unwrap().evidence.exit_code, Some(4));
    manager.cancel(&run_id("nothing", 1)).await.unwrap();
}

#[tokio::test]
async fn cancelling_one_attempt_leaves_the_others() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    finish(&manager, &request(script("several", "true"))).await;
    let second = manager.submit(&request(script("several", &gate.wait()))).await.unwrap().run;
    let follower = manager.watch(&second).await.unwrap();
    manager.cancel(&second).await.unwrap();
    assert_eq!(states(follower).await.pop().unwrap().phase, Phase::Cancelled);
    assert_eq!(stage.job_names().await, ["runner-several-1"]);
}

#[tokio::test]
async fn deleting_removes_all_attempts_with_pods_and_secrets() {
    let stage = Stage::new().await;
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    let wanted = |text: &str| request(script("gone", text).alias(id("alias")).secret("TOKEN", "x"));
    finish(&manager, &wanted("true")).await;
    finish(&manager, &wanted("exit 1")).await;
    let running = manager.submit(&wanted(&gate.wait())).await.unwrap().run;
    reach(&manager, &running, Phase::Running).await;
    finish(&manager, &request(script("kept", "true").secret("TOKEN", "x"))).await;
    manager.delete(&id("alias")).await.unwrap();
    while stage.pods().await.len() > 1 || stage.secrets().await.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.job_names().await, ["runner-kept-1"]);
    let kept = stage.manager().await.list(&RunFilter::default()).await.unwrap();
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn deleting_nothing_is_no_error() {
    let stage = Stage::new().await;
    stage.manager().await.delete(&id("nothing")).await.unwrap();
}

#[tokio::test]
async fn dropping_a_follower_does_not_stop_the_run() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("alone", &gate.wait()))).await.unwrap().run;
    let follower = manager.watch(&run).await.unwrap();
    drop((follower, manager));
    gate.open(1);
    let observer = stage.observer().await;
    assert!(crate::stage::verdict(&observer, &run).await.is_success());
}
