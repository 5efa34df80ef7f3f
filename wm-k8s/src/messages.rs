//! The messages of a workload's log that no container wrote: kept with the Job, so that any server can read them.

use jiff::Timestamp;

/// What the annotations of a Job may take of the 256 KiB that all annotations share.
const LIMIT: usize = 64 * 1024;

/// One line that the server or the manager wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) time: Timestamp,
    pub(crate) text: String,
}

impl Message {
    /// The lines of a text, written now; a line break at its end begins no further one.
    pub(crate) fn lines(text: &str) -> Vec<Self> {
        let time = Timestamp::now();
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        lines.map(|line| Self { time, text: line.to_owned() }).collect()
    }
}

/// Writes messages as the value of an annotation; the oldest go when they take too much room.
pub(crate) fn encode(messages: &[Message]) -> String {
    let mut start = 0;
    loop {
        let mut rows: Vec<(String, &str)> =
            messages[start..].iter().map(|message| (message.time.to_string(), cut(&message.text))).collect();
        let dropped = format!("[{start} earlier messages were dropped: a Job holds {LIMIT} bytes of them]");
        if start > 0
            && let Some(first) = messages.get(start)
        {
            rows.insert(0, (first.time.to_string(), &dropped));
        }
        // Serializing strings into memory can't fail.
        let text = serde_json::to_string(&rows).unwrap_or_default();
        if text.len() <= LIMIT || start >= messages.len() {
            return text;
        }
        start += (messages.len() - start).div_ceil(8);
    }
}

/// One message takes a quarter of the room at most.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LIMIT / 4)]
}

/// Reads the annotation back; what is no message is left out, since others may write annotations too.
pub(crate) fn decode(annotation: &str) -> Vec<Message> {
    serde_json::from_str::<Vec<(String, String)>>(annotation)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(time, text)| Some(Message { time: time.parse().ok()?, text }))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(second: i64, text: impl Into<String>) -> Message {
        Message { time: Timestamp::from_second(second).unwrap(), text: text.into() }
    }

    #[test]
    fn the_oldest_go_first_and_the_log_says_so() {
        let many: Vec<_> = (0..3000).map(|n| message(n, format!("message {n} {}", "x".repeat(80)))).collect();
        let text = encode(&many);
        assert!(text.len() <= LIMIT);
        let kept = decode(&text);
        assert!(kept[0].text.contains("earlier messages were dropped"), "{:?}", kept[0]);
        assert_eq!(kept.last(), many.last());
    }

    #[test]
    fn foreign_annotations_are_no_messages() {
        assert_eq!(decode("hello"), []);
        assert_eq!(decode(r#"[["soon", "x"]]"#), []);
    }

    proptest! {
        #[test]
        fn messages_come_back_as_they_were(texts in proptest::collection::vec("\\PC{0,50}", 0..20)) {
            let messages: Vec<_> = texts.into_iter().zip(0..).map(|(text, n)| message(n, text)).collect();
            prop_assert_eq!(decode(&encode(&messages)), messages);
        }

        #[test]
        fn no_message_is_too_long_for_an_annotation(length in 0_usize..300_000) {
            let text = encode(&[message(0, "ü\"".repeat(length / 3))]);
            prop_assert!(text.len() <= LIMIT);
            prop_assert_eq!(decode(&text).len(), 1);
        }
    }
}
