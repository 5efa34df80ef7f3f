//! From the bytes of a log with timestamps to its lines, in pieces of bounded length.

use bytes::{Buf as _, Bytes};
use jiff::Timestamp;
use memchr::{memchr, memchr2};
use wm_core::LOG_PIECE;

/// No timestamp is longer.
const MOST_STAMP: usize = 40;
/// What is kept of a text that is no output.
const MOST_FOREIGN: usize = 1024;

/// What stands in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The program wrote it.
    Output(Piece),
    /// Something without a timestamp: the kubelet answers an error in the place of the log.
    Foreign(String),
}

/// A line of a container's log, or a piece of a long one. All lines are cut at the same places, whatever comes at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) time: Timestamp,
    pub(crate) bytes: Vec<u8>,
    /// Whether the line begins here.
    pub(crate) first: bool,
    /// Whether the line ends here.
    pub(crate) ended: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// In the timestamp of a line.
    #[default]
    Stamp,
    /// Behind it, and whether nothing of the line has been given yet.
    Body { time: Timestamp, first: bool },
    /// In a line without one.
    Foreign,
}

/// Cuts a stream of bytes into lines. It holds one chunk and one piece, whatever the length of a line.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    chunk: Bytes,
    piece: Vec<u8>,
    state: State,
    stamps: Stamps,
}

impl Lines {
    /// Takes the next bytes; those before must have been read by [`next`](Self::next) to the end.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.chunk = bytes;
    }

    /// The next line or piece that has wholly come.
    pub(crate) fn next(&mut self) -> Option<Line> {
        while !self.chunk.is_empty() {
            match self.state {
                State::Stamp => {
                    let end = memchr2(b' ', b'\n', &self.chunk);
                    let stop = end.unwrap_or(self.chunk.len());
                    if self.piece.len() + stop > MOST_STAMP {
                        self.state = State::Foreign;
                        continue;
                    }
                    self.piece.extend_from_slice(&self.chunk[..stop]);
                    self.chunk.advance(stop);
                    if end.is_none() {
                        continue;
                    }
                    match self.stamps.parse(&self.piece) {
                        Some(time) => {
                            self.piece.clear();
                            if self.chunk[0] == b' ' {
                                self.chunk.advance(1);
                            }
                            self.state = State::Body { time, first: true };
                        }
                        None => self.state = State::Foreign,
                    }
                }
                State::Body { time, first } => {
                    let room = LOG_PIECE - self.piece.len();
                    let end = memchr(b'\n', &self.chunk);
                    let stop = end.unwrap_or(self.chunk.len()).min(room);
                    self.piece.extend_from_slice(&self.chunk[..stop]);
                    self.chunk.advance(stop);
                    let ended = end == Some(stop);
                    if ended {
                        self.chunk.advance(1);
                        self.state = State::Stamp;
                    } else if self.piece.len() < LOG_PIECE || self.chunk.is_empty() {
                        // Whether a full piece is the last of its line, the next byte tells.
                        continue;
                    } else {
                        self.state = State::Body { time, first: false };
                    }
                    let bytes = std::mem::take(&mut self.piece);
                    return Some(Line::Output(Piece { time, bytes, first, ended }));
                }
                State::Foreign => {
                    let end = memchr(b'\n', &self.chunk);
                    let stop = end.unwrap_or(self.chunk.len());
                    let kept = stop.min(MOST_FOREIGN.saturating_sub(self.piece.len()));
                    self.piece.extend_from_slice(&self.chunk[..kept]);
                    self.chunk.advance(stop);
                    if end.is_some() {
                        self.chunk.advance(1);
                        return Some(self.foreign());
                    }
                }
            }
        }
        None
    }

    /// What stands behind the last newline, when nothing more will come.
    pub(crate) fn finish(mut self) -> Option<Line> {
        match self.state {
            State::Stamp if self.piece.is_empty() => None,
            State::Stamp => match self.stamps.parse(&self.piece) {
                Some(time) => {
                    Some(Line::Output(Piece { time, bytes: Vec::new(), first: true, ended: false }))
                }
                None => Some(self.foreign()),
            },
            State::Body { first: true, .. } if self.piece.is_empty() => None,
            State::Body { time, first } => {
                Some(Line::Output(Piece { time, bytes: self.piece, first, ended: false }))
            }
            State::Foreign => Some(self.foreign()),
        }
    }

    fn foreign(&mut self) -> Line {
        self.state = State::Stamp;
        Line::Foreign(String::from_utf8_lossy(&std::mem::take(&mut self.piece)).into_owned())
    }
}

/// Reads timestamps. Most are of the same second as the one before, and end alike: that saves most of the work.
#[derive(Debug, Default)]
struct Stamps {
    second: Vec<u8>,
    start: Timestamp,
}

impl Stamps {
    fn parse(&mut self, text: &[u8]) -> Option<Timestamp> {
        let known = text.strip_prefix(self.second.as_slice()).and_then(fraction);
        if let Some(nanosecond) = known.filter(|_| !self.second.is_empty()) {
            return self.start.checked_add(std::time::Duration::from_nanos(nanosecond)).ok();
        }
        let time: Timestamp = str::from_utf8(text).ok()?.parse().ok()?;
        if let Some((second, nanosecond)) = text.split_at_checked(19)
            && fraction(nanosecond).is_some()
            && let Ok(start) = Timestamp::from_second(time.as_second())
        {
            self.second = second.to_vec();
            self.start = start;
        }
        Some(time)
    }
}

/// Reads `.123456789Z`, as every kubelet writes it that counts in UTC.
fn fraction(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b".")?.strip_suffix(b"Z").filter(|digits| digits.len() == 9)?;
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(time: Timestamp, text: impl Into<Vec<u8>>) -> Line {
        Line::Output(Piece { time, bytes: text.into(), first: true, ended: true })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What comes of a text that arrives in chunks of this length.
    fn read(text: &[u8], chunk: usize) -> Vec<Line> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in text.chunks(chunk) {
            lines.push(Bytes::copy_from_slice(chunk));
            found.extend(std::iter::from_fn(|| lines.next()));
        }
        found.extend(lines.finish());
        found
    }

    #[test]
    fn lines_are_parted_from_their_timestamps() {
        let text =
            b"1970-01-01T00:00:01.000000000Z hello\n1970-01-01T00:00:02Z \n1970-01-01T01:00:03+01:00 a b";
        let last = Piece { time: at(3), bytes: b"a b".to_vec(), first: true, ended: false };
        for chunk in 1..=text.len() {
            assert_eq!(
                read(text, chunk),
                [output(at(1), "hello"), output(at(2), ""), Line::Output(last.clone())]
            );
        }
    }

    #[test]
    fn what_has_no_timestamp_is_no_output() {
        let excuse = "unable to retrieve container logs for containerd://abc";
        for chunk in [1, 7, 100] {
            assert_eq!(read(excuse.as_bytes(), chunk), [Line::Foreign(excuse.to_owned())]);
            let between = format!("1970-01-01T00:00:01Z a\n{excuse}\n1970-01-01T00:00:02Z b\n");
            let expected = [output(at(1), "a"), Line::Foreign(excuse.to_owned()), output(at(2), "b")];
            assert_eq!(read(between.as_bytes(), chunk), expected);
        }
        assert_eq!(read(b"\n", 1), [Line::Foreign(String::new())]);
        let Line::Foreign(long) = &read(&vec![b'x'; 100_000], 1000)[0] else { panic!() };
        assert_eq!(long.len(), MOST_FOREIGN);
    }

    #[test]
    fn a_long_line_comes_in_pieces_of_one_length() {
        for (length, expected) in [
            (LOG_PIECE - 1, vec![(LOG_PIECE - 1, true, true)]),
            (LOG_PIECE, vec![(LOG_PIECE, true, true)]),
            (LOG_PIECE + 1, vec![(LOG_PIECE, true, false), (1, false, true)]),
            (2 * LOG_PIECE, vec![(LOG_PIECE, true, false), (LOG_PIECE, false, true)]),
        ] {
            let text = [b"1970-01-01T00:00:01Z ".as_slice(), &vec![b'x'; length], b"\n"].concat();
            for chunk in [997, 65_536, text.len()] {
                let told: Vec<_> = read(&text, chunk)
                    .into_iter()
                    .map(|line| match line {
                        Line::Output(piece) => (piece.bytes.len(), piece.first, piece.ended),
                        Line::Foreign(text) => panic!("{text}"),
                    })
                    .collect();
                assert_eq!(told, expected, "{length} in chunks of {chunk}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_cuts_give_the_same_lines(
            texts in proptest::collection::vec((0_u32..3_000_000_000, "[^\n]{0,20}"), 0..20),
            cut in 1_usize..80,
        ) {
            let expected: Vec<_> = texts.iter().map(|(at, text)| {
                let time = Timestamp::from_nanosecond(i128::from(*at) * 10).unwrap();
                output(time, text.as_str())
            }).collect();
            let whole = texts.iter().map(|(at, text)| {
                let time = Timestamp::from_nanosecond(i128::from(*at) * 10).unwrap();
                format!("{time:.9} {text}\n")
            });
            prop_assert_eq!(read(whole.collect::<Vec<_>>().concat().as_bytes(), cut), expected);
        }
    }
}
