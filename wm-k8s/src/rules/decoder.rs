//! The deserializer behind [`parse`](super::parse).

use std::{cell::RefCell, fmt};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor, value},
    forward_to_deserialize_any,
};
use serde_json::{Value, map};

use super::{
    decode::Document,
    go_type::{map_type, string_type},
    path,
    quantity::Quantity,
    spelling,
};

/// Why decoding ended early: a reason that is not reported yet, or none.
#[derive(Debug)]
pub(super) struct Failure(pub(super) Option<String>);

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_deref().unwrap_or("reported"))
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self(Some(reason.to_string()))
    }
}

/// Where in the value, as Kubernetes and as Go writes it, and the Go type around it.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    field: String,
    go_path: String,
    holder: &'static str,
}

impl Spot {
    pub(super) fn root(go_path: String, holder: &'static str) -> Self {
        Self { field: String::new(), go_path, holder }
    }
}

static NULL: Value = Value::Null;

#[derive(Debug)]
pub(super) struct Decoder<'de, 'doc> {
    document: &'doc Document,
    value: &'de Value,
    spot: Spot,
    /// When set, the value is a null and only the Go type that is asked for matters.
    type_name: Option<&'doc RefCell<String>>,
}

impl<'de, 'doc> Decoder<'de, 'doc> {
    pub(super) fn new(document: &'doc Document, value: &'de Value, spot: Spot) -> Self {
        Self { document, value, spot, type_name: None }
    }
}

impl<'de> Decoder<'de, '_> {
    fn note(&self, go_type: &str) {
        if let Some(name) = self.type_name {
            go_type.clone_into(&mut name.borrow_mut());
        }
    }

    fn refuse(&self, go_type: &str) {
        let kind = match self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) if matches!(go_type, "int32" | "int64") => format!("number {number}"),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let Spot { field, go_path, holder } = &self.spot;
        let at = if holder.is_empty() {
            "Go value".to_owned()
        } else {
            format!("Go struct field {holder}.{go_path}")
        };
        self.document.add(field, format!("json: cannot unmarshal {kind} into {at} of type {go_type}"));
    }

    /// Reports why a visitor did not like a value.
    fn report<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| {
            if let Failure(Some(detail)) = failure {
                self.document.add(&self.spot.field, detail);
            }
            Failure(None)
        })
    }

    fn integer(&self, go_type: &str, fits: impl Fn(i64) -> bool) -> i64 {
        self.note(go_type);
        let number = match self.value {
            Value::Null => Some(0),
            value => value.as_i64().filter(|number| fits(*number)),
        };
        number.unwrap_or_else(|| {
            self.refuse(go_type);
            0
        })
    }

    fn text(&self) -> &'de str {
        let go_type = string_type(self.spot.holder, &self.spot.go_path);
        self.note(go_type);
        match self.value {
            Value::String(text) => text,
            Value::Null => "",
            _ => {
                self.refuse(go_type);
                ""
            }
        }
    }

    /// The entries of an object, none if it is not one.
    fn object(&self, go_type: &str) -> Option<map::Iter<'de>> {
        match self.value {
            Value::Object(entries) => Some(entries.iter()),
            Value::Null => None,
            _ => {
                self.refuse(go_type);
                None
            }
        }
    }

    /// A quantity in text, zero if it is none.
    fn quantity(&self) -> String {
        self.note("resource.Quantity");
        let text = match self.value {
            Value::Null => return "0".to_owned(),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            // The server takes any JSON for the text of a quantity, and then finds that it is none.
            other => other.to_string(),
        };
        match Quantity::parse(&text) {
            Ok(_) => text,
            Err(detail) => {
                self.document.add(&self.spot.field, detail.to_owned());
                "0".to_owned()
            }
        }
    }
}

impl<'de> Deserializer<'de> for Decoder<'de, '_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.note("intstr.IntOrString");
        let result = match self.value {
            Value::Null => visitor.visit_i64(0),
            Value::String(text) => visitor.visit_borrowed_str(text),
            other => other.deserialize_any(visitor).map_err(de::Error::custom),
        };
        self.report(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.note("bool");
        match self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Null => visitor.visit_bool(false),
            _ => {
                self.refuse("bool");
                visitor.visit_bool(false)
            }
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_i64(self.integer("int32", |number| i32::try_from(number).is_ok()))
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_i64(self.integer("int64", |_| true))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let result = visitor.visit_borrowed_str(self.text());
        self.report(result)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name != "Quantity" {
            return visitor.visit_newtype_struct(self);
        }
        visitor.visit_newtype_struct(value::StringDeserializer::new(self.quantity()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Value::Array(items) => visitor.visit_seq(Items { decoder: &self, rest: items.iter(), next: 0 }),
            Value::Null => visitor.visit_seq(Items { decoder: &self, rest: [].iter(), next: 0 }),
            _ => {
                let name = RefCell::new(String::new());
                let nothing = visitor.visit_seq(ElementType { document: self.document, name: &name })?;
                self.refuse(&format!("[]{}", name.borrow()));
                Ok(nothing)
            }
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let entries = self.object(map_type(&self.spot.go_path));
        visitor.visit_map(Entries { decoder: &self, holder: None, pairs: entries, value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let go_type = format!("v1.{name}");
        self.note(&go_type);
        let entries = self.object(&go_type);
        for (key, _) in entries.clone().into_iter().flatten() {
            if fields.contains(&key.as_str()) || (self.document.is_patch() && key.starts_with('$')) {
                continue;
            }
            let meant = spelling::meant(key, fields).map(|name| format!(", did you mean {name:?}?"));
            let field = path::child(&self.spot.field, key);
            self.document.add(&field, format!("unknown field{}", meant.unwrap_or_default()));
        }
        visitor.visit_map(Entries { decoder: &self, holder: Some(name), pairs: entries, value: None })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}

/// The elements of a list.
struct Items<'de, 'up, 'doc> {
    decoder: &'up Decoder<'de, 'doc>,
    rest: std::slice::Iter<'de, Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de, '_, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let Spot { field, go_path, holder } = &self.decoder.spot;
        let spot = Spot { field: path::index(field, self.next), go_path: go_path.clone(), holder };
        self.next += 1;
        seed.deserialize(Decoder::new(self.decoder.document, value, spot)).map(Some)
    }
}

/// An empty list that finds out what its elements would be.
struct ElementType<'doc> {
    document: &'doc Document,
    name: &'doc RefCell<String>,
}

impl<'de> SeqAccess<'de> for ElementType<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let spot = Spot::root(String::new(), "");
        let probe = Decoder { document: self.document, value: &NULL, spot, type_name: Some(self.name) };
        seed.deserialize(probe)?;
        Ok(None)
    }
}

/// The fields of a struct, or the entries of a map, which has no holder.
struct Entries<'de, 'up, 'doc> {
    decoder: &'up Decoder<'de, 'doc>,
    holder: Option<&'static str>,
    pairs: Option<map::Iter<'de>>,
    value: Option<(&'de str, &'de Value)>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let is_patch = self.decoder.document.is_patch();
        let mut fields =
            self.pairs.iter_mut().flatten().filter(|(key, _)| !(is_patch && key.starts_with('$')));
        let Some((key, value)) = fields.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let (key, value) = self.value.take().unwrap_or(("", &NULL));
        let Spot { field, go_path, holder } = &self.decoder.spot;
        let spot = match self.holder {
            Some(holder) => {
                Spot { field: path::child(field, key), go_path: path::child(go_path, key), holder }
            }
            None => Spot { field: path::key(field, key), go_path: go_path.clone(), holder },
        };
        seed.deserialize(Decoder::new(self.decoder.document, value, spot))
    }
}
