//! Copies the log of one run from its backend into an archive, while it is written, and seals it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::{sync::watch, time::timeout};
use wm_core::{
    Cursor, Error, ErrorKind, LogOutput, LogQuery, LogRecord, LogStore, LogStream, Outcome, Reason, Result,
    RunId, RunStatus, Seal, Verdict, WorkloadId, WorkloadManager,
};

use crate::sorter::Sorter;

/// How many records are taken into the archive at once.
const BATCH: usize = 512;
/// When nothing has come for this long, all that there was has come.
const QUIET: Duration = Duration::from_millis(250);
/// How long to wait before something is tried again; it doubles with each time in vain.
const PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// How far a capture is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Waiting,
    /// The archive knows the run.
    Begun,
    /// It has all that there was to be read.
    CaughtUp,
    /// It has all that the run will ever write.
    Drained,
    /// It is sealed, here or on another server.
    Sealed,
}

pub(crate) struct Capture {
    pub(crate) manager: Arc<dyn WorkloadManager>,
    pub(crate) archive: Arc<dyn LogStore>,
    pub(crate) run: RunId,
    pub(crate) aliases: Vec<WorkloadId>,
    pub(crate) stage: watch::Sender<Stage>,
}

impl Capture {
    pub(crate) async fn run(self) {
        let mut pauses = Pauses::default();
        while let Err(error) = self.archive.begin(&self.run, &self.aliases).await {
            pauses.after("begin", &self.run, &error).await;
        }
        self.reach(Stage::Begun);
        let status = self.copy().await;
        self.reach(Stage::Drained);
        let verdict = status.verdict.unwrap_or_else(|| {
            Verdict::new(Outcome::Failed, Reason::BackendFailure, "the backend does not say how it ended", "")
        });
        let seal = Seal::new(self.run.clone(), status.finished.unwrap_or_else(Timestamp::now), &verdict);
        let mut pauses = Pauses::default();
        while let Err(error) = self.archive.seal(&seal).await {
            pauses.after("seal", &self.run, &error).await;
        }
        self.reach(Stage::Sealed);
    }

    fn reach(&self, stage: Stage) {
        self.stage.send_if_modified(|known| {
            let is_further = stage > *known;
            *known = stage.max(*known);
            is_further
        });
    }

    /// Copies until the run has ended, and tells how.
    async fn copy(&self) -> RunStatus {
        let follow = self.manager.capabilities().follow_logs;
        let mut sorter = Sorter::new(self.run.clone());
        let mut known = HashSet::new();
        let mut after = None;
        let mut pauses = Pauses::default();
        loop {
            // Known before the log is read, so that what is read then is all of it.
            let before = if follow { None } else { Some(self.end().await) };
            let query = LogQuery {
                attempt: Some(self.run.attempt),
                after: after.clone(),
                follow,
                ..LogQuery::default()
            };
            let copied = match self.manager.logs(&self.run.workload, &query).await {
                Ok(log) => self.take(log, &mut sorter, &mut known, &mut after, &mut pauses).await,
                // It is gone, and with it whatever was not read.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                // The backend has forgotten its own place; what comes again is left out by the archive.
                Err(error) if error.kind() == ErrorKind::InvalidRequest && after.is_some() => {
                    after = None;
                    sorter = Sorter::new(self.run.clone());
                    Err(error)
                }
                Err(error) => Err(error),
            };
            match copied {
                Ok(()) => {}
                // Another server has sealed it, or was about to.
                Err(error) if error.kind() == ErrorKind::Conflict => return self.end().await,
                Err(error) => {
                    pauses.after("copy", &self.run, &error).await;
                    continue;
                }
            }
            let ended = if before.is_some() { before } else { self.ended().await };
            if let Some(status) = ended {
                return status;
            }
            // A followed log should not end before its run.
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes a log into the archive, to its end. A place is known to be taken when all before it is.
    async fn take(
        &self,
        log: LogStream,
        sorter: &mut Sorter,
        known: &mut HashSet<LogOutput>,
        after: &mut Option<Cursor>,
        pauses: &mut Pauses,
    ) -> Result<()> {
        let mut batches = log.ready_chunks(BATCH);
        loop {
            let batch = if let Ok(batch) = timeout(QUIET, batches.next()).await {
                batch
            } else {
                self.reach(Stage::CaughtUp);
                batches.next().await
            };
            let Some(batch) = batch else { return Ok(()) };
            let mut broken = None;
            let mut records: Vec<LogRecord> = Vec::with_capacity(batch.len());
            for record in batch {
                match record {
                    Ok(record) => records.push(record),
                    Err(error) => broken = Some(error),
                }
            }
            let place = records.last().and_then(|record| record.cursor.clone());
            self.keep(records, sorter, known).await?;
            if place.is_some() {
                *after = place;
            }
            if let Some(error) = broken {
                return Err(error);
            }
            pauses.reset();
        }
    }

    /// Appends records, however long it takes: what was read is held until the archive has it.
    async fn keep(
        &self,
        records: Vec<LogRecord>,
        sorter: &mut Sorter,
        known: &mut HashSet<LogOutput>,
    ) -> Result<()> {
        for (output, lines) in sorter.sort(records) {
            let Some(first) = lines.first() else { continue };
            if !output.is_manager() && known.insert(output.clone()) {
                let end = self.insist("position", || self.archive.position(&output)).await?;
                if end.is_some_and(|end| first.position > end) {
                    let text =
                        "lines may be missing here: the node has rotated them away before they were archived";
                    let (told, line) = sorter.note(first.position, text);
                    self.insist("append", || self.archive.append(&told, std::slice::from_ref(&line))).await?;
                }
            }
            self.insist("append", || self.archive.append(&output, &lines)).await?;
        }
        Ok(())
    }

    /// Calls the archive until it answers, or says that the run is sealed.
    async fn insist<T, F: Future<Output = Result<T>>>(
        &self,
        what: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T> {
        let mut pauses = Pauses::default();
        loop {
            match call().await {
                Err(error) if error.kind() != ErrorKind::Conflict => {
                    pauses.after(what, &self.run, &error).await;
                }
                answer => return answer,
            }
        }
    }

    /// The run's end, if it has come. A run that is gone has ended.
    async fn ended(&self) -> Option<RunStatus> {
        let mut pauses = Pauses::default();
        let mut is_missed = false;
        loop {
            match self.manager.status(&self.run).await {
                Ok(status) => return status.phase.is_terminal().then_some(status),
                Err(error) if error.kind() == ErrorKind::NotFound && is_missed => {
                    return Some(self.vanished());
                }
                Err(error) => {
                    // What has just been made may not be known everywhere yet.
                    is_missed = error.kind() == ErrorKind::NotFound;
                    pauses.after("status", &self.run, &error).await;
                }
            }
        }
    }

    /// Waits for the run's end.
    async fn end(&self) -> RunStatus {
        let mut pauses = Pauses::default();
        loop {
            let error = match self.manager.watch(&self.run).await {
                Ok(mut states) => loop {
                    match states.next().await {
                        Some(Ok(status)) if status.phase.is_terminal() => return status,
                        Some(Ok(_)) => {}
                        Some(Err(error)) => break error,
                        None => {
                            break Error::new(
                                ErrorKind::Unavailable,
                                "the run's states ended before the run",
                            );
                        }
                    }
                },
                Err(error) if error.kind() == ErrorKind::NotFound => match self.ended().await {
                    Some(status) => return status,
                    None => error,
                },
                Err(error) => error,
            };
            pauses.after("watch", &self.run, &error).await;
        }
    }

    fn vanished(&self) -> RunStatus {
        let message = "the run was removed before its end was seen";
        let verdict = Verdict::new(Outcome::Failed, Reason::JobDeleted, message, "");
        RunStatus::new(self.run.clone(), wm_core::Phase::Failed).with_verdict(verdict)
    }
}

/// Trying again is all that a capture does about trouble: it never fails a run.
#[derive(Debug, Default)]
struct Pauses {
    count: u32,
}

impl Pauses {
    async fn after(&mut self, what: &'static str, run: &RunId, error: &Error) {
        if self.count == 0 {
            tracing::warn!(%error, what, %run, "A log can't be archived at the moment, trying again");
        } else {
            tracing::debug!(%error, what, %run, "A log can't be archived at the moment, trying again");
        }
        let pause = (PAUSE * (1 << self.count.min(5))).min(MOST_PAUSE);
        self.count += 1;
        tokio::time::sleep(error.retry_after().map_or(pause, |wait| wait.min(MOST_PAUSE))).await;
    }

    fn reset(&mut self) {
        self.count = 0;
    }
}
