//! What one container of a pod writes, over all its starts, whatever becomes of the connections.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{Stream, stream};
use jiff::Timestamp;
use kube::api::LogParams;
use tokio::sync::Notify;
use wm_core::{Error, ErrorKind, LogRecord, LogSource, Result};

use crate::{
    board::Changes,
    bookmark::Mark,
    connection::{Connection, Event},
    lines::{Line, Piece},
    place::{News, Progress},
    shared::Shared,
    view::{JobView, OutputState, PodView},
};

/// How long to wait before something is tried or looked at again; it grows with each time in vain.
const PAUSE: Duration = Duration::from_millis(250);
const MOST_PAUSE: Duration = Duration::from_secs(5);
/// How long a stream that has ended waits for the news that its container has, before it is taken for cut.
const LAG: Duration = Duration::from_secs(2);
/// How often one that does not follow tries in a row.
const TRIES: u32 = 20;
/// How often a node may excuse itself before that is told.
const EXCUSES: u32 = 4;

/// Whose output is read.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) job: Arc<JobView>,
    /// As it was when it was looked at last, which may be newer than what the watch has told.
    pub(crate) pod: Arc<PodView>,
    pub(crate) container: String,
}

/// How it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// To the end of the container, and not only what there is now.
    pub(crate) follow: bool,
    /// Whether the board tells of changes; else they are looked for.
    pub(crate) live: bool,
    /// Whether a line that is still being written is given as far as it goes, to who does not wait for the rest.
    pub(crate) in_parts: bool,
    pub(crate) since: Option<Timestamp>,
}

/// A line or piece, and how far the container has been read with it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) record: LogRecord,
    /// Whether a line begins with it.
    pub(crate) first: bool,
    pub(crate) mark: Mark,
}

/// Reads on from a mark. `opened` hears when the log is open, or why it takes longer.
pub(crate) fn read(
    shared: Arc<Shared>,
    subject: Subject,
    mark: Option<Mark>,
    mode: Mode,
    opened: Arc<Notify>,
) -> impl Stream<Item = Result<Item>> + Send + 'static {
    let changes = shared.board.subscribe(&subject.job.name);
    let output = Output {
        shared,
        subject,
        mode,
        opened,
        changes,
        progress: Progress::new(mark.and_then(|mark| mark.place)),
        restart: mark.map(|mark| mark.restart),
        connection: None,
        ready: VecDeque::new(),
        read: None,
        unended: None,
        was_cut: true,
        in_vain: 0,
        excuses: 0,
        silences: 0,
        is_over: false,
    };
    stream::try_unfold(
        output,
        |mut output| async move { Ok(output.next().await?.map(|item| (item, output))) },
    )
}

struct Output {
    shared: Arc<Shared>,
    subject: Subject,
    mode: Mode,
    opened: Arc<Notify>,
    changes: Changes,
    progress: Progress,
    /// Which start of the container is read; none before the first look.
    restart: Option<u32>,
    connection: Option<Connection>,
    ready: VecDeque<Item>,
    /// The last start that has been read to its end.
    read: Option<u32>,
    /// What stood behind the last newline when a stream ended. It comes again, unless the pod is gone.
    unended: Option<Item>,
    /// Whether there may be more than was read: nothing has been, or the last stream did not end by itself.
    was_cut: bool,
    /// How often nothing new has come in a row, by whatever cause.
    in_vain: u32,
    excuses: u32,
    silences: u32,
    is_over: bool,
}

impl Output {
    async fn next(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if self.is_over {
                return Ok(None);
            }
            let Some(connection) = &mut self.connection else {
                self.open().await?;
                continue;
            };
            match connection.next(&mut self.changes).await {
                Event::Line(Line::Output(piece)) => self.accept(piece),
                Event::Line(Line::Foreign(excuse)) => self.excuse(&excuse).await,
                Event::Changed => {
                    if self.has_ended_meanwhile()
                        && let Some(connection) = &mut self.connection
                    {
                        connection.drain();
                    }
                }
                Event::Ended => self.end().await,
                Event::Silent => {
                    self.silences += 1;
                    self.broke("it says nothing");
                    if !self.mode.follow && !self.may_try_again().await {
                        return Err(self.broken("the log could not be read: the node says nothing"));
                    }
                }
                Event::Broken(error) => {
                    self.broke(&error);
                    if !self.may_try_again().await {
                        let error = self
                            .broken("the log could not be read: its stream broke again and again")
                            .with_source(error);
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Opens the log of the start that is to be read next, or waits until there is one.
    async fn open(&mut self) -> Result<()> {
        // What changes from here on is heard of.
        self.changes.skip();
        let now = self.look().await?;
        let is_gone = now.is_none();
        let pod = now.unwrap_or_else(|| Arc::clone(&self.subject.pod));
        let view = pod.outputs().find(|one| one.container == self.subject.container).unwrap_or_default();
        let is_last =
            is_gone || pod.is_over() || (view.state == OutputState::Ended && pod.terminated().is_some());
        if !view.has_started() || self.read == Some(view.restarts) {
            self.wait_unless(is_last || !self.mode.follow).await;
            return Ok(());
        }
        let previous = self.choose(view.restarts);
        let has_ended = is_gone || pod.is_over() || previous || view.state == OutputState::Ended;
        let floor = |time: Timestamp| Timestamp::from_second(time.as_second()).ok();
        let params = LogParams {
            container: Some(self.subject.container.clone()),
            follow: self.mode.follow && !has_ended,
            previous,
            timestamps: true,
            since_time: self.progress.since().max(self.mode.since.and_then(floor)),
            ..LogParams::default()
        };
        match self.shared.api.log(&pod.name, &params).await {
            Ok(stream) => {
                self.opened.notify_one();
                self.unended = None;
                self.connection = Some(Connection::new(stream, has_ended, self.silences));
                Ok(())
            }
            Err(error) if error.is_not_found() => {
                self.ready.extend(self.unended.take());
                if self.was_cut {
                    self.note("the pod is gone, and with it what it had written that was not read yet");
                }
                self.is_over = true;
                Ok(())
            }
            Err(error) if error.refusal().is_some_and(|refusal| matches!(refusal.code, 204 | 400)) => {
                if previous {
                    self.note("what the container wrote before it was started again is gone from the node");
                    self.finish_start();
                } else {
                    self.wait_unless(has_ended || !self.mode.follow).await;
                }
                Ok(())
            }
            Err(error) if error.is_temporary() => {
                tracing::debug!(?error, pod = &*pod.name, "A log could not be opened, trying again");
                if let Some(wait) = error.retry_after() {
                    self.opened.notify_one();
                    tokio::time::sleep(wait).await;
                }
                if self.may_try_again().await {
                    return Ok(());
                }
                Err(error
                    .into_error("the log could not be read", self.shared.api.namespace())
                    .with_context("pod", &*pod.name))
            }
            Err(error) => Err(error
                .into_error("the log could not be read", self.shared.api.namespace())
                .with_context("pod", &*pod.name)),
        }
    }

    /// Decides which start of the container to read, and tells whether it is the one before the present one: a node
    /// keeps these two.
    fn choose(&mut self, current: u32) -> bool {
        let (start, goes_on) = match self.restart {
            Some(known) if self.read == Some(known) => (known + 1, false),
            Some(known) => (known, true),
            None => (0, false),
        };
        let oldest = current.saturating_sub(1);
        if goes_on && start >= oldest {
            self.progress.reopen();
        } else {
            self.progress.open_another();
        }
        self.restart = Some(start.max(oldest));
        if start < oldest {
            self.note(&format!(
                "what the container wrote before its start number {} is gone from the node, which keeps the last two",
                oldest + 1
            ));
        }
        oldest < current && start < current
    }

    /// The pod as it is now; none when it is gone.
    async fn look(&mut self) -> Result<Option<Arc<PodView>>> {
        let Subject { job, pod, .. } = &self.subject;
        if pod.is_over() {
            return Ok(Some(Arc::clone(pod)));
        }
        let pods = self.shared.pods_of(&job.name, &job.run).await?;
        Ok(pods.into_iter().find(|now| now.uid == pod.uid).map(Arc::new))
    }

    /// Whether the board says by now that the start which is read has ended.
    fn has_ended_meanwhile(&self) -> bool {
        let Subject { job, pod, container } = &self.subject;
        let pods = self.shared.board.pods(&job.name);
        let Some(now) = pods.iter().find(|now| now.uid == pod.uid) else { return self.mode.live };
        let view = now.outputs().find(|one| one.container == *container);
        now.is_over()
            || view
                .is_some_and(|view| view.state != OutputState::Running || Some(view.restarts) != self.restart)
    }

    fn accept(&mut self, piece: Piece) {
        let mark = self.mark();
        let (is_behind, piece) = match self.progress.accept(piece) {
            News::Old => return,
            News::New(piece) => (false, piece),
            News::Behind(piece) => (true, piece),
        };
        (self.in_vain, self.excuses, self.silences) = (0, 0, 0);
        if is_behind {
            let text = "lines are missing here: the node has rotated them away before they were read";
            let record = LogRecord::new(Some(piece.time), LogSource::Manager, text);
            self.ready.push_back(Item { record, first: true, mark });
        }
        let source = LogSource::Output {
            attempt: self.subject.job.run.attempt,
            instance: self.subject.pod.name.to_string(),
            container: self.subject.container.clone(),
            restart: self.mark().restart,
        };
        let mut record = LogRecord::new(Some(piece.time), source, piece.bytes);
        record.ended = piece.ended;
        self.ready.push_back(Item { record, first: piece.first, mark: self.mark() });
    }

    /// A stream has ended, as it does when the container has, or when somebody in between ends it.
    async fn end(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let has_ended = connection.has_ended();
        match connection.finish() {
            Some(Line::Foreign(excuse)) => return self.excuse_of(&excuse, has_ended).await,
            // Without the container's end it may have been cut in the middle of a line, which comes again.
            Some(Line::Output(piece)) if has_ended || self.mode.in_parts => self.accept(piece),
            Some(Line::Output(piece)) => {
                let known = self.progress.clone();
                self.accept(piece);
                self.unended = self.ready.pop_back();
                self.progress = known;
            }
            None => {}
        }
        let was_cut = std::mem::take(&mut self.was_cut);
        if has_ended {
            if was_cut && self.progress.is_missing() {
                self.note("lines may be missing here: the node has rotated away the last that was read");
            }
            self.finish_start();
        } else if !self.mode.follow {
            self.is_over = true;
        } else if !self.has_ended_meanwhile() {
            let lag = if self.mode.live { LAG } else { PAUSE };
            self.wait(lag.max(self.pause())).await;
            self.in_vain += 1;
        }
    }

    /// One start of the container has been read to its end.
    fn finish_start(&mut self) {
        self.read = self.restart;
        self.excuses = 0;
        self.was_cut = true;
    }

    async fn excuse(&mut self, text: &str) {
        let has_ended = self.connection.take().is_some_and(|connection| connection.has_ended());
        self.excuse_of(text, has_ended).await;
    }

    /// The node says why it can't read the log, in the place of the log. It may be able to a moment later.
    async fn excuse_of(&mut self, text: &str, has_ended: bool) {
        tracing::debug!(
            pod = &*self.subject.pod.name,
            text,
            "The node excuses itself, the log is opened again"
        );
        self.was_cut = true;
        self.excuses += 1;
        if self.excuses == EXCUSES {
            self.note(&format!("the node can't read the log: {text}"));
        }
        if self.excuses >= EXCUSES && (has_ended || !self.mode.follow) {
            return self.finish_start();
        }
        self.in_vain += 1;
        self.wait(self.pause()).await;
    }

    fn broke(&mut self, why: impl std::fmt::Display) {
        tracing::debug!(%why, pod = &*self.subject.pod.name, "A log stream broke, it is taken up again");
        self.connection = None;
        self.was_cut = true;
    }

    /// Waits a little, but for the first time; false where that has been in vain for long and nobody follows.
    async fn may_try_again(&mut self) -> bool {
        self.in_vain += 1;
        if self.in_vain > TRIES && !self.mode.follow {
            return false;
        }
        // Most breaks are one connection's; only what breaks again at once is given time.
        if self.in_vain > 1 {
            self.wait(self.pause()).await;
        }
        true
    }

    fn broken(&self, message: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{message}; try again"))
            .with_context("pod", &*self.subject.pod.name)
            .with_context("container", self.subject.container.clone())
    }

    async fn wait_unless(&mut self, is_over: bool) {
        if is_over {
            self.is_over = true;
        } else if self.mode.live {
            self.opened.notify_one();
            self.changes.changed().await;
        } else {
            self.in_vain += 1;
            self.wait(self.pause()).await;
        }
    }

    async fn wait(&mut self, at_most: Duration) {
        self.opened.notify_one();
        let _either = tokio::time::timeout(at_most, self.changes.changed()).await;
    }

    fn pause(&self) -> Duration {
        PAUSE.saturating_mul(1 << self.in_vain.min(8)).min(MOST_PAUSE)
    }

    fn note(&mut self, text: &str) {
        let record = LogRecord::new(self.progress.place().map(|place| place.time), LogSource::Manager, text);
        self.ready.push_back(Item { record, first: true, mark: self.mark() });
    }

    fn mark(&self) -> Mark {
        Mark { restart: self.restart.unwrap_or_default(), place: self.progress.place() }
    }
}
