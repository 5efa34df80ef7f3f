//! The contract's methods.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::future::join_all;
use wm_core::{
    Capabilities, Error, ErrorKind, Finding, ImageRequest, LogQuery, LogStream, Mend, Report, ResolvedImage,
    Result, RunFilter, RunId, RunRequest, RunStatus, StatusStream, Submission, WorkloadId, WorkloadManager,
};

use super::{board::Board, factory::Options, run::Stop};

/// What a workload without an image is said to start from.
const NO_IMAGE: &str = "subprocess/none";

/// Runs workloads as subprocesses, which end with it.
pub(super) struct SubprocessWorkloadManager {
    options: Options,
    board: Mutex<Board>,
}

impl SubprocessWorkloadManager {
    pub(super) fn new(options: Options) -> Self {
        Self { options, board: Mutex::default() }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // No code panics while it holds the lock, so what a poisoned one holds is whole.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SubprocessWorkloadManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubprocessWorkloadManager").field("options", &self.options).finish_non_exhaustive()
    }
}

#[async_trait]
impl WorkloadManager for SubprocessWorkloadManager {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            watch: true,
            keep_secrets: true,
            cancel: true,
            follow_logs: true,
            resume_logs: true,
            ..Capabilities::default()
        }
    }

    async fn preflight(&self) -> Result<Report> {
        let directory = self.options.directory.display();
        let told = match tokio::fs::metadata(&self.options.directory).await {
            Ok(_) => Finding::ok("directory", format!("the programs run in {directory}")),
            Err(error) => Finding::failure(
                "directory",
                format!("the programs are to run in {directory}, which can't be looked at: {error}"),
                Mend::option("directory", "a directory that is there"),
            ),
        };
        Ok(Report::new(vec![told]))
    }

    async fn resolve_image(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        let image = match &request.snapshot_image {
            Some(image) => image.clone(),
            None => NO_IMAGE.parse()?,
        };
        Ok(ResolvedImage::new(image, "the image is only a name: a subprocess has the files of this machine"))
    }

    async fn submit(&self, request: &RunRequest) -> Result<Submission> {
        if request.held {
            return Err(Error::new(ErrorKind::Unsupported, "a subprocess can't be held back"));
        }
        if request.workload.command().is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "a subprocess has no image, and so no entrypoint: name a command",
            )
            .with_context("workload", request.workload.id().as_str()));
        }
        self.board().submit(request, &self.options)
    }

    async fn release(&self, run: &RunId) -> Result<()> {
        // None is ever held, so there is nothing to start.
        self.board().run(run).map(drop)
    }

    async fn status(&self, run: &RunId) -> Result<RunStatus> {
        Ok(self.board().run(run)?.status())
    }

    async fn watch(&self, run: &RunId) -> Result<StatusStream> {
        Ok(self.board().run(run)?.watch())
    }

    async fn list(&self, filter: &RunFilter) -> Result<Vec<RunStatus>> {
        Ok(self.board().list(filter))
    }

    async fn logs(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        self.board().log(workload)?.read(query)
    }

    async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()> {
        self.board().log_to_write(workload).say(message);
        Ok(())
    }

    async fn cancel(&self, run: &RunId) -> Result<()> {
        if let Ok(run) = self.board().run(run) {
            run.stop(Stop::Ask);
        }
        Ok(())
    }

    async fn delete(&self, workload: &WorkloadId) -> Result<()> {
        let runs = self.board().forget(workload);
        for run in &runs {
            run.stop(Stop::Kill);
        }
        join_all(runs.iter().map(|run| run.ended())).await;
        Ok(())
    }
}
