//! The messages of a workload's log that no container wrote: kept with the Job, so that any server can read them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wm_core::{Attempt, WorkloadId};

/// What the annotations of a Job may take of the 256 KiB that all annotations share.
const LIMIT: usize = 64 * 1024;

/// One line that the server or the manager wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) time: Timestamp,
    pub(crate) text: String,
    /// The build whose log stands here instead of a text.
    pub(crate) build: Option<(WorkloadId, Attempt)>,
}

/// A message as it is written: a row without a time counts what is not there, one with a build stands for its log.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Row {
    Text(String, String),
    Build(String, WorkloadId, Attempt),
}

impl Message {
    /// Lets the log of a build stand here.
    pub(crate) fn of_build(id: &WorkloadId, attempt: Attempt) -> Self {
        Self { time: Timestamp::now(), text: String::new(), build: Some((id.clone(), attempt)) }
    }

    /// The lines of a text, written now; a line break at its end begins no further one.
    pub(crate) fn lines(text: &str) -> Vec<Self> {
        let time = Timestamp::now();
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        lines.map(|line| Self { time, text: line.to_owned(), build: None }).collect()
    }
}

impl Message {
    fn row(&self) -> Row {
        let time = self.time.to_string();
        match &self.build {
            Some((id, attempt)) => Row::Build(time, id.clone(), *attempt),
            None => Row::Text(time, cut(&self.text).to_owned()),
        }
    }
}

/// The messages that a Job holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    /// How many older ones had to go.
    pub(crate) dropped: usize,
    pub(crate) kept: Vec<Message>,
}

impl Messages {
    /// Those behind the first ones, which somebody knows; what was dropped of the others is told by the first of them.
    pub(crate) fn after(&self, known: usize) -> Vec<Message> {
        let mut new = self.kept.get(known.saturating_sub(self.dropped)..).unwrap_or_default().to_vec();
        if let Some(first) = self.kept.first().filter(|_| known < self.dropped) {
            let lost = self.dropped - known;
            let text = format!("[{lost} earlier messages were dropped: a Job holds {LIMIT} bytes of them]");
            new.insert(0, Message { time: first.time, text, build: None });
        }
        new
    }

    /// How many there have ever been.
    pub(crate) fn count(&self) -> usize {
        self.dropped + self.kept.len()
    }

    /// Writes them as the value of an annotation; the oldest go when they take too much room.
    pub(crate) fn encode(&self) -> String {
        let mut start = 0;
        loop {
            let kept = &self.kept[start..];
            let dropped = (self.dropped + start).to_string();
            let head = (dropped != "0").then(|| Row::Text(String::new(), dropped));
            let rows: Vec<_> = head.into_iter().chain(kept.iter().map(Message::row)).collect();
            // Serializing strings into memory can't fail.
            let text = serde_json::to_string(&rows).unwrap_or_default();
            if text.len() <= LIMIT || kept.is_empty() {
                return text;
            }
            start += kept.len().div_ceil(8);
        }
    }

    /// Reads the annotation back; what is no message is left out, since others may write annotations too.
    pub(crate) fn decode(annotation: &str) -> Self {
        let mut messages = Self::default();
        for row in serde_json::from_str::<Vec<Row>>(annotation).unwrap_or_default() {
            let (time, text, build) = match row {
                Row::Text(time, text) if time.is_empty() => {
                    messages.dropped = text.parse().unwrap_or_default();
                    continue;
                }
                Row::Text(time, text) => (time, text, None),
                Row::Build(time, id, attempt) => (time, String::new(), Some((id, attempt))),
            };
            if let Ok(time) = time.parse() {
                messages.kept.push(Message { time, text, build });
            }
        }
        messages
    }
}

/// One message takes a quarter of the room at most.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LIMIT / 4)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(second: i64, text: impl Into<String>) -> Message {
        Message { time: Timestamp::from_second(second).unwrap(), text: text.into(), build: None }
    }

    fn all(kept: Vec<Message>) -> Messages {
        Messages { dropped: 0, kept }
    }

    #[test]
    fn the_oldest_go_first_and_the_log_says_so() {
        let many: Vec<_> = (0..3000).map(|n| message(n, format!("message {n} {}", "x".repeat(80)))).collect();
        let text = all(many.clone()).encode();
        assert!(text.len() <= LIMIT);
        let mut kept = Messages::decode(&text);
        assert_eq!(kept.count(), 3000);
        assert_eq!(kept.kept.last(), many.last());
        let told = kept.after(0);
        let note =
            format!("[{} earlier messages were dropped: a Job holds {LIMIT} bytes of them]", kept.dropped);
        assert_eq!(told[0].text, note);
        assert_eq!(told.len(), 3000 - kept.dropped + 1);
        assert_eq!(kept.after(2999), many[2999..], "who knew those that went misses nothing");
        // More come, and more go.
        kept.kept.extend((0..1000).map(|n| message(3000 + n, "y".repeat(100))));
        let more = Messages::decode(&kept.encode());
        assert_eq!(more.count(), 4000);
        assert!(more.dropped > kept.dropped);
        assert_eq!(more.after(4000), []);
    }

    #[test]
    fn foreign_annotations_are_no_messages() {
        assert_eq!(Messages::decode("hello"), Messages::default());
        assert_eq!(Messages::decode(r#"[["soon", "x"]]"#), Messages::default());
    }

    proptest! {
        #[test]
        fn messages_come_back_as_they_were(texts in proptest::collection::vec("\\PC{0,50}", 0..20)) {
            let messages = all(texts.into_iter().zip(0..).map(|(text, n)| message(n, text)).collect());
            prop_assert_eq!(Messages::decode(&messages.encode()), messages);
        }

        #[test]
        fn no_message_is_too_long_for_an_annotation(length in 0_usize..300_000) {
            let text = all(vec![message(0, "ü\"".repeat(length / 3))]).encode();
            prop_assert!(text.len() <= LIMIT);
            prop_assert_eq!(Messages::decode(&text).kept.len(), 1);
        }
    }
}
