//! Protobuf, in which kubectl's typed commands (`create job`, `auth can-i`) send their objects and nothing else.
//!
//! Only the fields that those commands set are known. Go writes the empty ones too, which are skipped; an unknown field
//! that holds something is an error, for it can't be told what was meant.

mod messages;

use serde_json::{Map, Value};

use self::messages::{Field, MESSAGES, Message};
use crate::api::base64;

/// What a body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// One field of a message.
enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Eight or four bytes, which no field here has.
    Fixed,
}

/// Decodes an object in its envelope.
pub(super) fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body.strip_prefix(MAGIC).ok_or("the body does not begin with \"k8s\"")?;
    let (mut type_meta, mut raw) = (&[][..], &[][..]);
    for field in fields(envelope) {
        match field? {
            (1, Wire::Bytes(bytes)) => type_meta = bytes,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(&messages::TYPE_META, type_meta)?;
    let kind = object["kind"].as_str().unwrap_or_default();
    let known = MESSAGES.iter().find(|message| message.name == kind);
    let content = message(known.ok_or_else(|| format!("the kind {kind:?} is not known in protobuf"))?, raw)?;
    if let (Value::Object(object), Value::Object(content)) = (&mut object, content) {
        object.extend(content);
    }
    Ok(object)
}

fn message(kind: &Message, bytes: &[u8]) -> Result<Value, String> {
    let mut object = Map::new();
    for field in fields(bytes) {
        let (number, wire) = field?;
        let known = kind.fields.iter().find(|(known, _, _)| *known == number);
        let (content, (name, field)) = match (wire, known) {
            (Wire::Bytes([]) | Wire::Varint(0), None) => continue,
            (Wire::Bytes(content), Some((_, name, field))) => (content, (*name, *field)),
            _ => return Err(format!("field {number} of {} is not known in protobuf", kind.name)),
        };
        insert(&mut object, name, field, content)?;
    }
    Ok(Value::Object(object))
}

fn insert(object: &mut Map<String, Value>, name: &str, field: Field, content: &[u8]) -> Result<(), String> {
    let push = |object: &mut Map<String, Value>, item: Value| {
        let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(item);
        }
    };
    match field {
        Field::Text => {
            let text = text(content)?;
            if !text.is_empty() {
                object.insert(name.to_owned(), text.into());
            }
        }
        Field::Texts => push(object, text(content)?.into()),
        Field::One(kind) => {
            let value = message(kind, content)?;
            // Go writes an empty structure where JSON would have none.
            if value.as_object().is_some_and(|members| !members.is_empty()) {
                object.insert(name.to_owned(), value);
            }
        }
        Field::Many(kind) => push(object, message(kind, content)?),
        Field::TextMap | Field::BytesMap => {
            let (mut key, mut value) = (&[][..], &[][..]);
            for entry in fields(content) {
                match entry? {
                    (1, Wire::Bytes(bytes)) => key = bytes,
                    (2, Wire::Bytes(bytes)) => value = bytes,
                    _ => return Err(format!("an entry of {name} is malformed")),
                }
            }
            let value = if matches!(field, Field::BytesMap) {
                base64::encode(value)
            } else {
                text(value)?.to_owned()
            };
            let map = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
            map[text(key)?] = value.into();
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

/// The fields of a message with their numbers. It ends after the first error.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Result<(u64, Wire<'_>), String>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = split_field(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field.ok_or_else(|| "the body is cut or malformed".to_owned()))
    })
}

fn split_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let tag = split_varint(rest)?;
    let wire = match tag & 7 {
        0 => Wire::Varint(split_varint(rest)?),
        1 => rest.split_off(..8).map(|_| Wire::Fixed)?,
        2 => {
            let length = usize::try_from(split_varint(rest)?).ok()?;
            Wire::Bytes(rest.split_off(..length)?)
        }
        5 => rest.split_off(..4).map(|_| Wire::Fixed)?,
        _ => return None,
    };
    Some((tag >> 3, wire))
}

fn split_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let part = |number: u8, content: &[u8]| {
            [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
        };
        let type_meta = [part(1, version.as_bytes()), part(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), part(1, &type_meta), part(2, raw), part(3, b""), part(4, b"")].concat()
    }

    #[test]
    fn a_secret_as_kubectl_writes_it_is_decoded() {
        let raw =
            b"\x0a\x11\x0a\x01t\x12\0\x1a\0\"\0*\0\x32\0\x38\0B\0\x12\x0c\x0a\x05value\x12\x03abc\x1a\0";
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}, "data": {"value": "YWJj"},
        });
        assert_eq!(decode(&envelope("v1", "Secret", raw)).unwrap(), expected);
    }

    #[test]
    fn what_is_unknown_or_cut_is_refused() {
        assert!(decode(b"").is_err());
        assert!(decode(&envelope("v1", "Pod", b"")).unwrap_err().contains("\"Pod\""));
        let unknown = decode(&envelope("v1", "Secret", b"\x7a\x01x"));
        assert_eq!(unknown.unwrap_err(), "field 15 of Secret is not known in protobuf");
        let number = decode(&envelope("v1", "Secret", b"\x28\x01"));
        assert_eq!(number.unwrap_err(), "field 5 of Secret is not known in protobuf");
        let name = b"\x0a\x03\x0a\x01t";
        assert_eq!(decode(&envelope("v1", "Secret", name)).unwrap()["metadata"]["name"], "t");
        for end in 1..name.len() {
            let cut = decode(&envelope("v1", "Secret", &name[..end]));
            assert_eq!(cut.unwrap_err(), "the body is cut or malformed", "{end}");
        }
    }
}
