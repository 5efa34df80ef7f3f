//! The rules of [`WorkloadManager`].

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{Check, Program, id};
use crate::{
    Capabilities, LogQuery, LogRecord, LogStream, RunFilter, RunId, RunRequest, RunStatus, StatusStream,
    Submission, Workload, WorkloadBuilder, WorkloadId, WorkloadKind, WorkloadManager,
};

mod cancelling;
mod deleting;
mod following;
mod held;
mod identity;
mod listing;
mod logs;
mod messages;
mod preflight;
mod safety;

pub use self::{
    cancelling::*, deleting::*, following::*, held::*, identity::*, listing::*, logs::*, messages::*,
    preflight::*, safety::*,
};

/// All checks.
pub const CHECKS: &[Check<dyn ManagerHarness>] = crate::__manager_checks!(__checks);

/// Tells the kit how a backend is made, and how it runs the kit's programs.
#[async_trait]
pub trait ManagerHarness: Send + Sync {
    /// Makes a server on this harness's backend, which knows nothing yet. Called once for each check.
    async fn manager(&self) -> Arc<dyn WorkloadManager>;

    /// Makes another server on the same backend, as after a restart or beside the first. `None` only for a backend
    /// whose runs are known to one process and end with it.
    async fn another(&self) -> Option<Arc<dyn WorkloadManager>>;

    /// Makes the workload run a program: sets its command, for example to [`Program::script`], and its image if the
    /// backend needs a real one.
    fn program(&self, workload: WorkloadBuilder, program: &Program) -> WorkloadBuilder;

    /// Opens a gate at which programs wait.
    async fn open(&self, gate: &str);
}

/// What checks do with one server.
struct Stage<'a> {
    harness: &'a dyn ManagerHarness,
    manager: Arc<dyn WorkloadManager>,
}

const GO: &str = "go";

/// Says that it has begun, and waits until it may end.
fn patient() -> Program {
    Program::new().print("begun\n").wait(GO).print("done\n")
}

fn follow() -> LogQuery {
    LogQuery { follow: true, ..LogQuery::default() }
}

impl<'a> Stage<'a> {
    async fn new(harness: &'a dyn ManagerHarness) -> Self {
        Self { harness, manager: harness.manager().await }
    }

    async fn another(&self) -> Option<Self> {
        Some(Self { harness: self.harness, manager: self.harness.another().await? })
    }

    /// This server, and another where there can be one.
    async fn servers(self) -> Vec<Self> {
        let another = self.another().await;
        [Some(self), another].into_iter().flatten().collect()
    }

    fn can(&self) -> Capabilities {
        self.manager.capabilities()
    }

    fn workload(&self, workload: &str, program: &Program) -> WorkloadBuilder {
        self.harness.program(Workload::builder(id(workload), WorkloadKind::Run), program)
    }

    fn request(&self, workload: &str, program: &Program) -> RunRequest {
        request(self.workload(workload, program))
    }

    async fn submit(&self, request: &RunRequest) -> Submission {
        self.manager.submit(request).await.expect("a run is submitted")
    }

    /// Submits what must be a new run.
    async fn start(&self, workload: &str, program: &Program) -> RunId {
        let submission = self.submit(&self.request(workload, program)).await;
        assert!(!submission.adopted, "{workload} is new and was taken for one that is there: {submission:?}");
        submission.run
    }

    async fn watch(&self, run: &RunId) -> StatusStream {
        self.manager.watch(run).await.expect("a run is followed")
    }

    async fn status(&self, run: &RunId) -> RunStatus {
        self.manager.status(run).await.expect("a run has a status")
    }

    /// Follows a run to its end.
    async fn end(&self, run: &RunId) -> RunStatus {
        end(self.watch(run).await).await
    }

    async fn run(&self, workload: &str, program: &Program) -> RunStatus {
        let run = self.start(workload, program).await;
        self.end(&run).await
    }

    async fn open(&self) {
        self.harness.open(GO).await;
    }

    async fn list(&self, filter: &RunFilter) -> Vec<RunStatus> {
        self.manager.list(filter).await.expect("runs are listed")
    }

    async fn logs(&self, workload: &WorkloadId, query: &LogQuery) -> LogStream {
        self.manager.logs(workload, query).await.unwrap_or_else(|error| panic!("a log is read: {error}"))
    }

    /// Follows a log, where that can be done.
    async fn followed(&self, workload: &str, query: LogQuery) -> Option<LogStream> {
        if self.can().follow_logs { Some(self.logs(&id(workload), &query).await) } else { None }
    }

    async fn records(&self, workload: &str, query: &LogQuery) -> Vec<LogRecord> {
        self.logs(&id(workload), query).await.try_collect().await.expect("a log is read")
    }

    /// What the log has now, as text.
    async fn lines(&self, workload: &str) -> Vec<String> {
        texts(&self.records(workload, &LogQuery::default()).await)
    }

    /// What a query gives, as text.
    async fn query(&self, workload: &str, query: LogQuery) -> Vec<String> {
        texts(&self.records(workload, &query).await)
    }

    /// Waits until the program of a workload has written a line.
    async fn until(&self, workload: &str, line: &str) {
        if self.can().follow_logs {
            let mut log = self.logs(&id(workload), &follow()).await;
            while let Some(record) = log.try_next().await.expect("a log is followed") {
                if record.text() == line {
                    return;
                }
            }
            panic!("the log of {workload} ended and has no line {line:?}");
        }
        while !self.lines(workload).await.iter().any(|text| text == line) {
            super::pause().await;
        }
    }
}

fn request(workload: WorkloadBuilder) -> RunRequest {
    let workload = workload.build().expect("the kit's own workloads are whole");
    let image = workload.snapshot_image().cloned();
    let image =
        image.unwrap_or_else(|| "registry.example.com/conformance:1".parse().expect("it is an image"));
    RunRequest::new(workload, image)
}

/// Reads states to the end, and proves of each what holds for all.
async fn states(stream: StatusStream) -> Vec<RunStatus> {
    let states: Vec<_> =
        stream.map(|status| status.expect("the stream of states does not break")).collect().await;
    for status in &states {
        assert_eq!(
            status.verdict.is_some(),
            status.phase.is_terminal(),
            "a verdict is there exactly in a terminal phase: {status:?}"
        );
    }
    let (last, before) = states.split_last().expect("a follower is told at least one state");
    assert!(last.phase.is_terminal(), "the stream ended before the run did: {last:?}");
    assert!(before.iter().all(|status| !status.phase.is_terminal()), "it went on after the end: {states:?}");
    states
}

async fn end(stream: StatusStream) -> RunStatus {
    states(stream).await.pop().expect("there is a last one")
}

fn texts(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|record| record.text().into_owned()).collect()
}

fn numbered(lines: u32) -> Vec<String> {
    (1..=lines).map(|number| format!("line {number}")).collect()
}
