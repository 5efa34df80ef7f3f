//! A run from its submission to its end, as `wm run` shows it.

use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use tokio::time::timeout;
use workload_manager::{LogQuery, RunHandle, RunId, Verdict};

use super::{failure::Failure, lines, progress::Progress};

/// How long the log may take to end after the run has: a node that is gone never ends it.
const LAST_LINES: Duration = Duration::from_secs(30);

/// The end of a run.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) run: Option<RunId>,
    pub(crate) verdict: Verdict,
    /// Whether its whole log was written.
    pub(crate) log_shown: bool,
}

/// Shows phases and log until both have ended.
pub(crate) async fn follow(handle: &RunHandle, progress: &Progress) -> Result<End, Failure> {
    let phases = phases(handle, progress);
    let log = log(handle, progress);
    pin_mut!(phases, log);
    let mut log_shown = None;
    let verdict = loop {
        tokio::select! {
            shown = &mut log, if log_shown.is_none() => log_shown = Some(shown?),
            verdict = &mut phases => break verdict?,
        }
    };
    let log_shown = match log_shown {
        Some(shown) => shown,
        None => match timeout(LAST_LINES, log).await {
            Ok(shown) => shown?,
            Err(_elapsed) => {
                progress.note("the run has ended, but its log has not: its last lines may be missing")?;
                false
            }
        },
    };
    Ok(End { run: handle.run(), verdict, log_shown })
}

async fn phases(handle: &RunHandle, progress: &Progress) -> Result<Verdict, Failure> {
    let mut states = handle.follow();
    while let Some(state) = states.next().await {
        progress.status(&state?)?;
    }
    Ok(handle.wait().await?)
}

/// Writes the log of this attempt as it comes, and of those that are made because it never began. What can't be read is
/// told, but the run is followed all the same.
async fn log(handle: &RunHandle, progress: &Progress) -> Result<bool, Failure> {
    let mut run = handle.run();
    let mut is_whole = true;
    loop {
        let attempt = run.as_ref().map(|run| run.attempt);
        let query = LogQuery { attempt, follow: true, ..LogQuery::default() };
        let end = match handle.logs(&query).await {
            Ok(lines) => lines::write(lines, |records| progress.records(records)).await?,
            Err(error) => Err(error),
        };
        if let Err(error) = &end {
            progress.note(&format!("the log can't be read: {error}"))?;
        }
        is_whole &= end.is_ok();
        let Some(last) = &run else { return Ok(is_whole) };
        run = handle.retry_of(last).await;
        if run.is_none() {
            return Ok(is_whole);
        }
    }
}
