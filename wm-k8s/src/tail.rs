//! The last lines of a log that are held until its end is known.

use std::collections::VecDeque;

use wm_core::LogRecord;

/// How much is held. A tail that takes more is read a second time instead.
const MOST_HELD: usize = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Tail {
    /// How many lines are wanted.
    lines: u64,
    /// Records, and whether each begins a line.
    held: VecDeque<(LogRecord, bool)>,
    held_bytes: usize,
    held_lines: u64,
    /// How many lines there have been.
    count: u64,
    /// Whether lines went that are wanted unless more come.
    is_short: bool,
}

impl Tail {
    pub(crate) fn new(lines: u64) -> Self {
        Self { lines, held: VecDeque::new(), held_bytes: 0, held_lines: 0, count: 0, is_short: false }
    }

    pub(crate) fn push(&mut self, record: LogRecord, first: bool) {
        self.count += u64::from(first);
        self.held_lines += u64::from(first);
        self.held_bytes += size(&record);
        self.held.push_back((record, first));
        while self.held_lines > self.lines {
            self.drop_line();
            self.is_short = self.is_short && self.held_lines < self.lines;
        }
        while self.held_bytes > MOST_HELD {
            self.drop_line();
        }
        self.is_short = self.held_lines < self.lines.min(self.count);
    }

    fn drop_line(&mut self) {
        while let Some((record, first)) = self.held.pop_front() {
            self.held_bytes -= size(&record);
            self.held_lines -= u64::from(first);
            if self.held.front().is_none_or(|(_, first)| *first) {
                break;
            }
        }
    }

    /// How many lines there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many of them come before the tail, where it is not held.
    pub(crate) fn skipped(&self) -> Option<u64> {
        self.is_short.then(|| self.count - self.lines.min(self.count))
    }

    pub(crate) fn into_records(self) -> impl Iterator<Item = LogRecord> {
        self.held.into_iter().map(|(record, _)| record)
    }
}

fn size(record: &LogRecord) -> usize {
    let cursor = record.cursor.as_ref().map_or(0, |cursor| cursor.as_str().len());
    size_of::<LogRecord>() + record.line.len() + cursor
}
