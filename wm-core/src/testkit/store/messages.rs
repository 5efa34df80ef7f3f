//! The server's own lines.

use super::{Server, StoreHarness, at, line, lines, numbered, output};
use crate::{LogQuery, LogSource};

/// Messages are lines of the log, whether or not there is a run, known as the manager's; each line is a record.
pub async fn messages_are_lines_of_the_log(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.say("talk", 1, "queued").await;
    assert_eq!(server.lines("talk").await, ["queued"], "although there is no run yet");
    server.append(&output("talk", 1), &[line(2, "out")]).await;
    server.say("talk", 3, "one\n\nthree\n").await;
    server.say("talk", 3, "one").await;
    server.seal(&super::seal("talk", 1, 4)).await;
    server.say("talk", 5, "after the seal").await;
    server.flush("talk").await;
    for server in [server, Server::new(harness).await] {
        let records = server.records("talk", &LogQuery::default()).await;
        let expected = ["queued", "out", "one", "", "three", "one", "after the seal"];
        assert_eq!(super::texts(&records), expected);
        let told: Vec<_> = records.iter().map(|record| record.source == LogSource::Manager).collect();
        assert_eq!(told, [true, false, true, true, true, true, true]);
        assert_eq!(records[0].time, Some(at(1)));
    }
}

/// Servers that speak at the same time don't write over each other's messages.
pub async fn messages_of_all_servers_are_kept(harness: &dyn StoreHarness) {
    let servers = [Server::new(harness).await, Server::new(harness).await];
    for round in 0..5 {
        for (number, server) in (0..).zip(&servers) {
            server.say("both", round * 2 + number + 1, &format!("line {}", round * 2 + number + 1)).await;
            server.flush("both").await;
        }
    }
    for server in [servers[0].clone(), servers[1].clone(), Server::new(harness).await] {
        assert_eq!(server.lines("both").await, numbered(1, 10));
    }
}

/// What a server has taken it reads back at once; another server reads it after a flush.
pub async fn flushed_lines_are_read_on_another_server(harness: &dyn StoreHarness) {
    let servers = [Server::new(harness).await, Server::new(harness).await];
    servers[0].flush("seen").await;
    for round in 0..3 {
        servers[0].append(&output("seen", 1), &lines(round * 10 + 1, round * 10 + 10)).await;
        assert_eq!(servers[0].lines("seen").await, numbered(1, round * 10 + 10), "the one that took them");
        servers[0].flush("seen").await;
        assert_eq!(servers[1].lines("seen").await, numbered(1, round * 10 + 10), "another");
    }
}
