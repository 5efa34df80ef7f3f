//! Several servers copy one output into a store that fails, and die meanwhile: the archive has what the source had.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use futures::{TryStreamExt as _, future::join_all};
use jiff::Timestamp;
use wm_core::{
    Attempt, ChunkStore, ChunkStoreCapabilities, LogLine, LogOutput, LogPosition, LogQuery, LogSource,
    LogStore as _, LogStream, Outcome, Reason, RunId, Seal, Verdict, WorkloadKind,
};
use wm_logs::{Archive, ArchiveSettings, FileChunkStore, MemoryChunkStore};

use crate::faulty::{Dice, Faulty};

const WRITERS: u64 = 3;
const CRASHES: u64 = 21;

fn output() -> LogOutput {
    let run = RunId { workload: "chain".parse().unwrap(), kind: WorkloadKind::Run, attempt: Attempt::FIRST };
    LogOutput::new(run, "pod-1", "main", 0).unwrap()
}

/// What a program wrote: lines of any bytes, some at the same time, some in pieces.
fn source(seed: u64, bytes: usize) -> Vec<LogLine> {
    let mut dice = Dice::new(seed);
    let (mut lines, mut length) = (Vec::new(), 0);
    let (mut time, mut count) = (Timestamp::UNIX_EPOCH, 0);
    while length < bytes {
        if dice.below(3) > 0 {
            time += Duration::from_nanos(1 + dice.below(1_000_000_000));
            count = 0;
        }
        count += 1;
        let size = if dice.below(50) == 0 { dice.below(20_000) } else { dice.below(200) };
        let line: Vec<u8> =
            (0..size).map(|_| b"abc \xff\r\0z"[usize::try_from(dice.below(8)).unwrap()]).collect();
        length += line.len() + 1;
        let position = LogPosition { time, count };
        lines.push(LogLine { position, line, ended: dice.below(30) > 0 });
    }
    lines
}

fn settings() -> ArchiveSettings {
    let mut settings = ArchiveSettings::default();
    settings.chunk_bytes = 16 * 1024;
    settings.output_bytes = u64::MAX;
    settings
}

/// One server after another copies the output, each from where it is told that the output ends.
async fn copy(chunks: Arc<dyn ChunkStore>, lines: &[LogLine], seed: u64) {
    let mut dice = Dice::new(seed);
    let mut crashes = CRASHES / WRITERS;
    'server: loop {
        let archive = Archive::new(Arc::clone(&chunks), settings());
        let end = loop {
            match archive.position(&output()).await {
                Ok(end) => break end,
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        };
        // As a source that is opened again, it begins a little before the end.
        let known = lines.partition_point(|line| Some(line.position) <= end);
        let mut next = known.saturating_sub(usize::try_from(dice.below(20)).unwrap());
        let pace = lines.len() as u64 / 40 + 2;
        while next < lines.len() {
            let some = &lines[next..(next + 1 + usize::try_from(dice.below(pace)).unwrap()).min(lines.len())];
            if archive.append(&output(), some).await.is_ok() {
                next += some.len();
            }
            if dice.below(2) == 0 {
                tokio::time::sleep(Duration::from_millis(dice.below(3000))).await;
            }
            if crashes > 0 && dice.below(12) == 0 {
                crashes -= 1;
                continue 'server;
            }
        }
        if crashes > 0 {
            crashes -= 1;
            continue;
        }
        while archive.flush(&output().run().workload).await.is_err() {}
        return;
    }
}

async fn open(chunks: &Arc<dyn ChunkStore>) -> LogStream {
    let archive = Archive::new(Arc::clone(chunks), settings());
    archive.read(&output().run().workload, &LogQuery::default()).await.unwrap()
}

async fn assert_same(mut log: LogStream, lines: &[LogLine]) {
    for (index, line) in lines.iter().enumerate() {
        let record = log.try_next().await.unwrap().expect("it goes on");
        let told = (record.time, &record.line, record.ended);
        assert!(told == (Some(line.position.time), &line.line, line.ended), "line {index} differs");
    }
    assert!(log.try_next().await.unwrap().is_none());
}

async fn chain(chunks: Arc<dyn ChunkStore>, seed: u64, bytes: usize) {
    let lines = source(seed, bytes);
    let faulty = Faulty::new(Arc::clone(&chunks), seed);
    let store: Arc<dyn ChunkStore> = Arc::new(faulty.clone());
    join_all((0..WRITERS).map(|writer| copy(Arc::clone(&store), &lines, seed * 10 + writer))).await;
    faulty.is_on.store(false, Ordering::Relaxed);
    let archive = Archive::new(Arc::clone(&chunks), settings());
    let verdict = Verdict::new(Outcome::Succeeded, Reason::Completed, "it ended", "");
    archive.seal(&Seal::new(output().run().clone(), Timestamp::UNIX_EPOCH, &verdict)).await.unwrap();
    assert_same(open(&chunks).await, &lines).await;
}

fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

#[test]
fn three_writers_that_die_in_a_store_that_fails_leave_each_line_once() {
    for seed in 1..=12 {
        paused(chain(Arc::new(MemoryChunkStore::new()), seed, 300_000));
    }
}

#[test]
fn without_a_fence_no_line_is_lost() {
    for seed in 1..=6 {
        let can = ChunkStoreCapabilities { conditional_create: false, delete: false };
        // What is there twice is told once where it is read in one go.
        paused(chain(Arc::new(MemoryChunkStore::with_capabilities(can)), seed, 200_000));
    }
}

/// The same with a gigabyte in files: `WM_CHAIN_MIB=1024 cargo test --release -p wm-logs -- --ignored gigabyte`.
#[test]
#[ignore = "takes long"]
fn a_gigabyte_is_kept_to_the_byte() {
    let size = std::env::var("WM_CHAIN_MIB").map_or(64, |size| size.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    paused(chain(Arc::new(FileChunkStore::new(directory.path())), 7, size * 1024 * 1024));
}

#[test]
fn each_hole_is_told_in_its_place() {
    for seed in 1..=8 {
        paused(async move {
            let chunks: Arc<dyn ChunkStore> = Arc::new(MemoryChunkStore::new());
            let lines = source(seed, 400_000);
            chain_of(&chunks, &lines).await;
            let mut dice = Dice::new(seed);
            let all = chunks.list("v1/w/chain/outputs/", None).await.unwrap().entries;
            let (mut holes, mut last_lost) = (0, false);
            for entry in all.iter().filter(|entry| entry.size > 0) {
                let is_lost = dice.below(4) == 0;
                if is_lost {
                    chunks.delete(&entry.key).await.unwrap();
                    holes += usize::from(!last_lost);
                }
                last_lost = is_lost;
            }
            let records: Vec<_> = open(&chunks).await.try_collect().await.unwrap();
            let told = records.iter().filter(|record| record.source == LogSource::Manager);
            assert_eq!(told.count(), holes);
            // What is left is in order, and each line that is missing is so at a hole.
            let mut rest = lines.iter().peekable();
            let mut at_hole = false;
            for record in &records {
                if record.source == LogSource::Manager {
                    at_hole = true;
                    continue;
                }
                let is_this =
                    |line: &LogLine| record.time == Some(line.position.time) && record.line == line.line;
                while rest.next_if(|line| at_hole && !is_this(line)).is_some() {}
                assert!(rest.next().is_some_and(is_this), "a line is missing without a word");
                at_hole = false;
            }
            assert!(at_hole || rest.next().is_none());
        });
    }
}

async fn chain_of(chunks: &Arc<dyn ChunkStore>, lines: &[LogLine]) {
    let archive = Archive::new(Arc::clone(chunks), settings());
    archive.append(&output(), lines).await.unwrap();
    let verdict = Verdict::new(Outcome::Succeeded, Reason::Completed, "it ended", "");
    archive.seal(&Seal::new(output().run().clone(), Timestamp::UNIX_EPOCH, &verdict)).await.unwrap();
}
