//! How far a container's log has been read, to the byte: a log that is opened again begins with what is known.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::lines::Piece;

/// A place in the output of a container, over all its starts, since later ones write later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// When the line was begun that was read last.
    pub(crate) time: Timestamp,
    /// How many lines with that very time have been read to their end.
    pub(crate) lines: u32,
    /// How many bytes have been read of the next one with that time.
    pub(crate) bytes: u64,
}

/// What a piece of a log is to who has read so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is known.
    Old,
    /// This of it is new.
    New(Piece),
    /// It is new, and what should have come before it was not there.
    Behind(Piece),
}

/// Reads a log that is opened again and again, and gives each byte once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    place: Option<Place>,
    /// How many lines with the place's time have come since the log was opened.
    lines: u32,
    /// How many bytes have come of the line after them.
    bytes: u64,
    /// Whether the place must be in the log that is open.
    is_due: bool,
}

impl Progress {
    pub(crate) fn new(place: Option<Place>) -> Self {
        Self { place, ..Self::default() }
    }

    pub(crate) fn place(&self) -> Option<Place> {
        self.place
    }

    /// Begins anew with the log that was read before, which must have the place.
    pub(crate) fn reopen(&mut self) {
        (self.lines, self.bytes) = (0, 0);
        self.is_due = self.place.is_some();
    }

    /// Begins with the log of another start of the container, which need not have it.
    pub(crate) fn open_another(&mut self) {
        self.reopen();
        self.is_due = false;
    }

    /// Where to open the log: the API counts whole seconds.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.place?.time.as_second()).ok()
    }

    /// Whether the place should have come and has not.
    pub(crate) fn is_missing(&self) -> bool {
        self.is_due && self.place.is_some_and(|place| (self.lines, self.bytes) < (place.lines, place.bytes))
    }

    /// Tells what of a piece is new, and remembers it.
    pub(crate) fn accept(&mut self, piece: Piece) -> News {
        let length = piece.bytes.len() as u64;
        let Some(place) = &mut self.place else { return self.begin(piece) };
        match piece.time.cmp(&place.time) {
            Ordering::Less => News::Old,
            Ordering::Greater => {
                let is_missing = self.is_missing();
                let news = self.begin(piece);
                match news {
                    News::New(piece) if is_missing => News::Behind(piece),
                    other => other,
                }
            }
            Ordering::Equal if self.lines < place.lines => {
                self.lines += u32::from(piece.ended);
                News::Old
            }
            Ordering::Equal => {
                let (from, known) = (self.bytes, place.bytes);
                self.bytes += length;
                let skip = known.saturating_sub(from).min(length);
                if piece.ended {
                    place.lines += 1;
                    place.bytes = 0;
                    (self.lines, self.bytes) = (place.lines, 0);
                } else {
                    place.bytes = known.max(self.bytes);
                    if skip == length {
                        return News::Old;
                    }
                }
                let first = piece.first && known == 0;
                let mut bytes = piece.bytes;
                // It is not more than the piece's length.
                bytes.drain(..usize::try_from(skip).unwrap_or_default());
                News::New(Piece { bytes, first, ..piece })
            }
        }
    }

    fn begin(&mut self, piece: Piece) -> News {
        let (lines, bytes) = if piece.ended { (1, 0) } else { (0, piece.bytes.len() as u64) };
        self.place = Some(Place { time: piece.time, lines, bytes });
        (self.lines, self.bytes) = (lines, bytes);
        self.is_due = true;
        News::New(piece)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(at: i64, text: &str, ended: bool) -> Piece {
        let time = Timestamp::from_millisecond(at).unwrap();
        Piece { time, bytes: text.into(), first: true, ended }
    }

    fn read(progress: &mut Progress, pieces: &[Piece]) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let mut is_behind = false;
        for piece in pieces {
            let (new, behind) = match progress.accept(piece.clone()) {
                News::Old => continue,
                News::New(new) => (new, false),
                News::Behind(new) => (new, true),
            };
            is_behind |= behind;
            bytes.extend(new.bytes);
            bytes.extend(new.ended.then_some(b'\n'));
        }
        (bytes, is_behind)
    }

    #[test]
    fn a_line_that_was_read_in_part_goes_on_at_its_byte() {
        let mut progress = Progress::default();
        assert_eq!(read(&mut progress, &[piece(1, "same", true), piece(1, "beg", false)]).0, b"same\nbeg");
        progress.reopen();
        let again = [piece(1, "same", true), piece(1, "begun", true), piece(2, "next", true)];
        assert_eq!(read(&mut progress, &again), (b"un\nnext\n".to_vec(), false));
        progress.reopen();
        assert_eq!(read(&mut progress, &again).0, b"");
        assert!(!progress.is_missing());
    }

    #[test]
    fn what_is_not_there_any_more_is_missed() {
        let all = [piece(1, "a", true), piece(2, "b", true), piece(2, "c", true), piece(3, "d", true)];
        let mut progress = Progress::default();
        read(&mut progress, &all[..3]);
        let mut rotated = progress.clone();
        rotated.reopen();
        assert!(rotated.is_missing());
        assert_eq!(read(&mut rotated, &all[3..]), (b"d\n".to_vec(), true));
        assert!(!rotated.is_missing(), "it is told once");
        progress.open_another();
        assert_eq!(read(&mut progress, &all[3..]), (b"d\n".to_vec(), false), "another start has other lines");
    }

    proptest! {
        #[test]
        fn a_log_that_is_cut_and_opened_again_has_every_byte_once(
            lines in proptest::collection::vec((0_i64..3, "[ab]{0,4}"), 1..40),
            cuts in proptest::collection::vec(1_usize..40, 0..6),
            part in 0_usize..4,
        ) {
            // Half-second steps: several lines share a timestamp and a second.
            let mut at = 0;
            let all: Vec<_> = lines.iter().map(|(step, text)| {
                at += step * 500;
                piece(at, text, true)
            }).collect();
            let mut progress = Progress::default();
            let mut found = Vec::new();
            for end in cuts.into_iter().map(|cut| cut.min(all.len() - 1)).chain([all.len()]) {
                progress.reopen();
                let since = progress.since();
                let mut open: Vec<_> =
                    all[..end].iter().filter(|piece| since.is_none_or(|since| piece.time >= since)).cloned().collect();
                // Of the line behind it only the beginning has come, and is given.
                if let Some(next) = all.get(end) {
                    let mut begun = next.clone();
                    begun.bytes.truncate(part);
                    begun.ended = false;
                    if !begun.bytes.is_empty() && since.is_none_or(|since| begun.time >= since) {
                        open.push(begun);
                    }
                }
                let (bytes, is_behind) = read(&mut progress, &open);
                prop_assert!(!is_behind);
                found.extend(bytes);
            }
            let expected: Vec<u8> = lines.iter().flat_map(|(_, text)| format!("{text}\n").into_bytes()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
