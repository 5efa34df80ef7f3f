//! Two faults at once on a cluster of their own, and some runs under them.

use std::{sync::Arc, time::Duration};

use futures::{TryStreamExt as _, future::join_all};
use kube::api::{ListParams, Request};
use serde_json::Value;
use tokio::time::{sleep, timeout};
use wm_image::Prebuilt;
use wm_k8s::{Credentials, KubernetesSettings, KubernetesWorkloadManager, connect};
use wm_local::{Cluster, ClusterOptions};
use workload_manager::{
    Error, ErrorKind, Launcher, LauncherSettings, LogQuery, LogRecord, LogSource, Reason, Verdict, Workload,
    WorkloadId, WorkloadKind,
};

use super::fault::Fault;
use crate::Failure;

/// The exit codes of the programs, one run each; two may run at once, so that one waits for a slot.
const RUNS: [i32; 3] = [0, 3, 0];
const LINES: usize = 40;
/// A watch that dies in silence is noticed within a minute, an event that was lost within five.
const PATIENCE: Duration = Duration::from_secs(400);
/// A slot goes with its driver, which ends a moment later than the run.
const SLOTS_BACK: Duration = Duration::from_secs(20);
/// How often a caller asks again for what was refused for a time.
const TRIES: usize = 5;

/// What became of the runs of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    WrongVerdict(String),
    LaunchedTwice(String),
    WrongLog(String),
    SlotLeaked(String),
    Hung,
    Failed(String),
}

impl Outcome {
    pub(super) fn letter(&self) -> char {
        match self {
            Self::Right => '.',
            Self::WrongVerdict(_) => 'V',
            Self::LaunchedTwice(_) => '2',
            Self::WrongLog(_) => 'L',
            Self::SlotLeaked(_) => 'S',
            Self::Hung => 'H',
            Self::Failed(_) => 'E',
        }
    }
}

pub(super) async fn run(row: Fault, column: Fault, seed: u64) -> Outcome {
    match timeout(PATIENCE, tried(row, column, seed)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => Outcome::Failed(failure.to_string()),
        Err(_) => Outcome::Hung,
    }
}

async fn tried(row: Fault, column: Fault, seed: u64) -> Result<Outcome, Failure> {
    let mut options = ClusterOptions::default();
    options.seed = seed;
    options.job_sync_delay = Duration::from_millis(50);
    options.job_backoff = Duration::from_millis(50);
    options.image_backoff = Duration::from_millis(100);
    let cluster = Cluster::start(options).await?;
    let connected = connect(&Credentials::Kubeconfig(cluster.kubeconfig())).await?;
    let settings = KubernetesSettings::new("default", "default");
    let images = Arc::new(Prebuilt::new("registry.example/runner:1".parse()?));
    let manager = Arc::new(KubernetesWorkloadManager::new(connected.clone(), settings, images).await?);
    let expected = row.ends.or(column.ends);
    let mut limits = LauncherSettings::default();
    if expected == Some(Reason::NodeLost) {
        // Who waits for a slot meanwhile would wait for a node then.
        limits.max_concurrent_runs = limits.max_concurrent_runs.saturating_add(RUNS.len());
    }
    let launcher = Launcher::new(manager, limits);
    cluster.faults().inject(row.text.parse()?);
    if row.name != column.name {
        cluster.faults().inject(column.text.parse()?);
    }
    let hidden = row.hides_states() || column.hides_states();
    let runs = RUNS.iter().enumerate().map(|(index, code)| one(&launcher, index, *code, expected, hidden));
    for outcome in join_all(runs).await {
        match outcome? {
            Outcome::Right => {}
            other => return Ok(other),
        }
    }
    if timeout(SLOTS_BACK, is_idle(&launcher)).await.is_err() {
        return Ok(Outcome::SlotLeaked(format!("{:?}", launcher.load())));
    }
    cluster.faults().lift_all();
    for path in ["/apis/batch/v1/namespaces/default/jobs", "/api/v1/namespaces/default/pods"] {
        let list: Value = connected.request(Request::new(path).list(&ListParams::default())?).await?;
        let count = list["items"].as_array().map_or(0, Vec::len);
        // The pods of a node that is gone, and those that never started, are taken away.
        let is_right = count == RUNS.len() || (expected.is_some() && count < RUNS.len());
        if !is_right {
            return Ok(Outcome::LaunchedTwice(format!("{count} objects at {path} for {} runs", RUNS.len())));
        }
    }
    cluster.shutdown().await;
    Ok(Outcome::Right)
}

async fn is_idle(launcher: &Launcher) {
    while launcher.load().running + launcher.load().queued > 0 {
        sleep(Duration::from_millis(10)).await;
    }
}

/// One run from its launch to the last line of its log.
async fn one(
    launcher: &Launcher,
    index: usize,
    code: i32,
    expected: Option<Reason>,
    hidden: bool,
) -> Result<Outcome, Failure> {
    let id = WorkloadId::new(format!("run-{index}"))?;
    // Under what ends it later it must still run.
    let wait = if expected.is_some() { "sleep 60 & wait" } else { "true" };
    let script =
        format!("i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done; {wait}; exit {code}");
    let workload = Workload::builder(id.clone(), WorkloadKind::Run).command(["sh", "-c", &script]).build()?;
    let verdict = end(launcher, &workload).await?;
    let reason = expected.unwrap_or(if code == 0 { Reason::Completed } else { Reason::ExitCode });
    // Who was not told why the pod of the lost node went still knows that it was deleted.
    let is_unseen = hidden && reason == Reason::NodeLost && verdict.reason == Reason::PodDeleted;
    if !is_unseen && !is_as_expected(&verdict, reason, code) {
        return Ok(Outcome::WrongVerdict(format!("{id}: {} {verdict}, not {reason}", verdict.reason)));
    }
    if expected.is_some() {
        return Ok(Outcome::Right);
    }
    let records = read(launcher, &id).await?;
    let output = records.iter().filter(|record| matches!(record.source, LogSource::Output { .. }));
    let told: Vec<_> = output.map(|record| record.text().into_owned()).collect();
    let written: Vec<_> = (0..LINES).map(|line| format!("line {line}")).collect();
    if told != written {
        return Ok(Outcome::WrongLog(format!("{id}: {} lines for {LINES}", told.len())));
    }
    Ok(Outcome::Right)
}

/// Reads the whole log. An error says that it could not be read, so whoever wants it asks again.
async fn read(launcher: &Launcher, id: &WorkloadId) -> Result<Vec<LogRecord>, Failure> {
    let mut tries = 1;
    loop {
        let read = async { launcher.manager().logs(id, &LogQuery::default()).await?.try_collect().await };
        match read.await {
            Err(error) if is_worth_another_try(&error) && tries < TRIES => tries += 1,
            read => return Ok(read?),
        }
    }
}

/// Launches it and waits for its end. What could not be done is asked for again: it is the same run.
async fn end(launcher: &Launcher, workload: &Workload) -> Result<Verdict, Failure> {
    let mut tries = 1;
    loop {
        let ended = async { launcher.launch(workload.clone()).await?.wait().await };
        match ended.await {
            Err(error) if is_worth_another_try(&error) && tries < TRIES => tries += 1,
            ended => return Ok(ended?),
        }
    }
}

/// Credentials that had expired may be new by then.
fn is_worth_another_try(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::PermissionDenied
}

fn is_as_expected(verdict: &Verdict, reason: Reason, code: i32) -> bool {
    let is_code_right =
        !matches!(reason, Reason::Completed | Reason::ExitCode) || verdict.evidence.exit_code == Some(code);
    verdict.reason == reason && is_code_right
}
