//! Several servers write, some go, others come, and each line is there once.

use futures::{FutureExt as _, future::join_all};

use super::{Server, StoreHarness, at, line, lines, numbered, output};
use crate::{
    ErrorKind, LogPosition,
    testkit::{assert_refused, pause},
};

/// Lines at or before an output's end are left out, in part too.
pub async fn lines_that_are_there_are_left_out(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let output = output("again", 1);
    server.append(&output, &lines(1, 5)).await;
    server.append(&output, &lines(1, 5)).await;
    server.append(&output, &lines(3, 8)).await;
    server.append(&output, &[]).await;
    let same_time = |count| {
        let mut line = line(8, format!("also {count}"));
        line.position.count = count;
        line
    };
    server.append(&output, &[same_time(1), same_time(2)]).await;
    let expected = [numbered(1, 8), vec!["also 2".to_owned()]].concat();
    assert_eq!(server.lines("again").await, expected);
    server.flush("again").await;
    assert_eq!(Server::new(harness).await.lines("again").await, expected);
}

/// Lines whose positions don't increase are refused, and none of them is taken.
pub async fn positions_must_increase(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let output = output("order", 1);
    server.append(&output, &lines(1, 2)).await;
    for bad in [[line(4, "x"), line(3, "y")], [line(4, "x"), line(4, "y")]] {
        let answer = server.0.append(&output, &bad).await;
        assert_refused(answer, ErrorKind::InvalidRequest, "positions that don't increase");
    }
    assert_eq!(server.lines("order").await, numbered(1, 2));
}

/// An output tells where it ends: at the last line that this server has taken, or that others have kept.
pub async fn an_output_tells_where_it_ends(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let output = output("end", 1);
    assert_eq!(
        server.0.position(&output).await.expect("an output has an end"),
        None,
        "there is nothing of it"
    );
    let mut last = line(7, "last");
    last.position.count = 3;
    let mut all = lines(1, 7);
    all.push(last.clone());
    server.append(&output, &all).await;
    let expected = Some(LogPosition { time: at(7), count: 3 });
    assert_eq!(server.0.position(&output).await.expect("an output has an end"), expected);
    server.flush("end").await;
    let other = Server::new(harness).await;
    assert_eq!(other.0.position(&output).await.expect("an output has an end"), expected, "on another server");
}

/// A server that takes over goes on at the exact line, however much of what it reads again is there.
pub async fn another_server_takes_an_output_over(harness: &dyn StoreHarness) {
    let output = output("moved", 1);
    for to in [100, 250, 251, 400] {
        let server = Server::new(harness).await;
        let end = server.0.position(&output).await.expect("an output has an end");
        // As a source that is opened again, it begins a little before the end.
        let from =
            end.map_or(1, |end| u32::try_from(end.time.as_millisecond() - at(0).as_millisecond()).unwrap());
        server.append(&output, &lines(from.saturating_sub(20).max(1), to)).await;
        server.flush("moved").await;
    }
    assert_eq!(Server::new(harness).await.lines("moved").await, numbered(1, 400));
}

/// Writers of the same output at the same time leave each line once, in order; without `exactly_once` none is lost.
pub async fn writers_at_the_same_time_leave_each_line_once(harness: &dyn StoreHarness) {
    let servers = join_all((0..3).map(|_| Server::new(harness))).await;
    let output = output("race", 1);
    let all = lines(1, 600);
    let write = |(number, server): (usize, &Server)| {
        let (server, output, all) = (server.clone(), output.clone(), all.clone());
        async move {
            // Each cuts the lines in its own way.
            for chunk in all.chunks(7 + 6 * number) {
                server.append(&output, chunk).await;
                // Others take the same lines before this server has kept them.
                pause().await;
                server.flush("race").await;
            }
        }
    };
    join_all(servers.iter().enumerate().map(write)).await;
    let reader = Server::new(harness).await;
    let mut read = reader.lines("race").await;
    if !reader.0.capabilities().exactly_once {
        let mut seen = std::collections::HashSet::new();
        read.retain(|line| seen.insert(line.clone()));
        read.sort_by_key(|line| line.trim_start_matches("line ").parse::<u32>().ok());
    }
    assert_eq!(read, numbered(1, 600));
}

/// An append that is dropped before its answer can be made again: each line is there once.
pub async fn a_dropped_append_can_be_made_again(harness: &dyn StoreHarness) {
    let server = Server::new(harness).await;
    let output = output("dropped", 1);
    let all = lines(1, 50);
    for polls in 0..5 {
        let mut append = server.0.append(&output, &all);
        for _ in 0..polls {
            if (&mut append).now_or_never().is_some() {
                break;
            }
            pause().await;
        }
    }
    server.append(&output, &all).await;
    server.flush("dropped").await;
    for server in [server, Server::new(harness).await] {
        assert_eq!(server.lines("dropped").await, numbered(1, 50));
    }
}
