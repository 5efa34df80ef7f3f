use std::{fmt, sync::Arc};

use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Attempt, Result};

/// How many bytes of a line are one record at least, before it goes on in a further one: so a reader needs no more
/// memory for a line of any length.
pub const LOG_PIECE: usize = 256 * 1024;

/// The lines of a workload's log, in order.
pub type LogStream = BoxStream<'static, Result<LogRecord>>;

/// One line of a workload's log, or a piece of one that is longer than [`LOG_PIECE`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// When it was written, as far as that is known.
    pub time: Option<Timestamp>,
    /// Who wrote it.
    pub source: LogSource,
    /// The line without its end; any bytes, not necessarily text.
    pub line: Vec<u8>,
    /// Whether the line ends here. If not, it goes on in the next record of the same source, which has the same time;
    /// the last record of an output has none when the program wrote no newline at its end.
    pub ended: bool,
    /// The place behind it, to read on from; `None` without [`Capabilities::resume_logs`](crate::Capabilities).
    pub cursor: Option<Cursor>,
}

impl LogRecord {
    /// Makes an ended line that tells no place to read on from.
    pub fn new(time: Option<Timestamp>, source: LogSource, line: impl Into<Vec<u8>>) -> Self {
        Self { time, source, line: line.into(), ended: true, cursor: None }
    }

    /// Sets the place behind it.
    #[must_use]
    pub fn with_cursor(mut self, cursor: Cursor) -> Self {
        self.cursor = Some(cursor);
        self
    }

    /// The line as text; bytes that are none are replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.line)
    }
}

impl fmt::Debug for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRecord")
            .field("time", &self.time)
            .field("source", &self.source)
            .field("line", &format_args!("[{} bytes]", self.line.len()))
            .finish_non_exhaustive()
    }
}

/// Who wrote a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "from")]
#[non_exhaustive]
pub enum LogSource {
    /// The workload's own program.
    Output {
        /// In which attempt.
        attempt: Attempt,
        /// In which pod or process.
        instance: String,
        /// In which container.
        container: String,
        /// How often the container had been started before.
        restart: u32,
    },
    /// The manager, or the server through [`log`](crate::WorkloadManager::log).
    Manager,
}

/// A place in a workload's log: text that only the backend that made it can read, on any of its servers.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Cursor(Arc<str>);

impl Cursor {
    /// Makes a place of a backend's own notation.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The backend's notation.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Cursor {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.0.as_ref().to_owned()
    }
}

/// Which lines of a log to read; the default is all that there are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only what this attempt's program wrote, and what the manager told about it; all by default.
    pub attempt: Option<Attempt>,
    /// Only what containers of this name wrote; all by default, with the manager's messages.
    pub container: Option<String>,
    /// Only lines behind this place, which a [`LogRecord`] of the same log told.
    pub after: Option<Cursor>,
    /// Only the last of the lines that there are now, this many; to follow goes on behind them.
    pub tail: Option<u64>,
    /// Only lines that are not older.
    pub since: Option<Timestamp>,
    /// Go on with new lines until the last attempt has ended.
    pub follow: bool,
}
