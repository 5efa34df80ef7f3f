//! Lines as they stand in a chunk: a timestamp, a space, the line, as a kubelet gives them.
//!
//! Behind the timestamp may stand, in this order: `#` and which one it is of those with that time, or which message,
//! where that does not follow from the record before; `+` when it goes on with the line before; `~` when the line does
//! not end; `!` for a note of the archive's own; `=` and the number of its bytes for a line that has line breaks.

use std::io::Write as _;

use bytes::{Buf as _, Bytes};
use jiff::Timestamp;
use memchr::memchr;
use wm_core::LogPosition;

/// One line, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) place: LogPosition,
    pub(crate) line: Bytes,
    pub(crate) ended: bool,
    /// Whether it goes on with the line of the record before.
    pub(crate) continued: bool,
    /// Whether the archive says it, not who wrote the stream.
    pub(crate) note: bool,
}

/// How the places of a stream's records go up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By time, and by count where that is the same: of an output.
    Time,
    /// By count alone: messages have any time.
    Count,
}

impl Order {
    /// Whether a place comes after another.
    pub(crate) fn is_after(self, place: LogPosition, other: Option<LogPosition>) -> bool {
        other.is_none_or(|other| match self {
            Self::Time => place > other,
            Self::Count => place.count > other.count,
        })
    }

    fn expected(self, before: Option<LogPosition>, time: Timestamp) -> u32 {
        match (self, before) {
            (Self::Time, Some(before)) if before.time != time => 1,
            (_, Some(before)) => before.count.saturating_add(1),
            (_, None) => 1,
        }
    }
}

/// Writes records as a chunk that can be read without those before it.
#[derive(Debug)]
pub(crate) struct Encoder {
    order: Order,
    before: Option<LogPosition>,
    bytes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(order: Order) -> Self {
        Self { order, before: None, bytes: Vec::new() }
    }

    pub(crate) fn push(&mut self, record: &Record, line: &[u8]) {
        let LogPosition { time, count } = record.place;
        let bytes = &mut self.bytes;
        bytes.reserve(line.len() + 48);
        // Writing to a Vec can't fail.
        let _infallible = write!(bytes, "{time:.9}");
        if count != self.order.expected(self.before, time) {
            let _infallible = write!(bytes, "#{count}");
        }
        for (flag, is_set) in [(b'+', record.continued), (b'~', !record.ended), (b'!', record.note)] {
            if is_set {
                bytes.push(flag);
            }
        }
        if memchr(b'\n', line).is_some() {
            let _infallible = write!(bytes, "={}", line.len());
        }
        bytes.push(b' ');
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        self.before = Some(record.place);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a chunk; `None` when it is none.
pub(crate) fn decode(mut bytes: Bytes, order: Order) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    let mut before = None;
    while !bytes.is_empty() {
        let record = next(&mut bytes, order, before)?;
        before = Some(record.place);
        records.push(record);
    }
    Some(records)
}

fn next(bytes: &mut Bytes, order: Order, before: Option<LogPosition>) -> Option<Record> {
    let stamp = bytes.split_to(memchr(b' ', bytes)?);
    bytes.advance(1);
    let stamp = std::str::from_utf8(&stamp).ok()?;
    let end = stamp.find('Z')? + 1;
    let (time, mut flags) = stamp.split_at(end);
    let time: Timestamp = time.parse().ok()?;
    let mut count = order.expected(before, time);
    if let Some(rest) = flags.strip_prefix('#') {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        count = rest[..end].parse().ok()?;
        flags = &rest[end..];
    }
    let mut take = |flag: char| {
        flags.strip_prefix(flag).is_some_and(|rest| {
            flags = rest;
            true
        })
    };
    let (continued, unended, note, has_length) = (take('+'), take('~'), take('!'), take('='));
    let length = if has_length { flags.parse().ok()? } else { memchr(b'\n', bytes)? };
    if (!has_length && !flags.is_empty()) || bytes.get(length) != Some(&b'\n') {
        return None;
    }
    let line = bytes.split_to(length);
    bytes.advance(1);
    Some(Record { place: LogPosition { time, count }, line, ended: !unended, continued, note })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(second: i64, count: u32, line: &'static [u8]) -> Record {
        let time = Timestamp::from_second(second).unwrap();
        let line = Bytes::from_static(line);
        Record { place: LogPosition { time, count }, line, ended: true, continued: false, note: false }
    }

    fn encode(records: &[Record], order: Order) -> Vec<u8> {
        let mut encoder = Encoder::new(order);
        for record in records {
            encoder.push(record, &record.line);
        }
        encoder.finish()
    }

    #[test]
    fn a_chunk_reads_like_the_log_of_a_pod() {
        let mut records =
            vec![record(1, 1, b"hello"), record(1, 2, b""), record(2, 3, b"c"), record(2, 4, b"two\nlines")];
        records[3].ended = false;
        records[3].continued = true;
        let text = encode(&records, Order::Time);
        let expected = "1970-01-01T00:00:01.000000000Z hello\n\
            1970-01-01T00:00:01.000000000Z \n\
            1970-01-01T00:00:02.000000000Z#3 c\n\
            1970-01-01T00:00:02.000000000Z+~=9 two\nlines\n";
        assert_eq!(String::from_utf8(text.clone()).unwrap(), expected);
        assert_eq!(decode(text.into(), Order::Time).unwrap(), records);
    }

    #[test]
    fn messages_are_counted_over_all_times() {
        let records = [record(5, 7, b"a"), record(3, 8, b"b"), record(4, 10, b"c")];
        let text = encode(&records, Order::Count);
        let counted = String::from_utf8(text.clone()).unwrap();
        assert!(counted.contains("05.000000000Z#7 a") && counted.contains("03.000000000Z b"), "{counted}");
        assert_eq!(decode(text.into(), Order::Count).unwrap(), records);
    }

    #[test]
    fn what_is_no_chunk_is_told_from_one() {
        for text in [
            "x",
            "1970-01-01T00:00:01Z",
            "1970-01-01T00:00:01Z a",
            "1970-01-01T00:00:01Z? a\n",
            "1970-01-01T00:00:01Z=3 a\n",
            "1970-01-01T00:00:01Z# a\n",
        ] {
            assert_eq!(decode(Bytes::from_static(text.as_bytes()), Order::Time), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_lines_come_back(
            lines in proptest::collection::vec(
                (0_i64..4, 1_u32..5, proptest::collection::vec(any::<u8>(), 0..20), any::<[bool; 3]>()),
                0..30,
            ),
            by_count: bool,
        ) {
            let records: Vec<_> = lines.into_iter().map(|(second, count, line, [ended, continued, note])| {
                let place = LogPosition { time: Timestamp::from_second(second).unwrap(), count };
                Record { place, line: line.into(), ended, continued, note }
            }).collect();
            let order = if by_count { Order::Count } else { Order::Time };
            prop_assert_eq!(decode(encode(&records, order).into(), order), Some(records));
        }
    }
}
