//! The rules of [`LogStore`].

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::{Check, id};
use crate::{
    Attempt, LogLine, LogOutput, LogPosition, LogQuery, LogRecord, LogStore, LogStream, Outcome, Reason,
    RunId, Seal, Verdict, WorkloadKind,
};

mod ids;
mod messages;
mod outputs;
mod reading;
mod removal;
mod seals;
mod writers;

pub use self::{ids::*, messages::*, outputs::*, reading::*, removal::*, seals::*, writers::*};

/// All checks.
pub const CHECKS: &[Check<dyn StoreHarness>] = crate::__store_checks!(__checks);

/// Tells the kit how an archive is opened.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// Opens the harness's archive, which is empty at first: each time as another server that shares it with those
    /// before. What they have kept it reads; what they have only taken it need not.
    async fn store(&self) -> Arc<dyn LogStore>;
}

/// What checks do with one server.
#[derive(Clone)]
struct Server(Arc<dyn LogStore>);

fn run(workload: &str, attempt: u32) -> RunId {
    let attempt = Attempt::new(attempt).expect("it is not 0");
    RunId { workload: id(workload), kind: WorkloadKind::Run, attempt }
}

fn output(workload: &str, attempt: u32) -> LogOutput {
    pod(workload, attempt, "pod-1", 0)
}

fn pod(workload: &str, attempt: u32, instance: &str, restart: u32) -> LogOutput {
    LogOutput::new(run(workload, attempt), instance, "main", restart)
        .expect("the kit's own outputs have names")
}

/// A time of the kit's own clock, so that nothing depends on when it runs.
fn at(millisecond: u32) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + i64::from(millisecond)).expect("it is a time")
}

fn line(millisecond: u32, text: impl Into<Vec<u8>>) -> LogLine {
    let position = LogPosition { time: at(millisecond), count: 1 };
    LogLine { position, line: text.into(), ended: true }
}

/// Lines `from` up to `to`, one each millisecond.
fn lines(from: u32, to: u32) -> Vec<LogLine> {
    (from..=to).map(|number| line(number, format!("line {number}"))).collect()
}

fn numbered(from: u32, to: u32) -> Vec<String> {
    (from..=to).map(|number| format!("line {number}")).collect()
}

fn seal(workload: &str, attempt: u32, millisecond: u32) -> Seal {
    let verdict =
        Verdict::new(Outcome::Failed, Reason::ExitCode, "it ended with exit code 3", "read its log");
    Seal::new(run(workload, attempt), at(millisecond), &verdict)
}

fn follow() -> LogQuery {
    LogQuery { follow: true, ..LogQuery::default() }
}

fn texts(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|record| record.text().into_owned()).collect()
}

impl Server {
    async fn new(harness: &dyn StoreHarness) -> Self {
        Self(harness.store().await)
    }

    async fn append(&self, output: &LogOutput, lines: &[LogLine]) {
        self.0.append(output, lines).await.expect("lines are taken");
    }

    async fn say(&self, workload: &str, millisecond: u32, text: &str) {
        self.0.message(&id(workload), at(millisecond), text).await.expect("a message is taken");
    }

    async fn begin(&self, run: &RunId, aliases: &[&str]) {
        let aliases: Vec<_> = aliases.iter().map(|alias| id(alias)).collect();
        self.0.begin(run, &aliases).await.expect("a run is put on record");
    }

    async fn flush(&self, workload: &str) {
        self.0.flush(&id(workload)).await.expect("what was taken is kept");
    }

    async fn seal(&self, seal: &Seal) {
        self.0.seal(seal).await.expect("a run is sealed");
    }

    async fn read(&self, workload: &str, query: &LogQuery) -> LogStream {
        self.0.read(&id(workload), query).await.unwrap_or_else(|error| panic!("a log is read: {error}"))
    }

    async fn records(&self, workload: &str, query: &LogQuery) -> Vec<LogRecord> {
        self.read(workload, query).await.try_collect().await.expect("a log is read")
    }

    async fn query(&self, workload: &str, query: LogQuery) -> Vec<String> {
        texts(&self.records(workload, &query).await)
    }

    async fn lines(&self, workload: &str) -> Vec<String> {
        self.query(workload, LogQuery::default()).await
    }
}
