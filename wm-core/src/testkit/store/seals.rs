//! The end of a run's log.

use super::{Server, StoreHarness, at, lines, numbered, output, run, seal};
use crate::{
    ErrorKind, Outcome, Reason, Seal, Verdict,
    testkit::{assert_refused, id},
};

/// A seal keeps how the run ended and why, and all that was taken of the run before, for every server.
pub async fn a_seal_keeps_the_verdict(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&output("sealed", 1), &lines(1, 3)).await;
    assert_eq!(server.0.seals(&id("sealed")).await.expect("it is known"), []);
    server.seal(&seal("sealed", 1, 4)).await;
    for server in [server, Server::new(harness).await] {
        assert_eq!(server.0.seals(&id("sealed")).await.expect("it is known"), [seal("sealed", 1, 4)]);
        assert_eq!(server.lines("sealed").await, numbered(1, 3), "without a flush");
    }
}

/// The first seal stays, whoever seals again and however.
pub async fn sealing_again_changes_nothing(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.seal(&seal("twice", 1, 4)).await;
    let other = Verdict::new(Outcome::Succeeded, Reason::Completed, "it did what it was asked to", "");
    for again in [seal("twice", 1, 4), Seal::new(run("twice", 1), at(9), &other)] {
        for server in [server.clone(), Server::new(harness).await] {
            server.seal(&again).await;
            assert_eq!(server.0.seals(&id("twice")).await.expect("it is known"), [seal("twice", 1, 4)]);
        }
    }
}

/// A sealed run takes no more lines, on any server; those that are there are left out without an error.
pub async fn a_sealed_run_takes_no_more_lines(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&output("closed", 1), &lines(1, 3)).await;
    server.seal(&seal("closed", 1, 4)).await;
    for server in [server, Server::new(harness).await] {
        let answer = server.0.append(&output("closed", 1), &lines(2, 4)).await;
        assert_refused(answer, ErrorKind::Conflict, "new lines of a sealed run");
        server.append(&output("closed", 1), &lines(1, 3)).await;
        assert_eq!(server.lines("closed").await, numbered(1, 3));
    }
}

/// The seal of an attempt closes that attempt alone: the next one writes on; seals come back by attempt.
pub async fn a_sealed_workload_begins_another_attempt(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&output("next", 10), &lines(1, 2)).await;
    server.seal(&seal("next", 10, 3)).await;
    server.append(&output("next", 2), &lines(4, 5)).await;
    server.seal(&seal("next", 2, 6)).await;
    for server in [server, Server::new(harness).await] {
        assert_eq!(server.lines("next").await, [numbered(1, 2), numbered(4, 5)].concat());
        let seals = server.0.seals(&id("next")).await.expect("it is known");
        assert_eq!(seals, [seal("next", 2, 6), seal("next", 10, 3)]);
    }
}
