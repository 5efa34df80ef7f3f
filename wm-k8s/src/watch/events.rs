//! The events of a watch: one JSON object a line.

use std::borrow::Cow;

use async_stream::try_stream;
use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, TryStreamExt as _, pin_mut};
use memchr::memchr;
use serde::{Deserialize, de::DeserializeOwned};

use crate::error::CallError;

/// What a watch tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<T> {
    Put(T),
    Removed(T),
    /// Nothing has changed up to this version.
    Bookmark(String),
    /// It can't go on.
    Failed {
        code: u16,
        message: String,
    },
}

#[derive(Deserialize)]
struct Head {
    r#type: String,
}

#[derive(Deserialize)]
struct Of<T> {
    object: T,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
}

#[derive(Deserialize)]
struct Marked {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
}

/// Reads events of objects of one type.
pub(super) struct Events<T>(std::marker::PhantomData<T>);

impl<T: DeserializeOwned + Send> Events<T> {
    pub(super) fn read(
        stream: impl Stream<Item = Result<Bytes, kube::Error>> + Send,
    ) -> impl Stream<Item = Result<Event<T>, CallError>> + Send {
        try_stream! {
            pin_mut!(stream);
            let mut buffer = BytesMut::new();
            let mut searched = 0;
            while let Some(chunk) = stream.try_next().await.map_err(CallError::Unreachable)? {
                buffer.extend_from_slice(&chunk);
                while let Some(at) = memchr(b'\n', &buffer[searched..]) {
                    let line = buffer.split_to(searched + at);
                    buffer.advance(1);
                    searched = 0;
                    yield parse(&line).map_err(CallError::Unreadable)?;
                }
                searched = buffer.len();
            }
            // Half an event is none: it comes again.
        }
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<Event<T>, serde_json::Error> {
    let r#type = match leading_type(line) {
        Some(r#type) => Cow::Borrowed(r#type),
        None => Cow::Owned(serde_json::from_slice::<Head>(line)?.r#type),
    };
    Ok(match &*r#type {
        "BOOKMARK" => {
            let Of::<Marked> { object } = serde_json::from_slice(line)?;
            Event::Bookmark(object.metadata.resource_version)
        }
        "ERROR" => {
            let Of::<Status> { object: Status { code, message } } = serde_json::from_slice(line)?;
            Event::Failed { code, message }
        }
        "DELETED" => Event::Removed(serde_json::from_slice::<Of<T>>(line)?.object),
        _ => Event::Put(serde_json::from_slice::<Of<T>>(line)?.object),
    })
}

/// The type, where it is the first member, as every server writes it: the line need not be read twice.
fn leading_type(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(br#"{"type":""#)?;
    let (r#type, rest) = rest.split_at(memchr(b'"', rest)?);
    // An escape, or another first member of this name, is read in the long way.
    let is_plain = rest.starts_with(br#"","object":"#) && !r#type.contains(&b'\\');
    std::str::from_utf8(r#type).ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use serde_json::{Value, json};

    use super::*;

    async fn read(text: &str, chunk: usize) -> Vec<Event<Value>> {
        let chunks = text.as_bytes().chunks(chunk).map(|chunk| Ok(Bytes::copy_from_slice(chunk)));
        Events::read(stream::iter(chunks.collect::<Vec<_>>())).try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn events_come_whole_wherever_the_bytes_are_cut() {
        // The last one is as far as the server came.
        let text = concat!(
            r#"{"type":"ADDED","object":{"a":1}}"#,
            "\n",
            r#"{"type":"DELETED","object":{"a":2}}"#,
            "\n",
            r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"},"spec":{"template":{"spec":{"containers":null}}}}}"#,
            "\n",
            r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410,"message":"too old"}}"#,
            "\n",
            r#"{"type":"MODIF"#
        );
        let expected = [
            Event::Put(json!({"a": 1})),
            Event::Removed(json!({"a": 2})),
            Event::Bookmark("7".to_owned()),
            Event::Failed { code: 410, message: "too old".to_owned() },
        ];
        for chunk in [1, 2, 31, 1000] {
            assert_eq!(read(text, chunk).await, expected);
        }
    }
    #[tokio::test]
    async fn the_type_counts_wherever_it_stands_and_however_it_is_written() {
        for text in [
            r#"{"object":{"a":1},"type":"DELETED"}"#,
            r#"{"type":"DELET\u0045D","object":{"a":1}}"#,
            r#"{"type":"DELETED","more":{"type":"ADDED"},"object":{"a":1}}"#,
            r#"{ "type" : "DELETED", "object":{"a":1}}"#,
        ] {
            assert_eq!(read(&format!("{text}\n"), 1000).await, [Event::Removed(json!({"a": 1}))], "{text}");
        }
    }
}
