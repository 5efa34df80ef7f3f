//! Decoding with a memory: a plain `Value` keeps no trace of a field given twice, nor the order of the fields.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::schema::Type;

/// A decoded body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// Without the fields that are unknown. Of a field given twice it has the last value.
    pub(crate) value: Value,
    /// Unknown and doubled fields in the order of the text, in words such as `unknown field "spec.a"`.
    pub(crate) slips: Vec<String>,
}

impl Document {
    pub(super) fn from_json(body: &[u8], kind: Type) -> Result<Self, serde_json::Error> {
        let slips = RefCell::default();
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let value = Node { path: "", kind, slips: &slips }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(Self { value, slips: slips.into_inner() })
    }

    /// YAML refuses doubled keys by itself.
    pub(super) fn from_yaml(body: &[u8], kind: Type) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        let value = serde_saphyr::from_str::<Value>(text).map_err(|error| error.to_string())?;
        Self::from_value(value, kind).map_err(|error| error.to_string())
    }

    pub(crate) fn from_value(value: Value, kind: Type) -> Result<Self, serde_json::Error> {
        let slips = RefCell::default();
        let value = Node { path: "", kind, slips: &slips }.deserialize(value)?;
        Ok(Self { value, slips: slips.into_inner() })
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    path: &'a str,
    kind: Type,
    slips: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, array.len());
            match items.next_element_seed(Node { path: &path, kind: self.kind.item(), ..self })? {
                Some(item) => array.push(item),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let Some(kind) = self.kind.member(&key) else {
                members.next_value::<IgnoredAny>()?;
                self.slips.borrow_mut().push(format!("unknown field \"{path}\""));
                continue;
            };
            let value = members.next_value_seed(Node { path: &path, kind, ..self })?;
            if object.insert(key, value).is_some() {
                self.slips.borrow_mut().push(format!("duplicate field \"{path}\""));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kind;

    #[test]
    fn the_last_of_two_fields_counts_and_is_told() {
        let body =
            br#"{"spec": {"a": 1, "b": [{"c": 1, "c": 2}], "a": 2}, "n": -1.5, "t": "\u00e9", "z": null}"#;
        let document = Document::from_json(body, Type::Any).unwrap();
        let expected = json!({"spec": {"a": 2, "b": [{"c": 2}]}, "n": -1.5, "t": "\u{e9}", "z": null});
        assert_eq!(document.value, expected);
        assert_eq!(document.slips, ["duplicate field \"spec.b[0].c\"", "duplicate field \"spec.a\""]);
    }

    #[test]
    fn unknown_fields_are_dropped_and_told_in_the_order_of_the_text() {
        let body = br#"{"spec": {"zeta": 1, "template": {"spec": {"containers": [{"imagee": {"x": 1}}]}}, "alpha": 2}}"#;
        let document = Document::from_json(body, Type::of(Kind::Job)).unwrap();
        assert_eq!(document.value, json!({"spec": {"template": {"spec": {"containers": [{}]}}}}));
        let slips = [
            "unknown field \"spec.zeta\"",
            "unknown field \"spec.template.spec.containers[0].imagee\"",
            "unknown field \"spec.alpha\"",
        ];
        assert_eq!(document.slips, slips);
    }

    #[test]
    fn text_after_the_value_is_refused() {
        assert!(Document::from_json(b"{} {}", Type::Any).is_err());
    }
}
