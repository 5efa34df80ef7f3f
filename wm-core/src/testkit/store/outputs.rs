//! What a container wrote comes back.

use super::{Server, StoreHarness, at, follow, line, lines, numbered, output, pod};
use crate::{LogPosition, LogQuery, LogSource};

const LINES: u32 = 10_000;

/// A log has every line, in order, once, however it was cut for its way in, on every server.
pub async fn lines_come_back_in_order(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let all = lines(1, LINES);
    let mut rest = &all[..];
    for size in (1..).map(|number: usize| number * 37 % 401) {
        let (now, later) = rest.split_at(size.min(rest.len()));
        server.append(&output("many", 1), now).await;
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    server.flush("many").await;
    for server in [server, Server::new(harness).await] {
        assert_eq!(server.lines("many").await, numbered(1, LINES));
    }
}

/// Bytes come back as they were: no text, empty lines, a line of a megabyte, a last line without an end.
pub async fn any_bytes_come_back(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let long = vec![b'x'; 1_000_000];
    let bytes: [&[u8]; 8] = [
        b"\xff\xfe\0",
        b"",
        b"in\rside\r",
        b"  spaces  ",
        b"\xe2\x82",
        b"2026-01-01T00:00:00Z a",
        &long,
        b"end",
    ];
    let mut all: Vec<_> = (1..).zip(bytes).map(|(number, bytes)| line(number, bytes)).collect();
    all[7].ended = false;
    server.append(&output("bytes", 1), &all).await;
    server.flush("bytes").await;
    for server in [server, Server::new(harness).await] {
        let records = server.records("bytes", &LogQuery::default()).await;
        let told: Vec<_> = records.iter().map(|record| (record.line.as_slice(), record.ended)).collect();
        let expected: Vec<_> = bytes.iter().zip(1..).map(|(bytes, number)| (*bytes, number < 8)).collect();
        assert!(told == expected, "they differ: {records:?}");
    }
}

/// A line tells its attempt, its instance, its container and its time.
pub async fn a_line_tells_who_wrote_it_and_when(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&pod("who", 2, "8e6aa9e7-00d5", 1), &[line(5, "out")]).await;
    server.flush("who").await;
    for server in [server, Server::new(harness).await] {
        let records = server.records("who", &LogQuery::default()).await;
        let source = LogSource::Output {
            attempt: super::run("who", 2).attempt,
            instance: "8e6aa9e7-00d5".to_owned(),
            container: "main".to_owned(),
            restart: 1,
        };
        assert_eq!((&records[0].source, records[0].time), (&source, Some(at(5))));
    }
}

/// Outputs and messages are merged by time; lines of one output keep their order, also when they share a time.
pub async fn outputs_are_merged_by_time(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let same = |count: u32, text: &str| {
        let mut line = line(3, text);
        line.position = LogPosition { count, ..line.position };
        line
    };
    server.append(&pod("merged", 1, "b", 0), &[line(2, "b 2"), line(4, "b 4")]).await;
    server.say("merged", 5, "said 5").await;
    server
        .append(&pod("merged", 1, "a", 0), &[line(1, "a 1"), same(1, "z"), same(2, "a"), line(6, "a 6")])
        .await;
    server.flush("merged").await;
    server.seal(&super::seal("merged", 1, 9)).await;
    for server in [server, Server::new(harness).await] {
        for query in [LogQuery::default(), follow()] {
            let expected = ["a 1", "b 2", "z", "a", "b 4", "said 5", "a 6"];
            assert_eq!(server.query("merged", query).await, expected);
        }
    }
}

/// Another pod, container, restart or attempt is an output of its own, whose lines begin anew.
pub async fn retries_and_restarts_are_outputs_of_their_own(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let outputs = [
        pod("tries", 1, "pod-1", 0),
        pod("tries", 1, "pod-1", 1),
        pod("tries", 1, "pod-2", 0),
        pod("tries", 2, "pod-1", 0),
        crate::LogOutput::new(super::run("tries", 2), "pod-1", "side", 0).expect("it has a name"),
    ];
    for (output, text) in outputs.iter().zip(["a", "b", "c", "d", "e"]) {
        assert_eq!(server.0.position(output).await.expect("an output has an end"), None);
        server.append(output, &[line(1, text)]).await;
    }
    server.flush("tries").await;
    let mut lines = Server::new(harness).await.lines("tries").await;
    lines.sort();
    assert_eq!(lines, ["a", "b", "c", "d", "e"]);
}

/// Workloads have nothing of each other, also where an id begins with another.
pub async fn workloads_do_not_mix(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let names = ["w", "w-1", "w-10"];
    for name in names {
        server.append(&output(name, 1), &[line(1, name)]).await;
        server.say(name, 2, name).await;
    }
    for name in names {
        server.flush(name).await;
    }
    for server in [server, Server::new(harness).await] {
        for name in names {
            assert_eq!(server.lines(name).await, [name, name]);
        }
    }
}

/// What the manager told about a run comes back as its messages, once, with the attempt and without a container.
pub async fn what_the_manager_told_is_a_message(harness: &dyn StoreHarness) {
    let servers = [Server::new(harness).await, Server::new(harness).await];
    let told = crate::LogOutput::manager(super::run("told", 1));
    for server in &servers {
        server.append(&told, &[line(1, "waits for a node"), line(3, "ended")]).await;
        server.append(&output("told", 1), &[line(2, "out")]).await;
        server.flush("told").await;
    }
    let end = Some(LogPosition { time: at(3), count: 1 });
    let one = LogQuery { attempt: Some(super::run("told", 1).attempt), ..LogQuery::default() };
    let main = LogQuery { container: Some("main".to_owned()), ..LogQuery::default() };
    for server in servers {
        assert_eq!(server.0.position(&told).await.expect("an output has an end"), end);
        let mut records = server.records("told", &one).await;
        // Without `exactly_once` a line may be there twice.
        records.dedup_by(|a, b| a.line == b.line);
        assert_eq!(super::texts(&records), ["waits for a node", "out", "ended"]);
        let told: Vec<_> = records.iter().map(|record| record.source == LogSource::Manager).collect();
        assert_eq!(told, [true, false, true]);
        let mut lines = server.query("told", main.clone()).await;
        lines.dedup();
        assert_eq!(lines, ["out"]);
    }
}
