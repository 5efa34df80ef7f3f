//! A log stream that breaks, wherever it breaks.

use wm_core::{LogQuery, WorkloadManager as _};

use crate::{
    stage::{Stage, finish, following, id, lines, request, run_id, script},
    wire::Fault,
};

/// Lines that are alike, empty, and close in time, so that nothing but their place tells them apart.
const TEXT: &str = "echo same; echo same; echo; echo; echo öäü; printf 'x%.0s' 1 2 3; echo; echo same";
const EXPECTED: [&str; 7] = ["same", "same", "", "", "öäü", "xxx", "same"];

#[tokio::test]
async fn no_cut_loses_or_doubles_a_line() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    finish(&manager, &request(script("cut", TEXT))).await;
    // A line has a timestamp of 31 bytes, a space and a newline around it: two and a half lines at every byte.
    for bytes in 0..90 {
        stage.wire.fail("get", "pods/log", 1, Fault::Cut(bytes));
        let query = if bytes % 2 == 0 { following() } else { LogQuery::default() };
        let read = lines(manager.logs(&id("cut"), &query).await.unwrap()).await;
        assert_eq!(read, EXPECTED, "cut behind {bytes} bytes");
    }
}

#[tokio::test]
async fn a_live_log_that_breaks_again_and_again_is_whole() {
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let text = format!("{TEXT}; {}; {TEXT}; printf end", gate.wait());
    manager.submit(&request(script("live", &text))).await.unwrap();
    for bytes in [10, 33, 50, 100, 210] {
        stage.wire.fail("get", "pods/log", 1, Fault::Cut(bytes));
    }
    let reading = lines(manager.logs(&id("live"), &following()).await.unwrap());
    let opening = async {
        stage.wire.called("get", "pods/log", 4).await;
        gate.open(1);
    };
    let (read, ()) = tokio::join!(reading, opening);
    assert_eq!(read, [&EXPECTED[..], &EXPECTED[..], &["end"]].concat());
    assert!(manager.status(&run_id("live", 1)).await.unwrap().verdict.unwrap().is_success());
}

#[tokio::test]
async fn a_log_that_is_refused_for_a_while_is_whole() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    finish(&manager, &request(script("busy", TEXT))).await;
    for code in [429, 503] {
        stage.wire.fail("get", "pods/log", 1, Fault::status(code, "", "try again"));
    }
    assert_eq!(lines(manager.logs(&id("busy"), &LogQuery::default()).await.unwrap()).await, EXPECTED);
}
