//! A held run is on record and does not run.

use futures::StreamExt as _;
use wm_core::{ErrorKind, Phase, RunFilter, WorkloadManager as _};

use crate::stage::{Stage, finish, request, run_id, script, states, verdict};

#[tokio::test]
async fn a_held_run_has_no_pod_until_it_is_released() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("held", "true")).held()).await.unwrap().run;
    // Another run's whole life shows that the cluster had the time.
    finish(&manager, &request(script("clock", "true"))).await;
    let pods = stage.pods().await;
    assert_eq!(pods.len(), 1, "the clock's alone");
    let listed = manager.list(&RunFilter::of(&run.workload)).await.unwrap();
    assert_eq!(listed[0].phase, Phase::Held);
    assert_eq!(stage.manager().await.status(&run).await.unwrap().phase, Phase::Held);
    manager.release(&run).await.unwrap();
    assert!(verdict(&manager, &run).await.is_success());
}

#[tokio::test]
async fn a_follower_sees_a_held_run_start() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("seen", "true")).held()).await.unwrap().run;
    let mut follower = manager.watch(&run).await.unwrap();
    assert_eq!(follower.next().await.unwrap().unwrap().phase, Phase::Held);
    manager.release(&run).await.unwrap();
    assert_eq!(states(follower).await.pop().unwrap().phase, Phase::Succeeded);
}

#[tokio::test]
async fn releasing_twice_or_after_the_end_does_nothing() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("two", "true")).held()).await.unwrap().run;
    manager.release(&run).await.unwrap();
    manager.release(&run).await.unwrap();
    verdict(&manager, &run).await;
    manager.release(&run).await.unwrap();
    assert_eq!(stage.pods().await.len(), 1);
}

#[tokio::test]
async fn releasing_what_is_not_there_is_not_found() {
    let stage = Stage::new().await;
    let error = stage.manager().await.release(&run_id("nothing", 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn a_held_run_is_cancelled_without_ever_running() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("never", "true")).held()).await.unwrap().run;
    let follower = manager.watch(&run).await.unwrap();
    manager.cancel(&run).await.unwrap();
    assert_eq!(states(follower).await.pop().unwrap().phase, Phase::Cancelled);
    assert!(stage.pods().await.is_empty());
}

#[tokio::test]
async fn a_held_run_stays_held_when_it_is_submitted_again() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let run = manager.submit(&request(script("still", "true")).held()).await.unwrap().run;
    assert!(manager.submit(&request(script("still", "true")).held()).await.unwrap().adopted);
    assert!(stage.manager().await.submit(&request(script("still", "true"))).await.unwrap().adopted);
    assert_eq!(manager.status(&run).await.unwrap().phase, Phase::Held);
}
