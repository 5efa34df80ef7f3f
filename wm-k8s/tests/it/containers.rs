//! The log of a pod with several containers, and of one that is started again.

use std::sync::Arc;

use async_stream::try_stream;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use wm_core::{LogQuery, LogRecord, LogSource, WorkloadManager as _};
use wm_k8s::{KubernetesSettings, KubernetesWorkloadManager};

use crate::{
    puppet::{self, Life, LogBytes, LogRequest, Puppet},
    stage::{NoImages, Stage, finish, following, id, request, script},
};

fn told(records: &[LogRecord]) -> Vec<String> {
    let tell = |record: &LogRecord| match &record.source {
        LogSource::Output { container, restart, .. } => format!("{container} {restart}: {}", record.text()),
        _ => format!("manager: {}", record.text()),
    };
    records.iter().map(tell).collect()
}

async fn read(manager: &KubernetesWorkloadManager, workload: &str, query: &LogQuery) -> Vec<String> {
    let records: Vec<_> = manager.logs(&id(workload), query).await.unwrap().try_collect().await.unwrap();
    told(&records)
}

#[tokio::test]
async fn all_containers_are_in_the_log_and_one_is_read_alone() {
    let stage = Stage::new().await;
    let mut settings = KubernetesSettings::new("default", "default");
    let container = |name: &str, text: &str| json!({ "name": name, "image": "registry.example.com/other:1", "command": ["sh", "-c", text] });
    let gate = stage.gate("sidecar");
    settings.pod_template_patch = Some(json!({ "spec": {
        "initContainers": [container("prepare", "echo prepared")],
        "containers": [container("sidecar", &format!("echo beside; {}", gate.wait()))],
    }}));
    let manager = stage.manager_with(settings).await.unwrap();
    let mut gate = gate;
    manager.submit(&request(script("several", "echo from main"))).await.unwrap();
    let mut output = manager.logs(&id("several"), &following()).await.unwrap();
    let mut live = Vec::new();
    while live.len() < 3 {
        live.push(output.next().await.unwrap().unwrap());
    }
    gate.open(1);
    let rest: Vec<_> = output.try_collect().await.unwrap();
    assert!(rest.is_empty(), "{rest:?}");
    let mut live = told(&live);
    assert_eq!(live[0], "prepare 0: prepared");
    live.sort();
    let expected = ["main 0: from main", "prepare 0: prepared", "sidecar 0: beside"];
    assert_eq!(live, expected);
    let mut later = read(&manager, "several", &LogQuery::default()).await;
    later.sort();
    assert_eq!(later, expected);
    for query in [LogQuery::default(), following()] {
        let only = LogQuery { container: Some("sidecar".to_owned()), ..query };
        assert_eq!(read(&manager, "several", &only).await, ["sidecar 0: beside"]);
    }
}

/// A node that keeps two starts of a container, each of which wrote its number twice.
struct Restarted {
    restarts: u32,
    /// What it says in the place of a log at first.
    excuses: std::sync::Mutex<usize>,
}

impl puppet::LogSource for Restarted {
    fn open(&self, request: &LogRequest) -> LogBytes {
        let excuses = &mut *self.excuses.lock().unwrap();
        if *excuses > 0 {
            *excuses -= 1;
            let excuse = "unable to retrieve container logs for containerd://abc";
            return try_stream! { yield Bytes::from(excuse); }.boxed();
        }
        let start = self.restarts - u32::from(request.previous);
        let since = request.since;
        try_stream! {
            for second in [10 * start, 10 * start + 1] {
                let time = jiff::Timestamp::from_second(i64::from(second)).unwrap();
                if since.is_none_or(|since| time >= since) {
                    yield Bytes::from(format!("{time:.9} {start}\n"));
                }
            }
        }
        .boxed()
    }
}

async fn restarted(restarts: u32, excuses: usize) -> (Puppet, KubernetesWorkloadManager) {
    let puppet = Puppet::new();
    let settings = KubernetesSettings::new("default", "default");
    let manager =
        KubernetesWorkloadManager::new(puppet.client(), settings, Arc::new(NoImages)).await.unwrap();
    manager.submit(&request(script("again", ""))).await.unwrap();
    puppet.set_log(Arc::new(Restarted { restarts, excuses: excuses.into() }));
    puppet.set_restarts(restarts);
    puppet.set("runner-again-1", Life::Ended, true);
    (puppet, manager)
}

#[tokio::test(start_paused = true)]
async fn what_a_container_wrote_before_it_was_started_again_is_read() {
    let (_puppet, manager) = restarted(1, 0).await;
    let all = ["main 0: 0", "main 0: 0", "main 1: 1", "main 1: 1"];
    for query in [LogQuery::default(), following()] {
        assert_eq!(read(&manager, "again", &query).await, all);
    }
    let records: Vec<_> =
        manager.logs(&id("again"), &LogQuery::default()).await.unwrap().try_collect().await.unwrap();
    for (index, record) in records.into_iter().enumerate() {
        let after = LogQuery { after: record.cursor, ..LogQuery::default() };
        assert_eq!(read(&manager, "again", &after).await, all[index + 1..]);
    }
}

#[tokio::test(start_paused = true)]
async fn starts_that_the_node_does_not_keep_are_told_as_missing() {
    let (_puppet, manager) = restarted(3, 0).await;
    let all = read(&manager, "again", &LogQuery::default()).await;
    assert!(all[0].starts_with("manager: ") && all[0].contains("gone from the node"), "{all:?}");
    assert_eq!(all[1..], ["main 2: 2", "main 2: 2", "main 3: 3", "main 3: 3"]);
}

#[tokio::test(start_paused = true)]
async fn an_excuse_of_the_node_is_no_output_and_may_pass() {
    let (_puppet, manager) = restarted(0, 2).await;
    assert_eq!(read(&manager, "again", &LogQuery::default()).await, ["main 0: 0", "main 0: 0"]);
    let (_puppet, manager) = restarted(0, usize::MAX).await;
    for query in [LogQuery::default(), following()] {
        let all = read(&manager, "again", &query).await;
        let expected =
            "manager: the node can't read the log: unable to retrieve container logs for containerd://abc";
        assert_eq!(all, [expected], "it is told once");
    }
}

#[tokio::test]
async fn an_excuse_of_an_embedded_node_is_told() {
    let stage = Stage::new().await;
    stage.cluster.faults().inject("log-unavailable".parse().unwrap());
    let manager = stage.manager().await;
    finish(&manager, &request(script("excused", "echo out"))).await;
    let all = read(&manager, "excused", &LogQuery::default()).await;
    assert_eq!(all.len(), 1);
    assert!(all[0].starts_with("manager: the node can't read the log: unable to retrieve"), "{all:?}");
}

/// A log that says nothing more behind its first line, until it is opened again.
struct Dead(std::sync::atomic::AtomicUsize);

impl puppet::LogSource for Dead {
    fn open(&self, _: &LogRequest) -> LogBytes {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        try_stream! {
            yield Bytes::from_static(b"2026-01-01T00:00:00.000000001Z one\n");
            if number == 0 {
                futures::future::pending::<()>().await;
            }
            yield Bytes::from_static(b"2026-01-01T00:00:00.000000001Z two\n");
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_stream_that_died_without_a_word_is_opened_again() {
    let puppet = Puppet::new();
    let settings = KubernetesSettings::new("default", "default");
    let manager =
        KubernetesWorkloadManager::new(puppet.client(), settings, Arc::new(NoImages)).await.unwrap();
    manager.submit(&request(script("dead", ""))).await.unwrap();
    puppet.set_log(Arc::new(Dead(0.into())));
    puppet.set("runner-dead-1", Life::Running, true);
    let began = tokio::time::Instant::now();
    let mut output = manager.logs(&id("dead"), &following()).await.unwrap();
    for text in ["one", "two"] {
        assert_eq!(output.next().await.unwrap().unwrap().text(), text);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(90), "{:?}", began.elapsed());
    puppet.set("runner-dead-1", Life::Ended, true);
    assert!(output.next().await.is_none());
}
