//! Which fields of an object the server did not keep: pure.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Lists the paths of what was sent and did not come back. Values may differ, since the server normalizes them.
///
/// The answer is compared while it is read: built in memory it would cost more than all else that a submission does.
pub(crate) fn fields(sent: &Value, got: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let mut lost = Vec::new();
    let mut answer = serde_json::Deserializer::from_slice(got);
    Comparison { sent, path: &mut String::new(), lost: &mut lost }.deserialize(&mut answer)?;
    answer.end()?;
    Ok(lost)
}

/// Compares a value that was sent with the one that is read.
struct Comparison<'a> {
    sent: &'a Value,
    path: &'a mut String,
    lost: &'a mut Vec<String>,
}

impl Comparison<'_> {
    fn of<'b>(&'b mut self, sent: &'b Value) -> Comparison<'b> {
        Comparison { sent, path: self.path, lost: self.lost }
    }
}

impl<'de> DeserializeSeed<'de> for Comparison<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.sent {
            Value::Object(_) | Value::Array(_) => deserializer.deserialize_any(self),
            _ => IgnoredAny::deserialize(deserializer).map(|_| ()),
        }
    }
}

/// A key, which has to be copied only if it has escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Comparison<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut got: A) -> Result<(), A::Error> {
        let none = Map::new();
        let sent = self.sent.as_object().unwrap_or(&none);
        let mut kept = vec![false; sent.len()];
        let length = self.path.len();
        while let Some(Key(key)) = got.next_key()? {
            let Some(place) = sent.keys().position(|name| *name == key) else {
                got.next_value::<IgnoredAny>()?;
                continue;
            };
            kept[place] = true;
            step(self.path, &key);
            got.next_value_seed(self.of(&sent[key.as_ref()]))?;
            self.path.truncate(length);
        }
        for ((key, value), _) in sent.iter().zip(kept).filter(|(_, kept)| !kept) {
            if !is_empty(value) {
                step(self.path, key);
                self.lost.push(self.path.clone());
                self.path.truncate(length);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut got: A) -> Result<(), A::Error> {
        let sent = self.sent.as_array().map_or(&[][..], Vec::as_slice);
        let length = self.path.len();
        let mut ended = false;
        for (index, value) in sent.iter().enumerate() {
            // Writing to a String can't fail.
            write!(self.path, "[{index}]").unwrap_or_default();
            ended = ended || got.next_element_seed(self.of(value))?.is_none();
            if ended {
                self.lost.push(self.path.clone());
            }
            self.path.truncate(length);
        }
        while !ended && got.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    // Of another kind than what was sent: that is a value that differs, no loss.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

fn step(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// The server leaves out what says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fields as compared, *};

    fn fields(sent: &Value, got: &Value) -> Vec<String> {
        compared(sent, got.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_dropped_policy_is_found_and_added_defaults_are_not_missed() {
        let sent =
            json!({ "spec": { "podFailurePolicy": { "rules": [] }, "suspend": true, "backoffLimit": 0 } });
        let got = json!({ "spec": { "backoffLimit": 0, "suspend": true, "completions": 1 }, "status": {} });
        assert_eq!(fields(&sent, &got), ["spec.podFailurePolicy"]);
    }

    #[test]
    fn normalized_values_and_left_out_nothings_are_no_loss() {
        let sent = json!({ "a": { "cpu": "1000m", "empty": {}, "off": false }, "list": [{ "x": 1 }] });
        let got = json!({ "a": { "cpu": "1" }, "list": [{ "x": 1, "y": 2 }] });
        assert!(fields(&sent, &got).is_empty());
    }

    #[test]
    fn paths_name_list_entries() {
        assert_eq!(fields(&json!({ "l": [{ "a": 1, "b": 2 }] }), &json!({ "l": [{ "a": 1 }] })), ["l[0].b"]);
        assert_eq!(fields(&json!({ "l": [[1], [2], [3]] }), &json!({ "l": [[1]] })), ["l[1]", "l[2]"]);
    }

    #[test]
    fn a_value_of_another_kind_is_no_loss() {
        for got in [json!(null), json!(true), json!(-1), json!(1), json!(1.5), json!("text"), json!([1])] {
            assert!(fields(&json!({ "a": { "b": 1 }, "c": 1 }), &json!({ "a": got, "c": 1 })).len() <= 1);
            assert!(fields(&json!({ "a": [1] }), &json!({ "a": got })).is_empty(), "{got}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert!(compared(&json!({ "a": 1 }), b"{\"a\": 1").is_err());
        assert!(compared(&json!({ "a": 1 }), b"{\"a\": 1} x").is_err());
    }
}
