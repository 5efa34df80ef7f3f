//! The lines of a workload's log: whole, in order, once.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};

use super::{ManagerHarness, Stage, follow, numbered, patient, texts};
use crate::{
    Attempt, Cursor, ErrorKind, LogQuery, LogSource, Phase,
    testkit::{Program, assert_refused, id},
};

const LINES: u32 = 10_000;

/// Proves the rule for a backend that can't follow logs, and says whether it can.
async fn follows(stage: &Stage<'_>) -> bool {
    if stage.can().follow_logs {
        return true;
    }
    stage.run("not-followed", &Program::new().print("out\n")).await;
    let log = stage.manager.logs(&id("not-followed"), &follow()).await;
    assert_refused(log.map(drop), ErrorKind::Unsupported, "to follow a log without `follow_logs`");
    false
}

/// A log has every line, in order, once; whoever has seen the end of a run can read all of it.
pub async fn a_log_has_every_line_in_order(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let run = stage.run("many", &Program::new().count(LINES)).await.run;
    let expected = numbered(LINES);
    for server in stage.servers().await {
        let lines = server.lines("many").await;
        let differs = lines.iter().zip(&expected).position(|(line, expected)| line != expected);
        assert_eq!(differs, None, "the first line that is another");
        assert_eq!(lines.len(), expected.len(), "so many lines");
    }
    let _ = run;
}

/// A followed log has every line as well, from before the start to the end, and then ends.
pub async fn a_followed_log_ends_with_the_run(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !follows(&stage).await {
        return;
    }
    let run = stage.start("live", &Program::new().print("begun\n").wait(super::GO).count(LINES)).await;
    for server in stage.servers().await {
        let mut log = server.logs(&id("live"), &follow()).await;
        let first = log.try_next().await.expect("a log is followed").expect("it has not ended");
        assert_eq!(first.text(), "begun", "a line comes while the program runs");
        let status = server.status(&run).await;
        if status.phase.is_terminal() {
            let rest: Vec<_> = log.try_collect().await.expect("a log is followed");
            assert_eq!(texts(&rest), numbered(LINES), "to follow an ended run reads all of it");
            continue;
        }
        harness.open(super::GO).await;
        let rest: Vec<_> = log.try_collect().await.expect("a log is followed");
        assert_eq!(texts(&rest), numbered(LINES));
        server.end(&run).await;
    }
}

/// Bytes come back as they were written: no text, empty lines, blanks, a last line without an end.
pub async fn any_bytes_come_back(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let bytes =
        b"\xff\xfe\x00binary\nin\rside\n\n  spaces  \n\xe2\x82\n2026-01-01T00:00:00Z not a time\nno end";
    stage.run("bytes", &Program::new().print(bytes)).await;
    let mut queries = vec![LogQuery::default(), LogQuery { tail: Some(100), ..LogQuery::default() }];
    if stage.can().follow_logs {
        queries.push(follow());
    }
    for query in queries {
        let records = stage.records("bytes", &query).await;
        let lines: Vec<_> = records.iter().map(|record| record.line.as_slice()).collect();
        assert_eq!(lines, bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>());
        let ended: Vec<_> = records.iter().map(|record| record.ended).collect();
        assert_eq!(ended, [true, true, true, true, true, true, false], "the last line has no end");
    }
}

/// A line has any length: up to [`LOG_PIECE`](crate::LOG_PIECE) it is one record.
pub async fn a_long_line_is_one_line(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    stage.run("long", &Program::new().fill(200_000).print("\nafter\n")).await;
    let lengths: Vec<_> = stage.lines("long").await.iter().map(String::len).collect();
    assert_eq!(lengths, [200_000, 5]);
}

/// The tail is the last lines that there are; to follow goes on behind them.
pub async fn the_tail_is_the_last_lines(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let program = Program::new().count(9).print("begun\n").wait(super::GO).print("done\n");
    let run = stage.start("tail", &program).await;
    stage.until("tail", "begun").await;
    let tail = |lines| LogQuery { tail: Some(lines), ..LogQuery::default() };
    assert_eq!(stage.query("tail", tail(2)).await, ["line 9", "begun"]);
    let followed = stage.followed("tail", LogQuery { follow: true, ..tail(2) }).await;
    stage.open().await;
    if let Some(log) = followed {
        let records: Vec<_> = log.try_collect().await.expect("a log is followed");
        let lines = texts(&records);
        // The gate may have opened before the log was read.
        assert!(
            lines == ["line 9", "begun", "done"] || lines == ["begun", "done"],
            "the last lines, and on from there: {lines:?}"
        );
    }
    stage.end(&run).await;
    assert_eq!(stage.query("tail", tail(2)).await, ["begun", "done"]);
    assert_eq!(stage.query("tail", tail(0)).await, [""; 0]);
    assert_eq!(stage.query("tail", tail(100)).await.len(), 11, "there are no more");
}

/// `since` leaves out older lines, and none that is as old.
pub async fn since_leaves_out_older_lines(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    stage.manager.log(&id("since"), "queued").await.expect("a message is added");
    let early = stage.records("since", &LogQuery::default()).await;
    let since = |since| LogQuery { since: Some(since), ..LogQuery::default() };
    if let Some(time) = early[0].time {
        assert_eq!(stage.query("since", since(time)).await, ["queued"]);
        assert_eq!(stage.query("since", since(time + Duration::from_nanos(1))).await, [""; 0]);
    }
    let run = stage.start("since", &patient()).await;
    stage.until("since", "begun").await;
    let records = stage.records("since", &LogQuery::default()).await;
    stage.open().await;
    stage.end(&run).await;
    // A backend may not know when a line was written.
    let Some(time) = records.last().and_then(|record| record.time) else { return };
    assert_eq!(stage.query("since", since(time)).await, ["begun", "done"]);
    assert_eq!(stage.query("since", since(time + Duration::from_nanos(1))).await, ["done"]);
    assert_eq!(stage.query("since", since(time + Duration::from_hours(1))).await, [""; 0]);
}

/// Reading on from any line's place gives what is behind it, on any server; what is no place is refused.
pub async fn a_cursor_goes_on_behind_its_line(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let after = |cursor: Cursor| LogQuery { after: Some(cursor), ..LogQuery::default() };
    let run =
        stage.start("resumed", &Program::new().count(20).print("begun\n").wait(super::GO).count(3)).await;
    stage.until("resumed", "begun").await;
    let records = stage.records("resumed", &LogQuery::default()).await;
    stage.open().await;
    stage.end(&run).await;
    if !stage.can().resume_logs {
        let log = stage.manager.logs(&id("resumed"), &after(Cursor::new("0"))).await;
        assert_refused(log.map(drop), ErrorKind::Unsupported, "to read on without `resume_logs`");
        assert!(records.iter().all(|record| record.cursor.is_none()), "no line tells a place then");
        return;
    }
    stage.manager.log(&id("resumed"), "said").await.expect("a message is added");
    let garbage = stage.manager.logs(&id("resumed"), &after(Cursor::new("no place"))).await;
    assert_refused(garbage.map(drop), ErrorKind::InvalidRequest, "a place that is none");
    let all = stage.lines("resumed").await;
    assert_eq!(all.len(), 25);
    for server in stage.servers().await {
        for (index, record) in records.iter().enumerate() {
            let cursor = record.cursor.clone().expect("each line tells its place");
            assert_eq!(server.query("resumed", after(cursor.clone())).await, all[index + 1..]);
            let last = LogQuery { tail: Some(2), ..after(cursor) };
            assert_eq!(
                server.query("resumed", last).await,
                all[all.len() - 2..],
                "the last of those behind it"
            );
        }
    }
}

/// All attempts are one log, oldest first, of which one attempt can be read alone.
pub async fn all_attempts_are_one_log(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    for text in ["first\n", "second\n"] {
        stage.run("both", &Program::new().print(text)).await;
    }
    for server in stage.servers().await {
        let records = server.records("both", &LogQuery::default()).await;
        let told: Vec<_> = records
            .iter()
            .map(|record| match &record.source {
                LogSource::Output { attempt, instance, container, .. } => {
                    assert!(!instance.is_empty() && !container.is_empty(), "who wrote it: {record:?}");
                    (attempt.get(), record.text().into_owned())
                }
                LogSource::Manager => panic!("the program wrote it: {record:?}"),
            })
            .collect();
        assert_eq!(told, [(1, "first".to_owned()), (2, "second".to_owned())]);
        let one = |number| LogQuery { attempt: Attempt::new(number), ..LogQuery::default() };
        assert_eq!(server.query("both", one(1)).await, ["first"]);
        assert_eq!(server.query("both", one(2)).await, ["second"]);
        assert_eq!(server.query("both", one(3)).await, [""; 0]);
    }
}

/// What one container wrote is read alone, without the manager's messages.
pub async fn one_container_is_read_alone(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    stage.run("contained", &Program::new().print("out\n")).await;
    stage.manager.log(&id("contained"), "said").await.expect("a message is added");
    for server in stage.servers().await {
        let records = server.records("contained", &LogQuery::default()).await;
        assert_eq!(texts(&records), ["out", "said"]);
        let LogSource::Output { container, .. } = &records[0].source else {
            panic!("the program wrote it: {:?}", records[0]);
        };
        let only = |name: &str| LogQuery { container: Some(name.to_owned()), ..LogQuery::default() };
        assert_eq!(server.query("contained", only(container)).await, ["out"]);
        assert_eq!(server.query("contained", only("no-such-container")).await, [""; 0]);
    }
}

/// Any number of readers read a log at the same time, and one that goes away takes nothing from the others.
pub async fn readers_do_not_disturb_each_other(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if !follows(&stage).await {
        return;
    }
    let run = stage.start("read", &patient()).await;
    stage.until("read", "begun").await;
    let mut logs = Vec::new();
    for _ in 0..10 {
        logs.push(stage.logs(&id("read"), &follow()).await);
    }
    let mut dropped = logs.swap_remove(0);
    assert!(dropped.next().await.is_some());
    drop(dropped);
    stage.open().await;
    for log in logs {
        let records: Vec<_> = log.try_collect().await.expect("a log is followed");
        assert_eq!(texts(&records), ["begun", "done"]);
    }
    assert_eq!(stage.end(&run).await.phase, Phase::Succeeded);
}

/// There is no log of what nothing is known of.
pub async fn an_unknown_log_is_not_found(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    stage.run("known", &Program::new()).await;
    assert_eq!(stage.lines("known").await, [""; 0], "a log may be empty");
    for query in [LogQuery::default(), LogQuery { tail: Some(1), ..LogQuery::default() }] {
        let log = stage.manager.logs(&id("unknown"), &query).await;
        assert_refused(log.map(drop), ErrorKind::NotFound, "the log of an unknown workload");
    }
}
