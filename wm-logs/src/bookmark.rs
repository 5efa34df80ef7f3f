//! How far a log has been read, as text that any server can read.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use wm_core::{Cursor, Error, ErrorKind, LogPosition, Result};

use crate::layout::StreamId;

/// The notation, so that a later one can be told from it.
const VERSION: &str = "l1";

/// How far a stream has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The chunk in which there may be more: the last one that was read in, or the one behind it.
    pub(crate) offset: u64,
    /// The place of the last record that was read.
    pub(crate) place: Option<LogPosition>,
}

/// How far each stream has been read; those that are not named, not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bookmark(BTreeMap<StreamId, Mark>);

impl Bookmark {
    pub(crate) fn mark(&self, stream: &StreamId) -> Mark {
        self.0.get(stream).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, stream: &StreamId, mark: Mark) {
        if let Some(known) = self.0.get_mut(stream) {
            *known = mark;
        } else {
            self.0.insert(stream.clone(), mark);
        }
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.0.keys()
    }

    pub(crate) fn to_cursor(&self) -> Cursor {
        let mut text = String::with_capacity(16 + 128 * self.0.len());
        text.push_str(VERSION);
        for (stream, Mark { offset, place }) in &self.0 {
            // Writing to a String can't fail.
            let _infallible = write!(text, ";{stream}={offset:x}");
            if let Some(LogPosition { time, count }) = place {
                let _infallible = write!(text, ",{},{count}", time.as_nanosecond());
            }
        }
        Cursor::new(text)
    }

    /// Reads a place back.
    ///
    /// # Errors
    /// `InvalidRequest` for what is none.
    pub(crate) fn parse(cursor: &Cursor) -> Result<Self> {
        parse(cursor.as_str()).ok_or_else(|| foreign(cursor))
    }
}

/// The error of a place that is none of this log.
pub(crate) fn foreign(cursor: &Cursor) -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        "this is no place of this log; use one that a line of it told, or read the log since a time",
    )
    .with_context("cursor", cursor.as_str().chars().take(200).collect::<String>())
}

fn parse(text: &str) -> Option<Bookmark> {
    let mut parts = text.split(';');
    if parts.next()? != VERSION {
        return None;
    }
    let marks = parts.map(|part| {
        let (stream, mark) = part.split_once('=')?;
        let mut numbers = mark.split(',');
        let offset = u64::from_str_radix(numbers.next()?, 16).ok()?;
        let place = match (numbers.next(), numbers.next(), numbers.next()) {
            (None, None, None) => None,
            (Some(time), Some(count), None) => {
                let time = Timestamp::from_nanosecond(time.parse().ok()?).ok()?;
                Some(LogPosition { time, count: count.parse().ok()? })
            }
            _ => return None,
        };
        Some((StreamId::parse(stream)?, Mark { offset, place }))
    });
    Some(Bookmark(marks.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was() {
        let mut bookmark = Bookmark::default();
        assert_eq!(Bookmark::parse(&bookmark.to_cursor()).unwrap(), bookmark);
        let time = Timestamp::from_nanosecond(1_790_000_000_123_456_789).unwrap();
        let mark = Mark { offset: 0x1f, place: Some(LogPosition { time, count: 2 }) };
        bookmark.set(&StreamId::parse("a/outputs/run-0000000001/pod/main/0").unwrap(), mark);
        bookmark.set(&StreamId::parse("a/messages/w.0").unwrap(), Mark::default());
        let cursor = bookmark.to_cursor();
        let text = "l1;a/messages/w.0=0;a/outputs/run-0000000001/pod/main/0=1f,1790000000123456789,2";
        assert_eq!(cursor.as_str(), text);
        assert_eq!(Bookmark::parse(&cursor).unwrap(), bookmark);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "no place",
            "1",
            "l1;",
            "l1;a/messages/w.0",
            "l1;a/messages/w.0=x",
            "l1;a/messages/w.0=1,2",
            "l1;a/b=0",
        ] {
            let error = Bookmark::parse(&Cursor::new(text)).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        }
    }
}
