//! The end of a log.

use super::{Server, StoreHarness, at, line, output, run, seal};
use crate::{
    ErrorKind, LogQuery,
    testkit::{assert_refused, id},
};

/// Proves the rule for an archive that can't remove logs, and says whether it can.
async fn deletes(server: &Server) -> bool {
    if server.0.capabilities().delete {
        return true;
    }
    server.append(&output("kept", 1), &[line(1, "out")]).await;
    server.seal(&seal("kept", 1, 2)).await;
    assert_refused(server.0.delete(&id("kept")).await, ErrorKind::Unsupported, "to delete without `delete`");
    assert_refused(server.0.expire(at(9)).await, ErrorKind::Unsupported, "to expire without `delete`");
    assert_eq!(server.lines("kept").await, ["out"]);
    false
}

/// To delete what is not there is no error.
pub async fn deleting_nothing_is_no_error(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    if !deletes(&server).await {
        return;
    }
    server.append(&output("gone", 1), &[line(1, "out")]).await;
    for name in ["nothing", "gone", "gone"] {
        server.0.delete(&id(name)).await.expect("to delete nothing is no error");
    }
}

/// To delete removes a log under all its ids, its seals too, on every server, and leaves other logs; it may begin anew.
pub async fn deleting_removes_the_log_under_all_its_ids(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    if !deletes(&server).await {
        return;
    }
    server.begin(&run("gone", 1), &["other"]).await;
    for name in ["gone", "gone-2", "build"] {
        server.append(&output(name, 1), &[line(1, name)]).await;
        server.say(name, 2, "said").await;
        server.seal(&seal(name, 1, 3)).await;
        server.flush(name).await;
    }
    server.0.include(&id("gone"), &id("build")).await.expect("a log is included");
    server.flush("gone").await;
    let servers = [server, Server::new(harness).await];
    servers[0].0.delete(&id("other")).await.expect("a log is deleted");
    for server in &servers {
        for name in ["gone", "other"] {
            let log = server.0.read(&id(name), &LogQuery::default()).await;
            assert_refused(log.map(drop), ErrorKind::NotFound, "the log of what was deleted");
            assert_refused(
                server.0.seals(&id(name)).await,
                ErrorKind::NotFound,
                "the seals of what was deleted",
            );
        }
        assert_eq!(server.lines("gone-2").await, ["gone-2", "said"]);
        assert_eq!(server.lines("build").await, ["build", "said"], "what it included stays");
    }
    servers[0].append(&output("gone", 1), &[line(1, "anew")]).await;
    servers[0].flush("gone").await;
    assert_eq!(servers[1].lines("gone").await, ["anew"]);
}

/// Logs expire by the last seal of their runs; what is not sealed or has no run stays.
pub async fn sealed_logs_expire_by_their_last_seal(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    if !deletes(&server).await {
        return;
    }
    for name in ["old", "young", "again", "open"] {
        server.append(&output(name, 1), &[line(1, "out")]).await;
        server.seal(&seal(name, 1, if name == "young" { 10 } else { 5 })).await;
    }
    server.begin(&run("open", 2), &[]).await;
    server.append(&output("again", 2), &[line(6, "out")]).await;
    server.seal(&seal("again", 2, 12)).await;
    server.say("talk", 1, "said").await;
    for name in ["open", "talk"] {
        server.flush(name).await;
    }
    let server = Server::new(harness).await;
    assert_eq!(server.0.expire(at(5)).await.expect("logs expire"), 0, "none is before that time");
    assert_eq!(server.0.expire(at(10)).await.expect("logs expire"), 1, "only the old one is");
    let log = server.0.read(&id("old"), &LogQuery::default()).await;
    assert_refused(log.map(drop), ErrorKind::NotFound, "the log that expired");
    for name in ["young", "again", "open", "talk"] {
        assert!(!server.lines(name).await.is_empty(), "{name} stays");
    }
    assert_eq!(server.0.expire(at(100)).await.expect("logs expire"), 2, "those whose runs are all sealed");
    for name in ["open", "talk"] {
        assert!(!server.lines(name).await.is_empty(), "{name} stays");
    }
}
