//! Logs that are longer than memory, read through connections that break.

use std::{
    io::Write as _,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_stream::try_stream;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use wm_core::{LOG_PIECE, LogQuery, LogSource as From, LogStream, WorkloadManager as _};
use wm_k8s::{KubernetesSettings, KubernetesWorkloadManager};

use crate::{
    puppet::{Life, LogBytes, LogRequest, LogSource, Puppet},
    stage::{NoImages, following, id, request, script},
    wire::Wire,
};

/// Bytes of all values but a newline, and no text.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .filter(|byte| *byte != b'\n')
}

/// A number of the sequence that a seed gives.
fn random(seed: u64, number: u64, below: u64) -> u64 {
    let bytes: Vec<u8> = noise(seed ^ number.wrapping_mul(0xD134_2543_DE82_EF95)).take(8).collect();
    u64::from_le_bytes(bytes.try_into().unwrap()) % below
}

/// A log of numbered lines, a thousand a second, of which up to three have one time.
struct Numbered {
    lines: u64,
    pattern: Vec<u8>,
    /// How many lines the node keeps behind the last that was delivered; older ones are rotated away.
    kept: u64,
    delivered: AtomicU64,
    /// How many times the stream is cut, each behind less than so many bytes.
    cuts: u64,
    cut_below: u64,
    connections: AtomicU64,
}

impl Numbered {
    fn new(lines: u64, cuts: u64) -> Self {
        Self {
            lines,
            pattern: noise(1).take(4096).collect(),
            kept: 43_000,
            delivered: AtomicU64::new(0),
            cuts,
            cut_below: 2 * lines * 232 / (cuts + cuts / 4 + 1),
            connections: AtomicU64::new(0),
        }
    }

    fn line(&self, number: u64) -> Vec<u8> {
        let mut line = format!("{number} ").into_bytes();
        let from = usize::try_from(number % 3800).unwrap();
        let length = 200 - line.len();
        line.extend_from_slice(&self.pattern[from..from + length]);
        line
    }

    fn time(number: u64) -> Timestamp {
        let millisecond = (number / 3) * 3;
        Timestamp::from_millisecond(1_790_000_000_000 + i64::try_from(millisecond).unwrap()).unwrap()
    }
}

/// Shared with its streams.
struct Shared(Arc<Numbered>);

impl LogSource for Shared {
    fn open(&self, request: &LogRequest) -> LogBytes {
        let log = Arc::clone(&self.0);
        let number = log.connections.fetch_add(1, Ordering::Relaxed);
        let mut left = if number < log.cuts { random(42, number, log.cut_below) } else { u64::MAX };
        let since = request.since;
        try_stream! {
            let oldest = log.delivered.load(Ordering::Relaxed).saturating_sub(log.kept);
            let mut chunk = Vec::new();
            for number in oldest..log.lines {
                let time = Numbered::time(number);
                if since.is_some_and(|since| time < since) {
                    continue;
                }
                chunk.extend_from_slice(format!("{time:.9} ").as_bytes());
                chunk.extend_from_slice(&log.line(number));
                chunk.push(b'\n');
                if chunk.len() > 30_000 || number + 1 == log.lines {
                    let end = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let is_cut = end < chunk.len();
                    left -= end as u64;
                    chunk.truncate(end);
                    log.delivered.fetch_max(number, Ordering::Relaxed);
                    yield Bytes::from(std::mem::take(&mut chunk));
                    if is_cut {
                        Err("connection reset by peer")?;
                    }
                }
            }
        }
        .boxed()
    }
}

/// One line of `x`, of so many bytes.
struct OneLine(usize);

impl LogSource for OneLine {
    fn open(&self, _: &LogRequest) -> LogBytes {
        let length = self.0;
        try_stream! {
            yield Bytes::from_static(b"2026-01-01T00:00:00.000000001Z ");
            let part = Bytes::from(vec![b'x'; 50_000]);
            for start in (0..length).step_by(part.len()) {
                yield part.slice(..part.len().min(length - start));
            }
            yield Bytes::from_static(b"\n");
        }
        .boxed()
    }
}

async fn open(
    life: Life,
    log: Arc<dyn LogSource>,
    query: &LogQuery,
) -> (Puppet, KubernetesWorkloadManager, LogStream) {
    let puppet = Puppet::new();
    let wire = Wire::new(puppet.client());
    let settings = KubernetesSettings::new("default", "default");
    let manager = KubernetesWorkloadManager::new(wire.client(), settings, Arc::new(NoImages)).await.unwrap();
    manager.submit(&request(script("long", ""))).await.unwrap();
    puppet.set_log(log);
    puppet.set("runner-long-1", life, true);
    let stream = manager.logs(&id("long"), query).await.unwrap();
    (puppet, manager, stream)
}

/// Reads all lines, each of which must be the next, and tells how much memory that took at most.
async fn read(log: &Numbered, stream: &mut LogStream) -> u64 {
    let mut most = 0;
    for number in 0..log.lines {
        let record = stream.try_next().await.unwrap().expect("the log ended early");
        assert!(matches!(record.source, From::Output { .. }), "{}", record.text());
        assert!(record.line == log.line(number), "line {number} is another: {}", record.text());
        assert_eq!((record.time, record.ended), (Some(Numbered::time(number)), true));
        if number % 10_000 == 0 {
            most = most.max(resident());
        }
    }
    most
}

/// The memory of this process, in KiB, without the program itself.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn cut(lines: u64, cuts: u64, follow: bool) -> u64 {
    let log = Arc::new(Numbered::new(lines, cuts));
    let (query, life) =
        if follow { (following(), Life::Running) } else { (LogQuery::default(), Life::Ended) };
    let (puppet, _manager, mut stream) = open(life, Arc::new(Shared(Arc::clone(&log))), &query).await;
    let most = read(&log, &mut stream).await;
    puppet.set("runner-long-1", Life::Ended, true);
    assert!(stream.try_next().await.unwrap().is_none(), "it has more lines");
    let connections = log.connections.load(Ordering::Relaxed);
    assert!(connections > cuts, "only {connections} connections");
    most
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_cut_many_times_comes_back_byte_for_byte() {
    cut(40_000, 30, false).await;
    cut(40_000, 30, true).await;
}

/// In a process of its own, so that its memory is its own.
#[test]
#[ignore = "takes a minute; .ci/run runs it by its name"]
fn a_log_longer_than_memory_takes_little() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "long_logs::alone", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{output}{}", String::from_utf8_lossy(&child.stderr));
    let figures = output.lines().filter_map(|line| line.strip_prefix("KiB "));
    let figures: Vec<u64> = figures.map(|figure| figure.parse().unwrap()).collect();
    assert_eq!(figures.len(), 3, "{output}");
    assert!(figures.iter().all(|figure| *figure < 64 * 1024), "{figures:?}");
}

fn tell(figure: u64) {
    // The name of the test may stand on the line already.
    std::io::stdout().write_all(format!("\nKiB {figure}\n").as_bytes()).unwrap();
}

#[tokio::test(start_paused = true)]
#[ignore = "is run by a_log_longer_than_memory_takes_little"]
async fn alone() {
    let before = resident();
    tell(cut(700_000, 200, false).await);
    tell(cut(700_000, 200, true).await);
    let length = 100_000_000;
    let (_puppet, _manager, mut stream) =
        open(Life::Ended, Arc::new(OneLine(length)), &LogQuery::default()).await;
    let (mut most, mut sum) = (0, 0);
    while let Some(record) = stream.try_next().await.unwrap() {
        sum += record.line.len();
        assert!(record.line.len() <= LOG_PIECE && record.line.iter().all(|byte| *byte == b'x'));
        assert_eq!(record.ended, sum == length);
        most = most.max(resident());
    }
    assert_eq!(sum, length);
    tell(most);
    assert!(most - before < 10 * 1024, "a line takes {} KiB", most - before);
}

#[tokio::test(start_paused = true)]
async fn lines_that_the_node_has_rotated_away_are_told_as_missing() {
    let mut log = Numbered::new(20_000, 1);
    (log.kept, log.cut_below) = (0, 1_000_000);
    let log = Arc::new(log);
    let (_puppet, _manager, stream) =
        open(Life::Ended, Arc::new(Shared(Arc::clone(&log))), &LogQuery::default()).await;
    let records: Vec<_> = stream.try_collect().await.unwrap();
    let hole = records.iter().position(|record| record.source == From::Manager).expect("it is told");
    assert!(records[hole].text().contains("lines are missing here"), "{}", records[hole].text());
    let number = |at: usize| -> u64 { records[at].text().split(' ').next().unwrap().parse().unwrap() };
    assert_eq!(number(hole - 1) + 1, hole as u64, "nothing is missing before it");
    assert!(number(hole + 1) > number(hole - 1) + 1, "and something is there");
    assert_eq!(
        records.len() as u64 - hole as u64 - 1,
        log.lines - number(hole + 1),
        "nothing is missing behind it"
    );
}
