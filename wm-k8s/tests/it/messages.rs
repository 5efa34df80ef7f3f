//! The server's own lines in a workload's log.

use futures::StreamExt as _;
use wm_core::{LogSource, Phase, WorkloadManager as _};

use crate::stage::{Stage, finish, following, id, lines, log, reach, request, script, verdict};

#[tokio::test]
async fn messages_are_in_their_place_by_time() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    manager.log(&id("talk"), "before the first run").await.unwrap();
    let text = format!("echo one; {}; echo two", gate.wait());
    let run = manager.submit(&request(script("talk", &text))).await.unwrap().run;
    let mut output = manager.logs(&id("talk"), &following()).await.unwrap();
    let first = output.next().await.unwrap().unwrap();
    assert_eq!((first.text().as_ref(), &first.source), ("before the first run", &LogSource::Manager));
    assert_eq!(output.next().await.unwrap().unwrap().text(), "one");
    manager.log(&id("talk"), "in between").await.unwrap();
    gate.open(1);
    verdict(&manager, &run).await;
    manager.log(&id("talk"), "after the end").await.unwrap();
    let expected = ["before the first run", "one", "in between", "two", "after the end"];
    assert_eq!(log(&manager, "talk").await, expected);
    assert_eq!(log(&stage.observer().await, "talk").await, expected, "another server reads the same");
    let late = manager.logs(&id("talk"), &following()).await.unwrap();
    assert_eq!(lines(late).await, expected);
}

#[tokio::test]
async fn a_message_under_an_alias_before_the_first_run_is_kept_with_the_run() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    manager.log(&id("alias"), "queued").await.unwrap();
    assert_eq!(log(&manager, "alias").await, ["queued"], "known although there is no run");
    finish(&manager, &request(script("own", "echo out").alias(id("alias")))).await;
    let observer = stage.observer().await;
    for workload in ["own", "alias"] {
        assert_eq!(log(&observer, workload).await, ["queued", "out"]);
        assert_eq!(log(&manager, workload).await, ["queued", "out"]);
    }
}

#[tokio::test]
async fn a_follower_hears_of_a_message_before_the_program_starts() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    manager.log(&id("stuck"), "queued").await.unwrap();
    // The pod is there and can't start: its Secret is missing.
    let wanted = request(script("stuck", "true").secret("TOKEN", "x")).held();
    let run = manager.submit(&wanted).await.unwrap().run;
    stage.delete("/api/v1/namespaces/default/secrets/runner-stuck-1").await;
    manager.release(&run).await.unwrap();
    reach(&manager, &run, Phase::Starting).await;
    let mut output = manager.logs(&id("stuck"), &following()).await.unwrap();
    assert_eq!(output.next().await.unwrap().unwrap().text(), "queued");
}

#[tokio::test]
async fn messages_at_once_from_two_servers_are_all_kept() {
    let stage = Stage::new().await;
    let (here, there) = (stage.manager().await, stage.observer().await);
    let run = finish(&here, &request(script("both", "true"))).await;
    verdict(&there, &run).await;
    let ids = [id("both")];
    let (a, b) = tokio::join!(here.log(&ids[0], "from here"), there.log(&ids[0], "from there"));
    a.unwrap();
    b.unwrap();
    let mut kept = log(&here, "both").await;
    kept.sort();
    assert_eq!(kept, ["from here", "from there"]);
}
