//! A backend whose logs are archived, on servers that come and go, with an archive that comes and goes.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use futures::TryStreamExt as _;
use tokio::time::sleep;
use wm_core::{
    ChunkStore, ChunkStoreCapabilities, Error, ErrorKind, ImageReference, LogQuery, LogSource, LogStore as _,
    RunRequest, Severity, Workload, WorkloadKind, WorkloadManager as _,
};
use wm_logs::{Archive, ArchiveSettings, ArchivedWorkloadManager, MemoryChunkStore};

use crate::{
    backend::{Backend, at, id, run},
    faulty::Outage,
};

fn server(backend: &Backend, chunks: &Arc<dyn ChunkStore>) -> ArchivedWorkloadManager {
    let archive = Archive::new(Arc::clone(chunks), ArchiveSettings::default());
    ArchivedWorkloadManager::new(Arc::new(backend.clone()), Arc::new(archive))
}

fn memory() -> Arc<dyn ChunkStore> {
    Arc::new(MemoryChunkStore::new())
}

async fn submit(server: &ArchivedWorkloadManager) {
    let image: ImageReference = "registry.example.com/app:1".parse().unwrap();
    let workload = Workload::builder(id("nightly"), WorkloadKind::Run).command(["true"]).alias(id("other"));
    server.submit(&RunRequest::new(workload.build().unwrap(), image)).await.unwrap();
}

async fn read(server: &ArchivedWorkloadManager, query: &LogQuery) -> Vec<String> {
    let log = server.logs(&id("nightly"), query).await.unwrap();
    log.map_ok(|record| record.text().into_owned()).try_collect().await.unwrap()
}

async fn lines(server: &ArchivedWorkloadManager) -> Vec<String> {
    read(server, &LogQuery::default()).await
}

fn numbered(from: u32, to: u32) -> Vec<String> {
    (from..=to).map(|number| format!("line {number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_log_is_the_same_while_the_run_lives_after_its_end_and_when_it_is_gone() {
    let (backend, chunks) = (Backend::default(), memory());
    let first = server(&backend, &chunks);
    submit(&first).await;
    backend.write(1, 20);
    assert_eq!(lines(&first).await, numbered(1, 20));
    let follow = LogQuery { follow: true, ..LogQuery::default() };
    let followed = first.logs(&id("nightly"), &follow).await.unwrap();
    backend.write(21, 30);
    backend.end();
    let followed: Vec<_> = followed.try_collect().await.unwrap();
    assert_eq!(followed.len(), 30);
    assert_eq!(lines(&first).await, numbered(1, 30));
    backend.forget();
    for server in [first, server(&backend, &chunks)] {
        for query in [LogQuery::default(), follow.clone()] {
            assert_eq!(read(&server, &query).await, numbered(1, 30));
        }
        let after = LogQuery { after: followed[9].cursor.clone(), ..LogQuery::default() };
        assert_eq!(read(&server, &after).await, numbered(11, 30));
    }
    let archive = Archive::new(chunks, ArchiveSettings::default());
    let seals = archive.seals(&id("other")).await.unwrap();
    assert_eq!((&seals[0].run, seals[0].message.as_str()), (&run(), "it ended with exit code 3"));
}

#[tokio::test(start_paused = true)]
async fn another_server_takes_a_run_over_at_the_exact_line() {
    let (backend, chunks) = (Backend::default(), memory());
    let first = server(&backend, &chunks);
    submit(&first).await;
    backend.write(1, 50);
    sleep(Duration::from_secs(5)).await;
    backend.write(51, 60);
    // What this one has taken and not kept dies with it.
    sleep(Duration::from_millis(1)).await;
    assert_eq!(lines(&first).await, numbered(1, 60));
    drop(first);
    let second = server(&backend, &chunks);
    // Nobody asks it: it looks for itself.
    sleep(Duration::from_secs(10)).await;
    backend.write(61, 80);
    backend.end();
    sleep(Duration::from_mins(1)).await;
    backend.forget();
    assert_eq!(lines(&second).await, numbered(1, 80));
}

#[tokio::test(start_paused = true)]
async fn two_servers_that_follow_one_run_leave_each_line_once() {
    let (backend, chunks) = (Backend::default(), memory());
    let servers = [server(&backend, &chunks), server(&backend, &chunks)];
    submit(&servers[0]).await;
    submit(&servers[1]).await;
    backend.tell(0, "waits for a node");
    for second in 1..=100 {
        backend.write(second, second);
        sleep(Duration::from_millis(u64::try_from(second * 37 % 900).unwrap())).await;
    }
    backend.tell(101, "ended");
    backend.end();
    let mut expected = numbered(1, 100);
    expected.insert(0, "waits for a node".to_owned());
    expected.push("ended".to_owned());
    for server in &servers {
        assert_eq!(lines(server).await, expected);
    }
    let log = servers[1].logs(&id("nightly"), &LogQuery::default()).await.unwrap();
    let records: Vec<_> = log.try_collect().await.unwrap();
    assert_eq!((&records[0].source, records[0].time), (&LogSource::Manager, Some(at(0))));
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_is_away_for_an_hour_delays_lines_and_fails_nothing() {
    let (backend, store) = (Backend::default(), Outage::new(memory()));
    let chunks: Arc<dyn ChunkStore> = Arc::new(store.clone());
    let server = server(&backend, &chunks);
    store.is_away.store(true, Ordering::Relaxed);
    submit(&server).await;
    for second in 1..=60 {
        backend.write(second, second);
        server.log(&id("nightly"), &format!("said {second}")).await.unwrap();
        sleep(Duration::from_mins(1)).await;
    }
    assert_eq!(lines(&server).await, numbered(1, 60), "it is read from where it is written");
    backend.end();
    store.is_away.store(false, Ordering::Relaxed);
    sleep(Duration::from_mins(2)).await;
    backend.forget();
    let mut all = lines(&server).await;
    let said: Vec<_> = all.extract_if(.., |line| line.starts_with("said")).collect();
    assert_eq!(all, numbered(1, 60));
    assert_eq!(said, (1..=60).map(|second| format!("said {second}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_a_node_lost_before_it_was_archived_is_told() {
    let (backend, chunks) = (Backend::default(), memory());
    let first = server(&backend, &chunks);
    submit(&first).await;
    backend.write(1, 10);
    sleep(Duration::from_secs(30)).await;
    drop(first);
    backend.write(11, 20);
    backend.rotate(15);
    backend.end();
    let log = lines(&server(&backend, &chunks)).await;
    let note = "lines may be missing here: the node has rotated them away before they were archived";
    assert_eq!(log, [numbered(1, 10), vec![note.to_owned()], numbered(16, 20)].concat());
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_is_gone_where_the_archive_can_delete() {
    let (backend, chunks) = (Backend::default(), memory());
    let first = server(&backend, &chunks);
    submit(&first).await;
    backend.write(1, 10);
    assert_eq!(lines(&first).await.len(), 10);
    first.delete(&id("nightly")).await.unwrap();
    sleep(Duration::from_mins(5)).await;
    for server in [&first, &server(&backend, &chunks)] {
        let error = server.logs(&id("nightly"), &LogQuery::default()).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    let can = ChunkStoreCapabilities { conditional_create: true, delete: false };
    let chunks: Arc<dyn ChunkStore> = Arc::new(MemoryChunkStore::with_capabilities(can));
    let keeping = server(&backend, &chunks);
    submit(&keeping).await;
    backend.write(1, 10);
    assert_eq!(lines(&keeping).await.len(), 10);
    keeping.delete(&id("nightly")).await.unwrap();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(lines(&keeping).await, numbered(1, 10), "and who follows it comes to an end");
    let follow = LogQuery { follow: true, ..LogQuery::default() };
    assert_eq!(read(&keeping, &follow).await, numbered(1, 10));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_reason_to_fail_a_run() {
    let (backend, store) = (Backend::default(), Outage::new(memory()));
    *store.answer.lock().unwrap() = || Error::new(ErrorKind::PermissionDenied, "AccessDenied, HTTP 403");
    store.is_away.store(true, Ordering::Relaxed);
    let chunks: Arc<dyn ChunkStore> = Arc::new(store.clone());
    let server = server(&backend, &chunks);
    submit(&server).await;
    server.log(&id("nightly"), "said").await.unwrap();
    backend.write(1, 5);
    let error = server.logs(&id("nightly"), &LogQuery::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "somebody has to mend it");
    let report = server.preflight().await.unwrap();
    assert_eq!((report.findings[0].severity, report.findings[0].check), (Severity::Warning, "archive"));
    assert!(report.findings[0].message.contains("AccessDenied"));
    backend.end();
    assert!(server.status(&run()).await.unwrap().phase.is_terminal());
    store.is_away.store(false, Ordering::Relaxed);
    assert_eq!(server.preflight().await.unwrap().worst(), Severity::Ok);
}
