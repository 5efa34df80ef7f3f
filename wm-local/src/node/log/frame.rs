//! The format that container runtimes write and kubelets read:
//! `TIME stdout|stderr F|P CONTENT`, one piece a line; a piece marked P has no line end of its own.

use jiff::Timestamp;

/// Longer lines are stored in pieces of this size.
const PIECE: usize = 16 * 1024;

/// `2026-11-23T22:39:39.987720605Z`: of one length, so that stamps compare as text.
const STAMP: usize = 30;

/// Writes a time as the runtime does.
pub(crate) fn stamp(timestamp: Timestamp) -> String {
    format!("{timestamp:.9}")
}

/// Cuts the output of one stream into pieces.
#[derive(Debug)]
pub(crate) struct Framer {
    stream: &'static str,
    pending: Vec<u8>,
}

impl Framer {
    pub(crate) fn new(stream: &'static str) -> Self {
        Self { stream, pending: Vec::new() }
    }

    /// Appends to `out` what is complete with these bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], mut now: impl FnMut() -> Timestamp, out: &mut Vec<u8>) {
        for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(chunk);
            let is_line = self.pending.last() == Some(&b'\n');
            while self.pending.len() > PIECE + usize::from(is_line) {
                let rest = self.pending.split_off(PIECE);
                self.emit('P', now(), out);
                self.pending = rest;
            }
            if is_line {
                self.pending.pop();
                if self.pending.last() == Some(&b'\r') {
                    self.pending.pop();
                }
                self.emit('F', now(), out);
            }
        }
    }

    /// Appends the rest at the end of the stream: a last line without a line end stays without.
    pub(crate) fn finish(&mut self, now: impl FnOnce() -> Timestamp, out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            self.emit('P', now(), out);
        }
    }

    fn emit(&mut self, tag: char, at: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{} {} {tag} ", stamp(at), self.stream).as_bytes());
        out.append(&mut self.pending);
        out.push(b'\n');
    }
}

/// One line of the file, without its line end.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) stamp: &'a [u8],
    pub(crate) is_whole: bool,
    pub(crate) content: &'a [u8],
}

impl<'a> Piece<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let (stamp, rest) = line.split_at_checked(STAMP)?;
        // " stdout F " and " stderr P " are of one length.
        let (header, content) = rest.split_at_checked(" stdout F ".len())?;
        Some(Self { stamp, is_whole: header.get(8) == Some(&b'F'), content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut framer, mut out) = (Framer::new("stdout"), Vec::new());
        for chunk in chunks {
            framer.push(chunk, || Timestamp::UNIX_EPOCH, &mut out);
        }
        framer.finish(|| Timestamp::UNIX_EPOCH, &mut out);
        out
    }

    fn pieces(out: &[u8]) -> Vec<(bool, Vec<u8>)> {
        let lines = out.strip_suffix(b"\n").unwrap_or(out).split(|byte| *byte == b'\n');
        lines
            .map(|line| Piece::parse(line).unwrap())
            .map(|piece| (piece.is_whole, piece.content.to_vec()))
            .collect()
    }

    #[test]
    fn a_line_is_one_piece_however_it_arrives() {
        let out = framed(&[b"he", b"llo\nwor", b"ld\n"]);
        let text =
            "1970-01-01T00:00:00.000000000Z stdout F hello\n1970-01-01T00:00:00.000000000Z stdout F world\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn a_last_line_without_a_line_end_is_partial() {
        assert_eq!(pieces(&framed(&[b"a\nb"])), [(true, b"a".to_vec()), (false, b"b".to_vec())]);
    }

    #[test]
    fn a_carriage_return_goes_only_before_a_line_end() {
        assert_eq!(
            pieces(&framed(&[b"1%\r2%\r", b"\n\n"])),
            [(true, b"1%\r2%".to_vec()), (true, Vec::new())]
        );
    }

    #[test]
    fn a_long_line_is_cut_into_pieces() {
        let line = vec![b'x'; 100_000];
        let out = pieces(&framed(&[&line, b"\n"]));
        assert_eq!(out.len(), 7);
        assert!(out[..6].iter().all(|(whole, piece)| !whole && piece.len() == PIECE));
        assert_eq!((out[6].0, out[6].1.len()), (true, 100_000 - 6 * PIECE));
    }

    #[test]
    fn a_line_of_exactly_one_piece_stays_whole() {
        let mut line = vec![b'x'; PIECE];
        line.push(b'\n');
        assert_eq!(pieces(&framed(&[&line])).len(), 1);
    }
}
