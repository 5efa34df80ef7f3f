//! A backend in memory, whose one run does what a test says.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::watch;
use wm_core::{
    Attempt, Capabilities, Error, ErrorKind, ImageRequest, LogQuery, LogRecord, LogSource, LogStream,
    Outcome, Phase, Reason, Report, ResolvedImage, Result, RunFilter, RunId, RunRequest, RunStatus,
    StatusStream, Submission, Verdict, WorkloadId, WorkloadKind, WorkloadManager,
};

#[derive(Debug, Default)]
struct State {
    status: Option<RunStatus>,
    records: Vec<LogRecord>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Backend(Arc<watch::Sender<State>>);

pub(crate) fn run() -> RunId {
    RunId { workload: id("nightly"), kind: WorkloadKind::Run, attempt: Attempt::FIRST }
}

pub(crate) fn id(text: &str) -> WorkloadId {
    text.parse().unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

impl Backend {
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.0.send_modify(change);
    }

    fn known(&self) -> Result<RunStatus> {
        let status = self.0.borrow().status.clone();
        status.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such run"))
    }

    /// The program writes lines, one each second.
    pub(crate) fn write(&self, from: i64, to: i64) {
        let source = LogSource::Output {
            attempt: Attempt::FIRST,
            instance: "pod-1".to_owned(),
            container: "main".to_owned(),
            restart: 0,
        };
        let lines = (from..=to)
            .map(|second| LogRecord::new(Some(at(second)), source.clone(), format!("line {second}")));
        self.change(|state| state.records.extend(lines));
    }

    /// The backend tells something about the run.
    pub(crate) fn tell(&self, second: i64, text: &str) {
        let record = LogRecord::new(Some(at(second)), LogSource::Manager, text);
        self.change(|state| state.records.push(record));
    }

    /// The node loses the first records.
    pub(crate) fn rotate(&self, count: usize) {
        self.change(|state| drop(state.records.drain(..count)));
    }

    pub(crate) fn end(&self) {
        let verdict = Verdict::new(Outcome::Failed, Reason::ExitCode, "it ended with exit code 3", "");
        self.change(|state| {
            let status = state.status.take().unwrap();
            state.status = Some(status.with_verdict(verdict));
        });
    }

    /// The Job is gone, and the pod with its log.
    pub(crate) fn forget(&self) {
        self.change(|state| *state = State::default());
    }
}

#[async_trait]
impl WorkloadManager for Backend {
    fn capabilities(&self) -> Capabilities {
        Capabilities { follow_logs: true, ..Capabilities::default() }
    }

    async fn preflight(&self) -> Result<Report> {
        Ok(Report::default())
    }

    async fn resolve_image(&self, _request: &ImageRequest) -> Result<ResolvedImage> {
        Err(Error::new(ErrorKind::Unsupported, "nobody asks"))
    }

    async fn submit(&self, _request: &RunRequest) -> Result<Submission> {
        let adopted = self.known().is_ok();
        if !adopted {
            self.change(|state| state.status = Some(RunStatus::new(run(), Phase::Running)));
        }
        Ok(Submission::new(run(), adopted))
    }

    async fn release(&self, _run: &RunId) -> Result<()> {
        Ok(())
    }

    async fn status(&self, _run: &RunId) -> Result<RunStatus> {
        self.known()
    }

    async fn watch(&self, _run: &RunId) -> Result<StatusStream> {
        self.known()?;
        let news = self.0.subscribe();
        let states = stream::unfold(Some(news), |news| async {
            let mut news = news?;
            let status =
                news.wait_for(|state| state.status.as_ref().is_none_or(|now| now.phase.is_terminal())).await;
            let status = status.ok()?.status.clone()?;
            Some((Ok(status), None))
        });
        Ok(states.boxed())
    }

    async fn list(&self, filter: &RunFilter) -> Result<Vec<RunStatus>> {
        let is_asked_for =
            |status: &RunStatus| filter.workload.as_ref().is_none_or(|id| *id == status.run.workload);
        Ok(self.known().ok().filter(is_asked_for).into_iter().collect())
    }

    async fn logs(&self, _workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        self.known()?;
        let follow = query.follow;
        let state = (self.0.subscribe(), 0, true);
        let records = stream::unfold(state, move |(mut news, read, is_first)| async move {
            if !is_first && !follow {
                return None;
            }
            loop {
                let (new, ended) = {
                    let state = news.borrow_and_update();
                    let new = state.records.get(read..).unwrap_or_default().to_vec();
                    (new, state.status.as_ref().is_none_or(|status| status.phase.is_terminal()))
                };
                if !new.is_empty() || (is_first && !follow) {
                    let read = read + new.len();
                    return Some((stream::iter(new.into_iter().map(Ok)), (news, read, false)));
                }
                if ended || news.changed().await.is_err() {
                    return None;
                }
            }
        });
        Ok(records.flatten().boxed())
    }

    async fn log(&self, _workload: &WorkloadId, _message: &str) -> Result<()> {
        panic!("messages go into the archive");
    }

    async fn cancel(&self, _run: &RunId) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _workload: &WorkloadId) -> Result<()> {
        self.forget();
        Ok(())
    }
}
