//! A workload's log: its lines, whole, in order, once.

use futures::{StreamExt as _, TryStreamExt as _};
use wm_core::{Attempt, ErrorKind, LOG_PIECE, LogQuery, LogRecord, LogSource, WorkloadManager as _};
use wm_k8s::KubernetesWorkloadManager;

use crate::stage::{Stage, finish, following, id, lines, log, request, script};

async fn records(manager: &KubernetesWorkloadManager, workload: &str, query: &LogQuery) -> Vec<LogRecord> {
    manager.logs(&id(workload), query).await.unwrap().try_collect().await.unwrap()
}

#[tokio::test]
async fn a_log_is_followed_from_before_the_start_to_the_end() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let text = format!("echo one; {}; echo two; {}; echo three", gate.wait(), gate.wait());
    manager.submit(&request(script("live", &text)).held()).await.unwrap();
    let mut output = manager.logs(&id("live"), &following()).await.unwrap();
    manager.release(&crate::stage::run_id("live", 1)).await.unwrap();
    for line in ["one", "two", "three"] {
        // Each comes while the program waits for the next.
        assert_eq!(output.next().await.unwrap().unwrap().text(), line);
        gate.open(1);
    }
    assert!(output.next().await.is_none());
    assert_eq!(log(&manager, "live").await, ["one", "two", "three"]);
}

#[tokio::test]
async fn bytes_come_as_they_were_written() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    // The node ends a line at a newline, of which it takes a carriage return in front away.
    let text = r"printf '\377\376\000binary\nin\rside\n\ncrlf\r\n  spaces  \nno end'";
    finish(&manager, &request(script("bytes", text))).await;
    for query in [LogQuery::default(), following()] {
        let records = records(&manager, "bytes", &query).await;
        let lines: Vec<_> = records.iter().map(|record| record.line.as_slice()).collect();
        let expected: [&[u8]; 6] = [b"\xff\xfe\0binary", b"in\rside", b"", b"crlf", b"  spaces  ", b"no end"];
        assert_eq!(lines, expected);
        let ended: Vec<_> = records.iter().map(|record| record.ended).collect();
        assert_eq!(ended, [true, true, true, true, true, false]);
    }
}

#[tokio::test]
async fn a_line_of_a_megabyte_comes_in_pieces_and_counts_as_one() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let text = "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo after";
    finish(&manager, &request(script("long", text))).await;
    for query in [LogQuery::default(), following(), LogQuery { tail: Some(2), ..LogQuery::default() }] {
        let records = records(&manager, "long", &query).await;
        let told: Vec<_> = records.iter().map(|record| (record.line.len(), record.ended)).collect();
        let rest = 1_000_000 - 3 * LOG_PIECE;
        let piece = (LOG_PIECE, false);
        assert_eq!(told, [piece, piece, piece, (rest, true), (5, true)], "{query:?}");
        assert!(records[..4].iter().all(|record| record.line.iter().all(|byte| *byte == b'x')));
        assert!(records[..4].iter().all(|record| record.time == records[0].time));
    }
}

#[tokio::test]
async fn the_tail_is_the_last_lines_and_goes_on_when_it_is_followed() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let text = format!("seq 1 9; {}; seq 10 12", gate.wait());
    manager.submit(&request(script("tail", &text))).await.unwrap();
    let all: Vec<_> = manager.logs(&id("tail"), &following()).await.unwrap().take(9).collect().await;
    assert_eq!(all.len(), 9);
    let last = LogQuery { tail: Some(2), ..LogQuery::default() };
    assert_eq!(lines(manager.logs(&id("tail"), &last).await.unwrap()).await, ["8", "9"]);
    let mut output = manager.logs(&id("tail"), &LogQuery { follow: true, ..last.clone() }).await.unwrap();
    assert_eq!(output.next().await.unwrap().unwrap().text(), "8");
    gate.open(1);
    assert_eq!(lines(output).await, ["9", "10", "11", "12"]);
    assert_eq!(lines(manager.logs(&id("tail"), &last).await.unwrap()).await, ["11", "12"]);
    let none = LogQuery { tail: Some(0), ..LogQuery::default() };
    assert_eq!(lines(manager.logs(&id("tail"), &none).await.unwrap()).await, [""; 0]);
}

#[tokio::test]
async fn a_tail_that_is_followed_does_not_break_a_line_that_is_being_written() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    // The node hands a long line on in pieces of 16 KiB, before its end is there.
    let half = "head -c 20000 /dev/zero | tr '\\0' x";
    let text = format!("echo first; {half}; {}; {half}; echo", gate.wait());
    manager.submit(&request(script("piece", &text))).await.unwrap();
    let mut probe = manager.logs(&id("piece"), &following()).await.unwrap();
    assert_eq!(probe.next().await.unwrap().unwrap().text(), "first");
    // Until the first piece is there.
    while records(&manager, "piece", &LogQuery::default()).await.len() < 2 {
        tokio::task::yield_now().await;
    }
    let query = LogQuery { tail: Some(5), ..following() };
    let mut output = manager.logs(&id("piece"), &query).await.unwrap();
    assert_eq!(output.next().await.unwrap().unwrap().text(), "first");
    gate.open(1);
    let lengths: Vec<_> = lines(output).await.iter().map(String::len).collect();
    assert_eq!(lengths, [40_000]);
    let lengths: Vec<_> = lines(probe).await.iter().map(String::len).collect();
    assert_eq!(lengths, [40_000]);
}

#[tokio::test]
async fn since_leaves_out_what_is_older() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let text = format!("echo old; {}; echo new", gate.wait());
    let run = manager.submit(&request(script("since", &text))).await.unwrap().run;
    let mut output = manager.logs(&id("since"), &following()).await.unwrap();
    let old = output.next().await.unwrap().unwrap();
    gate.open(1);
    crate::stage::verdict(&manager, &run).await;
    let after = old.time.unwrap() + std::time::Duration::from_nanos(1);
    let query = LogQuery { since: Some(after), ..LogQuery::default() };
    assert_eq!(lines(manager.logs(&id("since"), &query).await.unwrap()).await, ["new"]);
    let query = LogQuery { since: old.time, ..LogQuery::default() };
    assert_eq!(lines(manager.logs(&id("since"), &query).await.unwrap()).await, ["old", "new"]);
}

#[tokio::test]
async fn all_attempts_are_one_log_under_every_id() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let wanted =
        || request(script("main-id", "echo \"from $HOSTNAME\" >/dev/null; echo out").alias(id("alias")));
    finish(&manager, &wanted()).await;
    finish(&manager, &wanted()).await;
    for workload in ["main-id", "alias"] {
        let attempts: Vec<_> = records(&manager, workload, &following())
            .await
            .into_iter()
            .map(|record| match record.source {
                LogSource::Output { attempt, .. } => (attempt.get(), record.text().into_owned()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(attempts, [(1, "out".to_owned()), (2, "out".to_owned())]);
    }
    let second = LogQuery { attempt: Attempt::new(2), ..LogQuery::default() };
    assert_eq!(records(&manager, "alias", &second).await.len(), 1);
}

#[tokio::test]
async fn a_log_of_nothing_is_not_found() {
    let stage = Stage::new().await;
    let error = stage.manager().await.logs(&id("nothing"), &LogQuery::default()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
