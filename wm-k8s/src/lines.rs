//! From the bytes of a log with timestamps to its lines.

use jiff::Timestamp;

/// One line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The program wrote it.
    Output { time: Timestamp, bytes: Vec<u8>, ended: bool },
    /// Something without a timestamp: the kubelet answers an error in the place of the log.
    Foreign(String),
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    searched: usize,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the whole lines that have come.
    pub(crate) fn take(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut start = 0;
        while let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            let end = self.searched + at;
            lines.push(parse(&self.buffer[start..end], true));
            start = end + 1;
            self.searched = start;
        }
        self.buffer.drain(..start);
        self.searched = self.buffer.len();
        lines
    }

    /// Takes what stands behind the last newline, when nothing more will come.
    pub(crate) fn finish(self) -> Option<Line> {
        (!self.buffer.is_empty()).then(|| parse(&self.buffer, false))
    }
}

fn parse(line: &[u8], ended: bool) -> Line {
    let space = line.iter().take(40).position(|byte| *byte == b' ');
    let stamp = space.map_or(line, |at| &line[..at]);
    let time = str::from_utf8(stamp).ok().and_then(|text| text.parse::<Timestamp>().ok());
    match time {
        Some(time) => {
            let bytes = space.map_or(&[][..], |at| &line[at + 1..]);
            Line::Output { time, bytes: bytes.to_vec(), ended }
        }
        None => Line::Foreign(String::from_utf8_lossy(line).into_owned()),
    }
}

/// How far a container's log has been read: a log that is opened again begins with lines that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    last: Option<Timestamp>,
    /// How many lines with that very timestamp have been read.
    count: usize,
    /// How many of them have been skipped since the log was opened again.
    skipped: usize,
}

impl Cursor {
    /// Where to open the log: the API counts whole seconds.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.last?.as_second()).ok()
    }

    /// Begins anew with the same log.
    pub(crate) fn reopen(&mut self) {
        self.skipped = 0;
    }

    /// Whether the line is new; remembers it.
    pub(crate) fn accept(&mut self, time: Timestamp) -> bool {
        match self.last {
            Some(last) if time < last => false,
            Some(last) if time == last && self.skipped < self.count => {
                self.skipped += 1;
                false
            }
            Some(last) if time == last => {
                self.count += 1;
                self.skipped += 1;
                true
            }
            _ => {
                (self.last, self.count, self.skipped) = (Some(time), 1, 1);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(second: i64, text: &str) -> Line {
        Line::Output { time: Timestamp::from_second(second).unwrap(), bytes: text.into(), ended: true }
    }

    #[test]
    fn lines_are_parted_from_their_timestamps() {
        let mut lines = Lines::default();
        lines.push(b"1970-01-01T00:00:01.000000000Z hello\n1970-01-01T00:00:02Z \n1970-01-");
        assert_eq!(lines.take(), [output(1, "hello"), output(2, "")]);
        lines.push(b"01T00:00:03Z a b");
        assert_eq!(lines.take(), []);
        let last =
            Line::Output { time: Timestamp::from_second(3).unwrap(), bytes: b"a b".to_vec(), ended: false };
        assert_eq!(lines.finish(), Some(last));
    }

    #[test]
    fn what_has_no_timestamp_is_no_output() {
        let mut lines = Lines::default();
        lines.push(b"unable to retrieve container logs for containerd://abc");
        assert!(matches!(lines.finish(), Some(Line::Foreign(_))));
    }

    proptest! {
        #[test]
        fn any_cuts_give_the_same_lines(
            texts in proptest::collection::vec("[^\n]{0,20}", 0..20),
            cut in 1_usize..50,
        ) {
            let stamped = texts.iter().zip(1..).map(|(text, n)| format!("1970-01-01T00:00:{n:02}Z {text}\n"));
            let whole = stamped.collect::<Vec<_>>().concat();
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for chunk in whole.as_bytes().chunks(cut) {
                lines.push(chunk);
                found.extend(lines.take());
            }
            let expected: Vec<_> = texts.iter().zip(1..).map(|(text, n)| output(n, text)).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(lines.finish(), None);
        }

        #[test]
        fn a_log_that_is_cut_and_opened_again_has_every_line_once(
            steps in proptest::collection::vec(0_i64..3, 1..60),
            cuts in proptest::collection::vec(1_usize..60, 0..5),
        ) {
            // Half-second steps: several lines share a timestamp and a second.
            let mut at = 0;
            let times: Vec<_> = steps.iter().map(|step| {
                at += step * 500;
                Timestamp::from_millisecond(at).unwrap()
            }).collect();
            let mut cursor = Cursor::default();
            let mut read = Vec::new();
            for end in cuts.into_iter().map(|cut| cut.min(times.len())).chain([times.len()]) {
                cursor.reopen();
                let since = cursor.since();
                for (index, time) in times.iter().enumerate().take(end) {
                    if since.is_none_or(|since| *time >= since) && cursor.accept(*time) {
                        read.push(index);
                    }
                }
            }
            prop_assert_eq!(read, (0..times.len()).collect::<Vec<_>>());
        }
    }
}
