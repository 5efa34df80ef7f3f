//! The log of a workload: lines in memory, and who waits for more.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::watch;
use wm_core::{Attempt, Cursor, Error, ErrorKind, LogQuery, LogRecord, LogSource, LogStream, Result};

/// One log over all attempts.
#[derive(Default)]
pub(super) struct Log(watch::Sender<Lines>);

#[derive(Default)]
struct Lines {
    records: Vec<LogRecord>,
    /// How many places have been told: each record has one of its own.
    places: u64,
    /// The attempts that may write more.
    open: BTreeSet<Attempt>,
}

impl Log {
    pub(super) fn open(&self, attempt: Attempt) {
        self.0.send_modify(|lines| {
            lines.open.insert(attempt);
        });
    }

    pub(super) fn close(&self, attempt: Attempt) {
        self.0.send_modify(|lines| {
            lines.open.remove(&attempt);
        });
    }

    pub(super) fn push(&self, record: LogRecord) {
        self.0.send_modify(|lines| lines.put(record));
    }

    /// Adds a message of the server's, each of its lines as a record.
    pub(super) fn say(&self, message: &str) {
        for line in message.strip_suffix('\n').unwrap_or(message).split('\n') {
            self.push(LogRecord::new(Some(Timestamp::now()), LogSource::Manager, line));
        }
    }

    /// Moves another log's lines to where they belong by their time.
    pub(super) fn take_from(&self, other: &Self) {
        let mut moved = Vec::new();
        other.0.send_modify(|lines| moved.append(&mut lines.records));
        self.0.send_modify(|lines| {
            for record in moved {
                lines.put(record);
            }
            lines.records.sort_by_key(|record| record.time);
        });
    }

    /// The last lines of an attempt, as text.
    pub(super) fn last_lines(&self, attempt: Attempt, limit: usize) -> Vec<String> {
        let lines = self.0.borrow();
        let own = lines.records.iter().filter(|record| is_of(record, attempt));
        let mut last: Vec<_> = own.rev().take(limit).map(|record| record.text().into_owned()).collect();
        last.reverse();
        last
    }

    pub(super) fn read(&self, query: &LogQuery) -> Result<LogStream> {
        let read = match &query.after {
            Some(place) => self.0.borrow().behind(place)?,
            None => 0,
        };
        let mut lines = self.0.subscribe();
        lines.mark_changed();
        let reader = Reader { lines, query: query.clone(), read };
        let batches = stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            // The log may be deleted meanwhile.
            reader.lines.changed().await.ok()?;
            let (records, is_over) = reader.advance();
            Some((records, (!is_over).then_some(reader)))
        });
        Ok(batches.flat_map(stream::iter).map(Ok).boxed())
    }
}

impl Lines {
    fn put(&mut self, record: LogRecord) {
        self.places += 1;
        self.records.push(record.with_cursor(Cursor::new(self.places.to_string())));
    }

    /// How many records come before what is behind a place.
    fn behind(&self, place: &Cursor) -> Result<usize> {
        let found = self.records.iter().position(|record| record.cursor.as_ref() == Some(place));
        found.map(|index| index + 1).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidRequest,
                "there is no such place in this log; read it from its start",
            )
            .with_context("place", place.as_str())
        })
    }
}

struct Reader {
    lines: watch::Receiver<Lines>,
    query: LogQuery,
    /// How many records have been looked at.
    read: usize,
}

impl Reader {
    /// The records that are new, and whether they are the last.
    fn advance(&mut self) -> (Vec<LogRecord>, bool) {
        let LogQuery { attempt, since, follow, .. } = self.query;
        let container = self.query.container.as_deref();
        let lines = self.lines.borrow_and_update();
        let new = lines.records.iter().skip(self.read).filter(|record| {
            attempt.is_none_or(|attempt| is_of(record, attempt))
                && container.is_none_or(|container| is_from(record, container))
                && since.is_none_or(|since| record.time >= Some(since))
        });
        let mut records: Vec<_> = new.cloned().collect();
        self.read = lines.records.len();
        // The last lines of what is there now, not of what comes later.
        if let Some(tail) = self.query.tail.take() {
            let tail = usize::try_from(tail).unwrap_or(usize::MAX);
            records.drain(..records.len().saturating_sub(tail));
        }
        let is_open = attempt.map_or(!lines.open.is_empty(), |attempt| lines.open.contains(&attempt));
        (records, !(follow && is_open))
    }
}

fn is_from(record: &LogRecord, of: &str) -> bool {
    matches!(&record.source, LogSource::Output { container, .. } if container == of)
}

/// Whether an attempt's program wrote it; the server's messages are of no attempt.
fn is_of(record: &LogRecord, of: Attempt) -> bool {
    matches!(&record.source, LogSource::Output { attempt, .. } if *attempt == of)
}
