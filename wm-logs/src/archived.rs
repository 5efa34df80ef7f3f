use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{
    StreamExt as _, TryStreamExt as _,
    future::{join, join_all},
};
use jiff::Timestamp;
use tokio::{task::JoinSet, time::timeout};
use wm_core::{
    Capabilities, ErrorKind, Finding, ImageRequest, LogQuery, LogRecord, LogStore, LogStream, Mend, Report,
    ResolvedImage, Result, RunFilter, RunId, RunRequest, RunStatus, StatusStream, Submission, WorkloadId,
    WorkloadManager,
};

use crate::{capture::Stage, captures::Captures};

/// How long a message may take on its way into the archive before its caller goes on; it stays on its way.
const MESSAGE: Duration = Duration::from_millis(250);
/// How long a reader waits for what a run has written so far, and for all of what an ended one wrote.
const CATCH_UP: Duration = Duration::from_secs(2);
const DRAIN: Duration = Duration::from_secs(10);
/// How often to look whether a deleted run is gone.
const GLANCE: Duration = Duration::from_millis(20);

/// A backend whose logs outlive its runs: they are captured while the runs live, and read from an archive.
///
/// The log of each run that is submitted is copied as it is written; so are those of runs which another server left. A
/// run is sealed with its verdict when all of its log is there. Trouble with the archive never fails a run: lines wait
/// in the backend, messages in memory. Whatever is no matter of logs is the backend's.
///
/// The captures end with it; what they had not finished goes on where another server takes it up.
pub struct ArchivedWorkloadManager {
    manager: Arc<dyn WorkloadManager>,
    archive: Arc<dyn LogStore>,
    captures: Arc<Captures>,
    /// Owns what runs beside: dropped, it ends.
    _tasks: JoinSet<()>,
}

impl ArchivedWorkloadManager {
    /// Puts an archive behind a backend. Call it within a `tokio` runtime.
    pub fn new(manager: Arc<dyn WorkloadManager>, archive: Arc<dyn LogStore>) -> Self {
        let (captures, tending) = Captures::new(Arc::clone(&manager), Arc::clone(&archive));
        let mut tasks = JoinSet::new();
        tasks.spawn(tending);
        Self { manager, archive, captures, _tasks: tasks }
    }

    /// Waits until the archive has what a reader of these runs' log is to see; tells whether more is to come.
    async fn catch_up(&self, runs: Vec<RunStatus>, query: &LogQuery) -> Result<bool> {
        let captures = self.captures.ensure(runs).await?;
        let more = !captures.is_empty();
        join_all(captures.into_iter().map(|(mut stage, status)| async move {
            let (wanted, limit) = match (query.follow && query.tail.is_none(), status.phase.is_terminal()) {
                (true, _) => (Stage::Begun, CATCH_UP),
                (false, true) => (Stage::Drained, DRAIN),
                (false, false) => (Stage::CaughtUp, CATCH_UP),
            };
            // Who is late reads what is there.
            let _in_time = timeout(limit, stage.wait_for(|stage| *stage >= wanted)).await;
        }))
        .await;
        Ok(more)
    }

    async fn archived(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        let mut query = query.clone();
        match self.manager.list(&RunFilter::of(workload)).await {
            Ok(mut runs) => {
                runs.retain(|status| query.attempt.is_none_or(|attempt| status.run.attempt == attempt));
                // What nobody captures has ended, or will not be heard of again.
                query.follow &= self.catch_up(runs, &query).await?;
            }
            Err(error) => tracing::warn!(%error, %workload, "The log is read as far as it is archived"),
        }
        self.archive.read(workload, &query).await
    }

    /// Looks whether the archive can be read. Whether it can be written to is known once something is.
    async fn look(&self) -> Finding {
        // The log of nothing; asking for it lists what is there.
        let answer = match WorkloadId::new("preflight") {
            Ok(nothing) => timeout(DRAIN, self.archive.seals(&nothing)).await,
            Err(error) => Ok(Err(error)),
        };
        let can = self.archive.capabilities();
        let trouble = match answer {
            Ok(Err(error)) if error.kind() != ErrorKind::NotFound => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
            Ok(_) if !can.exactly_once => {
                return Finding::note(
                    "archive",
                    "logs are archived; lines may be there twice, as the store can't refuse to write a key again",
                );
            }
            Ok(_) if !can.delete => {
                return Finding::note(
                    "archive",
                    "logs are archived; they stay when a workload is deleted, as there is no right to remove them",
                );
            }
            Ok(_) => return Finding::ok("archive", "logs are archived"),
        };
        let mend = Mend::words(
            "give the server the rights to read, write and list where the logs go, and see that it is reached",
        );
        Finding::warning(
            "archive",
            format!("logs can't be archived now, runs work all the same: {trouble}"),
            mend,
        )
    }

    /// Waits until the backend does not list a deleted workload any more: its log would be taken up anew.
    async fn gone(&self, workload: &WorkloadId) {
        let filter = RunFilter::of(workload);
        let gone = async {
            while self.manager.list(&filter).await.is_ok_and(|runs| !runs.is_empty()) {
                tokio::time::sleep(GLANCE).await;
            }
        };
        // Who deletes does not wait for ever.
        let _in_time = timeout(DRAIN, gone).await;
    }

    /// The backend's own log, while the archive is away. Its places would be none of the archive's.
    async fn live(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        let log = self.manager.logs(workload, query).await?;
        let placeless = log.map_ok(|mut record: LogRecord| {
            record.cursor = None;
            record
        });
        Ok(placeless.boxed())
    }
}

impl fmt::Debug for ArchivedWorkloadManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchivedWorkloadManager")
            .field("manager", &self.manager)
            .field("archive", &self.archive)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl WorkloadManager for ArchivedWorkloadManager {
    fn capabilities(&self) -> Capabilities {
        Capabilities { follow_logs: true, resume_logs: true, ..self.manager.capabilities() }
    }

    async fn preflight(&self) -> Result<Report> {
        let (report, archive) = join(self.manager.preflight(), self.look()).await;
        let mut report = report?;
        report.findings.push(archive);
        Ok(report)
    }

    async fn resolve_image(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        self.manager.resolve_image(request).await
    }

    async fn submit(&self, request: &RunRequest) -> Result<Submission> {
        let submission = self.manager.submit(request).await?;
        if !submission.adopted || !self.captures.has_sealed(&submission.run) {
            self.captures.start(&submission.run, request.workload.aliases().cloned());
        }
        Ok(submission)
    }

    async fn release(&self, run: &RunId) -> Result<()> {
        self.manager.release(run).await
    }

    async fn status(&self, run: &RunId) -> Result<RunStatus> {
        self.manager.status(run).await
    }

    async fn watch(&self, run: &RunId) -> Result<StatusStream> {
        self.manager.watch(run).await
    }

    async fn list(&self, filter: &RunFilter) -> Result<Vec<RunStatus>> {
        self.manager.list(filter).await
    }

    async fn logs(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        match self.archived(workload, query).await {
            Err(error) if error.is_retryable() && query.after.is_none() => {
                tracing::warn!(%error, %workload, "The archive is away, the log is read from where it is written");
                self.live(workload, query).await
            }
            log => log,
        }
    }

    async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()> {
        self.archive.message(workload, Timestamp::now(), message).await?;
        if let Ok(Err(error)) = timeout(MESSAGE, self.archive.flush(workload)).await {
            tracing::debug!(%error, %workload, "A message waits for the archive");
        }
        Ok(())
    }

    async fn cancel(&self, run: &RunId) -> Result<()> {
        self.manager.cancel(run).await
    }

    /// Deletes the runs, and their log where the archive can; where it can't, that is a warning in the trace.
    async fn delete(&self, workload: &WorkloadId) -> Result<()> {
        if !self.archive.capabilities().delete {
            self.manager.delete(workload).await?;
            tracing::warn!(%workload, "The runs are deleted, their log stays: this archive can't remove it");
            return Ok(());
        }
        // What is still captured afterwards would be there again.
        self.captures.stop(workload).await;
        if let Err(error) = self.manager.delete(workload).await {
            if let Ok(runs) = self.manager.list(&RunFilter::of(workload)).await {
                let _captures = self.captures.ensure(runs).await;
            }
            return Err(error);
        }
        self.gone(workload).await;
        match self.archive.delete(workload).await {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                tracing::warn!(%error, %workload, "The runs are deleted, their log stays");
                Ok(())
            }
            answer => answer,
        }
    }
}
