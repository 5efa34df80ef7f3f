//! One open log stream.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream::BoxStream};

use crate::{
    board::Changes,
    lines::{Line, Lines},
};

/// How long a stream may say nothing before it is taken for dead, since a connection may die without a word. One that
/// stays silent when it is opened again is given longer.
const PATIENCE: Duration = Duration::from_mins(1);
const MOST_PATIENCE: u32 = 10;
/// The same when its container has ended.
const DRAIN: Duration = Duration::from_secs(10);

/// What comes next.
#[derive(Debug)]
pub(crate) enum Event {
    Line(Line),
    /// Something has changed on the board.
    Changed,
    /// The server has ended the stream.
    Ended,
    /// Nothing has come for long.
    Silent,
    Broken(kube::Error),
}

pub(crate) struct Connection {
    stream: BoxStream<'static, Result<Bytes, kube::Error>>,
    lines: Lines,
    has_ended: bool,
    patience: Duration,
}

impl Connection {
    /// Whether the container had ended before it was opened, so that it has all; and how often it was silent before.
    pub(crate) fn new(
        stream: impl Stream<Item = Result<Bytes, kube::Error>> + Send + 'static,
        has_ended: bool,
        silences: u32,
    ) -> Self {
        let patience = PATIENCE * (1 << silences.min(4)).min(MOST_PATIENCE);
        Self { stream: stream.boxed(), lines: Lines::default(), has_ended, patience }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The container has ended meanwhile: the rest must come soon.
    pub(crate) fn drain(&mut self) {
        self.patience = DRAIN;
    }

    pub(crate) async fn next(&mut self, changes: &mut Changes) -> Event {
        loop {
            if let Some(line) = self.lines.next() {
                return Event::Line(line);
            }
            tokio::select! {
                biased;
                chunk = tokio::time::timeout(self.patience, self.stream.next()) => match chunk {
                    Ok(Some(Ok(bytes))) => self.lines.push(bytes),
                    Ok(Some(Err(error))) => return Event::Broken(error),
                    Ok(None) => return Event::Ended,
                    Err(_elapsed) => return Event::Silent,
                },
                () = changes.changed() => return Event::Changed,
            }
        }
    }

    /// What stands behind the last newline.
    pub(crate) fn finish(self) -> Option<Line> {
        self.lines.finish()
    }
}
