//! The ids under which a log is asked for, and the logs that it has in it.

use super::{Server, StoreHarness, follow, line, output, run, seal};
use crate::testkit::id;

/// Whatever takes an id takes an alias, on every server.
pub async fn an_alias_is_as_good_as_the_id(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.begin(&run("own", 1), &["other"]).await;
    // Again, it adds what is new.
    server.begin(&run("own", 1), &["third"]).await;
    server.append(&output("own", 1), &[line(1, "out")]).await;
    server.say("other", 2, "said").await;
    server.flush("third").await;
    server.seal(&seal("own", 1, 3)).await;
    for server in [server, Server::new(harness).await] {
        for name in ["own", "other", "third"] {
            assert_eq!(server.lines(name).await, ["out", "said"], "{name}");
            assert_eq!(server.query(name, follow()).await, ["out", "said"], "{name}");
            assert_eq!(server.0.seals(&id(name)).await.expect("it is known"), [seal("own", 1, 3)], "{name}");
        }
    }
}

/// What was written under an id before it became an alias belongs to the workload from then on.
pub async fn an_early_message_under_an_alias_is_kept(harness: &dyn StoreHarness) {
    let servers = [Server::new(harness).await, Server::new(harness).await];
    servers[0].say("other", 1, "queued").await;
    servers[0].flush("other").await;
    servers[1].begin(&run("own", 1), &["other"]).await;
    servers[1].append(&output("own", 1), &[line(2, "out")]).await;
    servers[1].flush("own").await;
    for server in [servers[0].clone(), servers[1].clone(), Server::new(harness).await] {
        for name in ["own", "other"] {
            assert_eq!(server.lines(name).await, ["queued", "out"], "{name}");
        }
    }
}

/// An alias of several workloads stands for all of them, and none of them for another.
pub async fn an_alias_of_several_workloads_gives_the_lines_of_all(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    for (number, name) in [(1, "one"), (2, "two")] {
        server.begin(&run(name, 1), &["shared"]).await;
        server.append(&output(name, 1), &[line(number, name)]).await;
        server.seal(&seal(name, 1, 9)).await;
    }
    for server in [server, Server::new(harness).await] {
        assert_eq!(server.lines("shared").await, ["one", "two"]);
        assert_eq!(server.lines("one").await, ["one"]);
        assert_eq!(server.lines("two").await, ["two"]);
        let seals = server.0.seals(&id("shared")).await.expect("it is known");
        assert_eq!(seals.len(), 2);
    }
}

/// An included log is read with the workload, by time, and stays one of its own.
pub async fn an_included_log_is_read_with_the_workload(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&output("build", 1), &[line(1, "step 1"), line(3, "step 2")]).await;
    server.seal(&seal("build", 1, 4)).await;
    for name in ["one", "two"] {
        server.say(name, 2, "waiting").await;
        for _ in 0..2 {
            server.0.include(&id(name), &id("build")).await.expect("a log is included");
        }
        server.append(&output(name, 1), &[line(5, name)]).await;
        server.seal(&seal(name, 1, 6)).await;
    }
    for server in [server, Server::new(harness).await] {
        for name in ["one", "two"] {
            for query in [crate::LogQuery::default(), follow()] {
                assert_eq!(server.query(name, query).await, ["step 1", "waiting", "step 2", name]);
            }
            assert_eq!(server.0.seals(&id(name)).await.expect("it is known"), [seal(name, 1, 6)]);
        }
        assert_eq!(server.lines("build").await, ["step 1", "step 2"]);
    }
}
