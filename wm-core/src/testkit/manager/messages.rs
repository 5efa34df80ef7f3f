//! The server's own lines in a workload's log.

use futures::future::join_all;

use super::{ManagerHarness, Stage, patient, request};
use crate::{
    LogQuery, LogSource,
    testkit::{Program, id},
};

/// Messages are lines of the log, in their place by time, and known as the manager's, on every server.
pub async fn messages_are_lines_of_the_log(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let say = async |text: &str| stage.manager.log(&id("talk"), text).await.expect("a message is added");
    say("before").await;
    assert_eq!(stage.lines("talk").await, ["before"], "although there is no run yet");
    let run = stage.start("talk", &patient()).await;
    stage.until("talk", "begun").await;
    say("between").await;
    stage.open().await;
    stage.end(&run).await;
    say("after").await;
    for server in stage.servers().await {
        let records = server.records("talk", &LogQuery::default()).await;
        let told: Vec<_> = records
            .iter()
            .map(|record| (record.source == LogSource::Manager, record.text().into_owned()))
            .collect();
        let expected =
            [(true, "before"), (false, "begun"), (true, "between"), (false, "done"), (true, "after")];
        assert_eq!(told, expected.map(|(is_message, text)| (is_message, text.to_owned())));
    }
}

/// What comes with a request is in the log once, before what the program writes, however often it is submitted.
pub async fn a_run_brings_its_messages_once(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let asked = || request(stage.workload("brings", &patient())).message("image\nchosen").message("go");
    let run = stage.submit(&asked()).await.run;
    stage.until("brings", "begun").await;
    for server in stage.another().await.iter().chain([&stage]) {
        assert!(server.submit(&asked()).await.adopted, "it is there already");
    }
    stage.open().await;
    stage.end(&run).await;
    for server in stage.servers().await {
        assert_eq!(server.lines("brings").await, ["image", "chosen", "go", "begun", "done"]);
    }
}

/// Each line of a message is a record; a line break at its end begins none.
pub async fn a_message_of_several_lines_is_several_records(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    for text in ["one\ntwo\n\nfour", "five\n", "six\n\n"] {
        stage.manager.log(&id("lines"), text).await.expect("a message is added");
    }
    let expected = ["one", "two", "", "four", "five", "six", ""];
    assert_eq!(stage.lines("lines").await, expected, "before there is a run");
    let run = stage.run("lines", &Program::new()).await.run;
    stage.manager.log(&run.workload, "eight\nnine").await.expect("a message is added");
    assert_eq!(stage.lines("lines").await, [&expected[..], &["eight", "nine"]].concat());
}

/// A message that was written under an alias, before anything told whose it is, belongs to the workload.
pub async fn an_early_message_under_an_alias_is_kept(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    stage.manager.log(&id("the-alias"), "queued").await.expect("a message is added");
    assert_eq!(stage.lines("the-alias").await, ["queued"]);
    let workload = stage.workload("own", &Program::new().print("out\n")).alias(id("the-alias"));
    let run = stage.submit(&request(workload)).await.run;
    stage.end(&run).await;
    for server in stage.servers().await {
        for name in ["own", "the-alias"] {
            assert_eq!(server.lines(name).await, ["queued", "out"], "the log of {name}");
        }
    }
}

/// Of messages at the same time, from two servers, each is kept once.
pub async fn concurrent_messages_are_all_kept(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let run = stage.run("both", &Program::new()).await.run;
    let servers = stage.servers().await;
    for server in &servers {
        // What has been followed is known.
        server.end(&run).await;
    }
    let mut expected: Vec<_> = (0..6).map(|number| format!("message {number}")).collect();
    let says = expected.iter().enumerate().map(|(number, text)| {
        let manager = &servers[number % servers.len()].manager;
        manager.log(&run.workload, text)
    });
    for said in join_all(says).await {
        said.expect("a message is added");
    }
    expected.sort();
    for server in &servers {
        let mut kept = server.lines("both").await;
        kept.sort();
        assert_eq!(kept, expected);
    }
}
