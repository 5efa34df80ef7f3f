use std::fmt;

use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::Serialize;

use crate::{Attempt, Result};

/// The lines of a workload's log, in order.
pub type LogStream = BoxStream<'static, Result<LogRecord>>;

/// One line of a workload's log.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// When it was written, as far as that is known.
    pub time: Option<Timestamp>,
    /// Who wrote it.
    pub source: LogSource,
    /// The line without its end; any bytes, not necessarily text.
    pub line: Vec<u8>,
    /// Whether the line was ended: false only for a last line without a newline.
    pub ended: bool,
}

impl LogRecord {
    /// Makes an ended line.
    pub fn new(time: Option<Timestamp>, source: LogSource, line: impl Into<Vec<u8>>) -> Self {
        Self { time, source, line: line.into(), ended: true }
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
    },
    /// The manager, or the server through [`log`](crate::WorkloadManager::log).
    Manager,
}

/// Which lines of a log to read; the default is all that there are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only this attempt; all by default.
    pub attempt: Option<Attempt>,
    /// Only the last lines, this many.
    pub tail: Option<u64>,
    /// Only lines that are not older.
    pub since: Option<Timestamp>,
    /// Go on with new lines until the last attempt has ended.
    pub follow: bool,
}
