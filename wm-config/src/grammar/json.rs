use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::grammar::{Parsed, fault};

/// Maps whose keys are the user's own, where an underscore is no misspelling.
const FREE_MAPS: [&str; 8] = [
    "annotations",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "overhead",
    "requests",
    "volumeAttributes",
];

/// A JSON object whose keys are spelt as Kubernetes does.
pub(crate) fn object(text: &str) -> Parsed<Value> {
    spelt(of_kind(text, "an object", Value::is_object)?)
}

/// A JSON object whose keys are the user's own.
pub(crate) fn map(text: &str) -> Parsed<Value> {
    of_kind(text, "an object", Value::is_object)
}

/// A JSON array, the keys in it spelt as Kubernetes does.
pub(crate) fn array(text: &str) -> Parsed<Value> {
    spelt(of_kind(text, "an array", Value::is_array)?)
}

/// Names the kind of a value, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn of_kind(text: &str, due: &str, is_due: fn(&Value) -> bool) -> Parsed<Value> {
    let value = parse(text)?;
    if !is_due(&value) {
        let hint = match &value {
            Value::String(inner) if inner.trim_start().starts_with(['{', '[']) => {
                "; the JSON is quoted twice, take the outer quotes off"
            }
            _ => "",
        };
        return fault(format!("is {} where {due} is due{hint}", kind(&value)));
    }
    Ok(value)
}

fn spelt(value: Value) -> Parsed<Value> {
    let mut faults = Vec::new();
    find_snake_case(&value, "", &mut faults);
    if faults.is_empty() { Ok(value) } else { Err(faults) }
}

fn parse(text: &str) -> Parsed<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize::<_, Strict>(&mut deserializer)
        .map_err(|error| (error.path().to_string(), error.into_inner()))
        .and_then(|strict| deserializer.end().map(|()| strict).map_err(|error| (String::new(), error)));
    parsed.map(|strict| strict.0).map_err(|(path, error)| {
        let place = match path.as_str() {
            "" | "." | "?" => String::new(),
            path => format!(", in `{path}`"),
        };
        let hint = hint(text).map(|hint| format!(": {hint}")).unwrap_or_default();
        vec![format!("is not JSON ({error}{place}){hint}")]
    })
}

/// What people write when it is not JSON.
fn hint(text: &str) -> Option<&'static str> {
    let is_bracketed = text.starts_with(['{', '[']);
    let has_word = |word: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word);
    let has_trailing_comma = text.split(',').skip(1).any(|rest| rest.trim_start().starts_with(['}', ']']));
    if text.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
        Some("it has typographic quotes, JSON needs straight ones")
    } else if text.starts_with(r#"{\""#) || text.starts_with(r#"[{\""#) {
        Some("its quotes are escaped, as if it had been quoted twice")
    } else if is_bracketed && text.contains('\'') && !text.contains('"') {
        Some("it looks like Python, JSON needs double quotes")
    } else if ["True", "False", "None"].into_iter().any(has_word) {
        Some("it looks like Python, JSON writes true, false and null")
    } else if has_trailing_comma {
        Some("it has a comma before a closing bracket")
    } else if !is_bracketed && text.contains(':') {
        Some("it looks like YAML, JSON needs brackets and double quotes")
    } else if !is_bracketed && text.contains('=') {
        Some("it looks like a list of assignments, JSON needs brackets and double quotes")
    } else {
        None
    }
}

fn find_snake_case(value: &Value, path: &str, faults: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if let Some(camel) = camel_case(key) {
                    faults.push(format!("has the key `{inner}`: Kubernetes spells it {camel}"));
                } else if !FREE_MAPS.contains(&key.as_str()) {
                    find_snake_case(value, &inner, faults);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_snake_case(item, &format!("{path}[{index}]"), faults);
            }
        }
        _ => {}
    }
}

/// Respells `on_exit_codes`; nothing if the key is not in snake case.
fn camel_case(key: &str) -> Option<String> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if !key.contains('_') || !key.split('_').all(is_word) {
        return None;
    }
    let mut camel = String::new();
    for (index, word) in key.split('_').enumerate() {
        let (first, rest) = word.split_at(1);
        if index == 0 {
            camel.push_str(first);
        } else {
            camel.push_str(&first.to_ascii_uppercase());
        }
        camel.push_str(rest);
    }
    Some(camel)
}

/// JSON in which no key is there twice: `serde_json` itself keeps the last one and says nothing.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is there twice")));
            }
            let Strict(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_stays_as_it_is_written() {
        let text = r#"{"requests": {"cpu": "100m", "example.com/my_gpu": 1}, "on": [null, true, 1.5, -1]}"#;
        let value =
            json!({"requests": {"cpu": "100m", "example.com/my_gpu": 1}, "on": [null, true, 1.5, -1]});
        assert_eq!(object(text), Ok(value));
    }

    #[test]
    fn what_is_no_json_gets_a_hint() {
        for (text, word) in [
            ("{'a': 'b'}", "looks like Python"),
            (r#"{"a": True}"#, "true, false and null"),
            (r#"{"a": 1,}"#, "comma before"),
            ("{\u{201c}a\u{201d}: 1}", "typographic"),
            (r#"{\"a\": 1}"#, "escaped"),
            ("a: b", "looks like YAML"),
            ("a=b", "assignments"),
            (r#"{"a": 1, "a": 2}"#, "is there twice"),
            (r#"{"a": {"b": 1, "b": 2}}"#, "in `a"),
            (r#"{"a": 1} x"#, "trailing characters"),
            ("{", "EOF"),
            (r#""{\"a\": 1}""#, "quoted twice"),
            ("[]", "an array where an object is due"),
            ("null", "null where an object is due"),
            (
                r#"{"rules": [{"on_exit_codes": {}}]}"#,
                "`rules[0].on_exit_codes`: Kubernetes spells it onExitCodes",
            ),
        ] {
            let faults = object(text).unwrap_err();
            assert!(faults[0].contains(word), "{text}: {faults:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(array(&"[".repeat(100_000)).is_err());
    }
}
