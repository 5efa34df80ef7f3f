//! Parts of a log, and logs that are still written.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::{Server, StoreHarness, at, follow, line, lines, numbered, output, pod, run, seal, texts};
use crate::{
    Attempt, Cursor, ErrorKind, LogOutput, LogQuery, LogStream,
    testkit::{assert_refused, id, pause},
};

/// The tail is the last lines that there are, over all outputs.
pub async fn the_tail_is_the_last_lines(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&output("tail", 1), &lines(1, 9)).await;
    server.append(&pod("tail", 1, "pod-2", 0), &[line(20, "other")]).await;
    server.append(&output("tail", 1), &lines(10, 12)).await;
    server.flush("tail").await;
    let tail = |lines| LogQuery { tail: Some(lines), ..LogQuery::default() };
    for server in [server.clone(), Server::new(harness).await] {
        assert_eq!(server.query("tail", tail(0)).await, [""; 0]);
        assert_eq!(server.query("tail", tail(2)).await, ["line 12", "other"]);
        assert_eq!(server.query("tail", tail(100)).await.len(), 13, "there are no more");
    }
    let mut followed = server.read("tail", &LogQuery { follow: true, ..tail(1) }).await;
    assert_eq!(followed.next().await.expect("a line").expect("a log is followed").text(), "other");
    server.append(&output("tail", 1), &lines(21, 22)).await;
    server.seal(&seal("tail", 1, 30)).await;
    let rest: Vec<_> = followed.try_collect().await.expect("a log is followed");
    assert_eq!(texts(&rest), numbered(21, 22), "and on from there");
}

/// `since` leaves out older lines, and none that is as old.
pub async fn since_leaves_out_older_lines(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&output("since", 1), &lines(1, 5)).await;
    server.say("since", 3, "said").await;
    server.flush("since").await;
    let since = |since| LogQuery { since: Some(since), ..LogQuery::default() };
    for server in [server, Server::new(harness).await] {
        let mut from = server.query("since", since(at(3))).await;
        from.sort();
        assert_eq!(from, ["line 3", "line 4", "line 5", "said"]);
        assert_eq!(server.query("since", since(at(3) + Duration::from_nanos(1))).await, ["line 4", "line 5"]);
    }
}

/// One attempt is read alone, without messages.
pub async fn one_attempt_is_read_alone(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    for number in 1..=2 {
        server.append(&output("both", number), &[line(number, format!("attempt {number}"))]).await;
    }
    server.say("both", 3, "said").await;
    let one = |number| LogQuery { attempt: Attempt::new(number), ..LogQuery::default() };
    assert_eq!(server.query("both", one(1)).await, ["attempt 1"]);
    assert_eq!(server.query("both", one(2)).await, ["attempt 2"]);
    assert_eq!(server.query("both", one(3)).await, [""; 0]);
    let followed = LogQuery { follow: true, ..one(1) };
    server.seal(&seal("both", 1, 4)).await;
    assert_eq!(server.query("both", followed).await, ["attempt 1"], "it ends with that attempt");
}

/// What one container wrote is read alone, without messages.
pub async fn one_container_is_read_alone(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let sidecar =
        LogOutput::new(run("contained", 1), "pod-1", "sidecar", 0).expect("the kit's names are legal");
    server.append(&output("contained", 1), &[line(1, "from main")]).await;
    server.append(&sidecar, &[line(2, "from sidecar")]).await;
    server.say("contained", 3, "said").await;
    let one = |name: &str| LogQuery { container: Some(name.to_owned()), ..LogQuery::default() };
    assert_eq!(server.query("contained", one("sidecar")).await, ["from sidecar"]);
    assert_eq!(server.query("contained", one("other")).await, [""; 0]);
}

/// Reading on from any line's place gives what is behind it in each output, on any server: also lines with an
/// earlier time that came later.
pub async fn a_cursor_goes_on_behind_its_line(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&output("resumed", 1), &lines(1, 10)).await;
    server.append(&pod("resumed", 1, "pod-2", 0), &[line(4, "other 4"), line(8, "other 8")]).await;
    server.say("resumed", 6, "said").await;
    server.flush("resumed").await;
    let after = |cursor: &Option<Cursor>| LogQuery { after: cursor.clone(), ..LogQuery::default() };
    let records = server.records("resumed", &LogQuery::default()).await;
    assert_eq!(records.len(), 13);
    assert!(records.iter().all(|record| record.cursor.is_some()), "each line tells its place");
    let all = texts(&records);
    let servers = [server, Server::new(harness).await];
    for server in &servers {
        for (index, record) in records.iter().enumerate() {
            assert_eq!(server.query("resumed", after(&record.cursor)).await, all[index + 1..], "{record:?}");
        }
        let tail = LogQuery { tail: Some(1), ..after(&records[3].cursor) };
        assert_eq!(server.query("resumed", tail).await, all[12..]);
    }
    let last = &records[12].cursor;
    servers[1].append(&pod("resumed", 1, "pod-2", 0), &[line(9, "late 9")]).await;
    servers[1].append(&pod("resumed", 1, "pod-3", 0), &[line(2, "late 2")]).await;
    servers[1].flush("resumed").await;
    for server in &servers {
        assert_eq!(server.query("resumed", after(last)).await, ["late 2", "late 9"], "what came later");
    }
}

/// A cursor that is none is refused.
pub async fn a_cursor_of_nothing_is_refused(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.append(&output("garbage", 1), &lines(1, 3)).await;
    for text in ["", "no place", "{}x"] {
        let query = LogQuery { after: Some(Cursor::new(text)), ..LogQuery::default() };
        let log = server.0.read(&id("garbage"), &query).await;
        assert_refused(log.map(drop), ErrorKind::InvalidRequest, "a place that is none");
    }
}

/// A followed log gives lines as they come, and ends when each run on record is sealed; without a run it ends at once.
pub async fn a_followed_log_ends_with_the_last_seal(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.say("live", 1, "queued").await;
    assert_eq!(
        server.query("live", follow()).await,
        ["queued"],
        "nothing is on record that could write more"
    );
    server.begin(&run("live", 1), &[]).await;
    let mut log = server.read("live", &follow()).await;
    assert_eq!(next(&mut log).await, "queued");
    server.append(&output("live", 1), &lines(2, 3)).await;
    assert_eq!([next(&mut log).await, next(&mut log).await], ["line 2", "line 3"]);
    server.begin(&run("live", 2), &[]).await;
    server.seal(&seal("live", 1, 4)).await;
    for _ in 0..3 {
        assert!(log.next().now_or_never().is_none(), "one run is not sealed");
        pause().await;
    }
    server.append(&output("live", 2), &lines(5, 5)).await;
    assert_eq!(next(&mut log).await, "line 5");
    server.seal(&seal("live", 2, 6)).await;
    assert!(log.next().await.is_none(), "all runs are sealed");
    assert_eq!(
        server.query("live", follow()).await,
        ["queued", "line 2", "line 3", "line 5"],
        "to who comes late"
    );
}

async fn next(log: &mut LogStream) -> String {
    let record = log.next().await.expect("a followed log goes on");
    record.expect("a log is followed").text().into_owned()
}

/// A follower on another server reads every line once, up to the seal.
pub async fn a_follower_on_another_server_reads_all(harness: &dyn StoreHarness) {
    let servers = [Server::new(harness).await, Server::new(harness).await];
    servers[0].begin(&run("far", 1), &[]).await;
    servers[0].append(&output("far", 1), &lines(1, 10)).await;
    servers[0].flush("far").await;
    let mut log = servers[1].read("far", &follow()).await;
    let first = log.next().await.expect("a line").expect("a log is followed");
    assert_eq!(first.text(), "line 1");
    servers[0].append(&output("far", 1), &lines(11, 200)).await;
    servers[0].flush("far").await;
    servers[0].append(&output("far", 1), &lines(201, 300)).await;
    servers[0].seal(&seal("far", 1, 400)).await;
    let rest: Vec<_> = log.try_collect().await.expect("a log is followed");
    assert_eq!(texts(&rest), numbered(2, 300));
}

/// There is no log of what nothing is known of; the log of a run that has written nothing is empty.
pub async fn an_unknown_workload_is_not_found(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    server.begin(&run("known", 1), &[]).await;
    server.flush("known").await;
    assert_eq!(Server::new(harness).await.lines("known").await, [""; 0]);
    for query in [LogQuery::default(), follow()] {
        let log = server.0.read(&id("unknown"), &query).await;
        assert_refused(log.map(drop), ErrorKind::NotFound, "the log of an unknown workload");
    }
    assert_refused(
        server.0.seals(&id("unknown")).await,
        ErrorKind::NotFound,
        "the seals of an unknown workload",
    );
}
