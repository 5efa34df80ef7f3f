//! The end of a stream on the server that writes it: what is kept, what waits, and which chunk comes next.
//!
//! It is a state machine without clock or store. A chunk is created at the offset where the last one ended. If one is
//! there already, it is another server's, or this server's whose answer got lost: either way the stream has grown by
//! it, and what it has need not be written any more.

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::Timestamp;
use wm_core::{LogLine, LogPosition};

use crate::record::{self, Encoder, Order, Record};

/// What a record takes in memory beside its line.
const OVERHEAD: usize = size_of::<Record>();

/// How much a stream may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// A chunk is not made longer than this, but for a single longer record.
    pub(crate) chunk: usize,
    /// What may wait in memory.
    pub(crate) waiting: usize,
    /// What the stream may be long.
    pub(crate) stream: u64,
}

#[derive(Debug)]
pub(crate) struct Tape {
    order: Order,
    bounds: Bounds,
    /// Where the next chunk begins.
    tail: u64,
    /// The last place that is kept, and that is kept or waits.
    kept: Option<LogPosition>,
    taken: Option<LogPosition>,
    /// Whether the last record that was taken ended its line.
    at_line_start: bool,
    waiting: VecDeque<Record>,
    waiting_bytes: usize,
    /// How long the stream is with what waits, roughly.
    length: u64,
    /// Whether the stream has its greatest length, so that what comes is left out.
    is_full: bool,
    is_closed: bool,
}

/// A chunk to be created.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    last: LogPosition,
}

impl Tape {
    /// A stream that ends with this record.
    pub(crate) fn new(order: Order, bounds: Bounds, tail: u64, last: Option<&Record>) -> Self {
        let place = last.map(|record| record.place);
        Self {
            order,
            bounds,
            tail,
            kept: place,
            taken: place,
            at_line_start: last.is_none_or(|record| record.ended),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            length: tail,
            is_full: order == Order::Time && last.is_some_and(|record| record.note),
            is_closed: false,
        }
    }

    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.taken = self.kept;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    /// The place of the last line that was taken.
    pub(crate) fn end(&self) -> Option<LogPosition> {
        self.taken
    }

    pub(crate) fn is_new(&self, place: LogPosition) -> bool {
        self.order.is_after(place, self.taken)
    }

    /// Whether nothing up to this place waits.
    pub(crate) fn has_kept(&self, place: Option<LogPosition>) -> bool {
        self.waiting.is_empty() || place.is_none_or(|place| !self.order.is_after(place, self.kept))
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Record> {
        self.waiting.iter()
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting_bytes < self.bounds.waiting
    }

    pub(crate) fn has_chunk(&self) -> bool {
        self.waiting_bytes >= self.bounds.chunk
    }

    /// Takes a line of an output, unless it is there already or the stream has its greatest length.
    pub(crate) fn take(&mut self, line: &LogLine) {
        if !self.is_new(line.position) || self.is_closed {
            return;
        }
        if self.is_full {
            self.taken = Some(line.position);
            return;
        }
        let cost = (line.line.len() + OVERHEAD) as u64;
        if self.length + cost > self.bounds.stream {
            self.is_full = true;
            let text =
                format!("what follows is not archived: an output has {} bytes at most", self.bounds.stream);
            self.push(line.position, text.into(), true, true);
            return;
        }
        self.push(line.position, Bytes::copy_from_slice(&line.line), line.ended, false);
    }

    /// Takes a message; the oldest that wait are dropped where they become too many.
    pub(crate) fn say(&mut self, time: Timestamp, line: &str) {
        let count = self.taken.map_or(1, |last| last.count.saturating_add(1));
        self.push(LogPosition { time, count }, Bytes::copy_from_slice(line.as_bytes()), true, false);
        let mut dropped = None;
        while self.waiting_bytes > self.bounds.waiting && self.waiting.len() > 1 {
            dropped = self.pop().map(|record| record.place).or(dropped);
        }
        if let Some(place) = dropped {
            // How many they are is told when it is written: those before may turn out to be kept.
            let record = Record { place, line: Bytes::new(), ended: true, continued: false, note: true };
            self.waiting_bytes += OVERHEAD;
            self.waiting.push_front(record);
        }
    }

    fn push(&mut self, place: LogPosition, line: Bytes, ended: bool, note: bool) {
        let continued = !self.at_line_start && !note;
        let cost = line.len() + OVERHEAD;
        self.waiting_bytes += cost;
        self.length += cost as u64;
        self.waiting.push_back(Record { place, line, ended, continued, note });
        self.at_line_start = ended;
        self.taken = Some(place);
    }

    fn pop(&mut self) -> Option<Record> {
        let record = self.waiting.pop_front()?;
        self.waiting_bytes -= record.line.len() + OVERHEAD;
        Some(record)
    }

    /// The text of a record as it is to be read.
    pub(crate) fn text(&self, record: &Record) -> Bytes {
        if self.order == Order::Count && record.note {
            let lost = record.place.count - self.kept.map_or(0, |kept| kept.count).min(record.place.count);
            return format!("{lost} messages are missing here: the archive was away for too long").into();
        }
        record.line.clone()
    }

    /// The next chunk, if anything waits.
    pub(crate) fn draft(&self) -> Option<Draft> {
        let mut encoder = Encoder::new(self.order);
        let mut last = None;
        for record in &self.waiting {
            if encoder.len() > 0 && encoder.len() + record.line.len() > self.bounds.chunk {
                break;
            }
            encoder.push(record, &self.text(record));
            last = Some(record.place);
        }
        Some(Draft { offset: self.tail, last: last?, bytes: encoder.finish() })
    }

    /// A draft has been created.
    pub(crate) fn created(&mut self, draft: &Draft) {
        self.grow(draft.bytes.len() as u64, draft.last);
    }

    /// There was a chunk in the place of a draft. Of one that can't be read only the length counts.
    pub(crate) fn met(&mut self, chunk: &Bytes) {
        if chunk.is_empty() {
            return self.close();
        }
        match record::decode(chunk.clone(), self.order).and_then(|records| records.last().cloned()) {
            Some(last) => {
                let is_end = self.order == Order::Time && last.note;
                self.grow(chunk.len() as u64, last.place);
                self.is_full |= is_end;
                if is_end {
                    self.waiting.clear();
                    self.waiting_bytes = 0;
                }
            }
            None => self.tail += chunk.len() as u64,
        }
    }

    fn grow(&mut self, length: u64, last: LogPosition) {
        self.tail += length;
        if self.order.is_after(last, self.kept) {
            self.kept = Some(last);
        }
        if self.order.is_after(last, self.taken) {
            self.taken = Some(last);
        }
        while self.waiting.front().is_some_and(|record| !self.order.is_after(record.place, self.kept)) {
            self.pop();
        }
        if self.waiting.is_empty() {
            self.length = self.tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { chunk: 100, waiting: 2000, stream: 1 << 20 };

    fn tape(order: Order) -> Tape {
        Tape::new(order, BOUNDS, 0, None)
    }

    fn line(second: i64, text: &str) -> LogLine {
        let position = LogPosition { time: Timestamp::from_second(second).unwrap(), count: 1 };
        LogLine { position, line: text.into(), ended: true }
    }

    fn texts(chunk: &[u8], order: Order) -> Vec<String> {
        let records = record::decode(chunk.to_vec().into(), order).unwrap();
        records.iter().map(|record| String::from_utf8(record.line.to_vec()).unwrap()).collect()
    }

    #[test]
    fn chunks_follow_on_each_other() {
        let mut tape = tape(Order::Time);
        (0..5).for_each(|second| tape.take(&line(second, "0123456789")));
        let mut length = 0;
        let mut all = Vec::new();
        while let Some(draft) = tape.draft() {
            assert_eq!(draft.offset, length);
            assert!(draft.bytes.len() <= 100 + 60);
            length += draft.bytes.len() as u64;
            all.extend(texts(&draft.bytes, Order::Time));
            tape.created(&draft);
        }
        assert_eq!(all.len(), 5);
        assert_eq!(tape.waiting_bytes(), 0);
        assert!(tape.has_kept(tape.end()));
    }

    #[test]
    fn a_chunk_of_somebody_else_counts_as_far_as_it_goes() {
        let (mut own, mut other) = (tape(Order::Time), tape(Order::Time));
        (0..3).for_each(|second| own.take(&line(second, "x")));
        (0..2).for_each(|second| other.take(&line(second, "x")));
        let theirs = other.draft().unwrap();
        own.met(&theirs.bytes.clone().into());
        let draft = own.draft().unwrap();
        assert_eq!(draft.offset, theirs.bytes.len() as u64);
        assert_eq!(texts(&draft.bytes, Order::Time).len(), 1);
        // And one that goes further leaves nothing to do.
        other.created(&theirs);
        (2..9).for_each(|second| other.take(&line(second, "y")));
        own.met(&other.draft().unwrap().bytes.into());
        own.take(&line(3, "y"));
        assert!(texts(&own.draft().map(|draft| draft.bytes).unwrap_or_default(), Order::Time).is_empty());
    }

    #[test]
    fn an_empty_chunk_ends_the_stream() {
        let mut tape = tape(Order::Time);
        tape.take(&line(1, "x"));
        tape.met(&Bytes::new());
        tape.take(&line(2, "y"));
        assert!(tape.is_closed() && tape.draft().is_none());
        assert_eq!(tape.end(), None);
    }

    #[test]
    fn a_stream_has_a_greatest_length_and_says_so_once() {
        let mut tape = Tape::new(Order::Time, Bounds { stream: 1000, ..BOUNDS }, 0, None);
        (0..50).for_each(|second| tape.take(&line(second, "0123456789")));
        let mut all = Vec::new();
        while let Some(draft) = tape.draft() {
            all.extend(record::decode(draft.bytes.clone().into(), Order::Time).unwrap());
            tape.created(&draft);
        }
        assert!(all.len() < 20 && all.last().unwrap().note);
        assert_eq!(all.iter().filter(|record| record.note).count(), 1);
        assert_eq!(tape.end().unwrap().time, Timestamp::from_second(49).unwrap(), "its source goes on");
        let mut again = Tape::new(Order::Time, BOUNDS, tape.tail(), all.last());
        again.take(&line(60, "z"));
        assert!(again.draft().is_none(), "on another server too");
    }

    #[test]
    fn messages_that_are_too_many_go_oldest_first_and_are_counted() {
        let mut tape = tape(Order::Count);
        (0..100).for_each(|number| tape.say(Timestamp::UNIX_EPOCH, &format!("message {number}")));
        let mut all = Vec::new();
        while let Some(draft) = tape.draft() {
            all.extend(texts(&draft.bytes, Order::Count));
            tape.created(&draft);
        }
        let kept = all.len() - 1;
        assert_eq!(
            all[0],
            format!("{} messages are missing here: the archive was away for too long", 100 - kept)
        );
        assert_eq!(all[1], format!("message {}", 100 - kept));
        assert_eq!(all[kept], "message 99");
    }

    #[test]
    fn messages_whose_answer_got_lost_are_not_counted_as_missing() {
        let mut tape = tape(Order::Count);
        (0..3).for_each(|number| tape.say(Timestamp::UNIX_EPOCH, &format!("message {number}")));
        let lost = tape.draft().unwrap();
        let kept = texts(&lost.bytes, Order::Count).len();
        (3..100).for_each(|number| tape.say(Timestamp::UNIX_EPOCH, &format!("message {number}")));
        tape.met(&lost.bytes.into());
        let mut all = Vec::new();
        while let Some(draft) = tape.draft() {
            all.extend(texts(&draft.bytes, Order::Count));
            tape.created(&draft);
        }
        let missing = 100 - kept - (all.len() - 1);
        assert_eq!(all[0], format!("{missing} messages are missing here: the archive was away for too long"));
    }
}
