//! Whether a value can be decoded, in the words of Go's decoder.

use serde_json::Value;

use super::Type;
use crate::quantity::Quantity;

/// The first mistake in a value of this type, or nothing. `null` stands for any missing value.
pub(crate) fn check(kind: Type, value: &Value) -> Result<(), String> {
    walk(kind, value, "", &mut Vec::new())
}

fn walk<'a>(kind: Type, value: &'a Value, owner: &str, path: &mut Vec<&'a str>) -> Result<(), String> {
    match (kind, value) {
        (Type::Any, _) | (_, Value::Null) => Ok(()),
        (Type::String, Value::String(_)) | (Type::Bool, Value::Bool(_)) => Ok(()),
        (Type::Int32, Value::Number(number)) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {
            Ok(())
        }
        (Type::Int64, Value::Number(number)) if number.is_i64() => Ok(()),
        (Type::Int32 | Type::Int64, Value::Number(number)) => {
            Err(unmarshal(&format!("number {number}"), kind, owner, path))
        }
        (Type::Quantity, Value::String(text)) => Quantity::parse(text).map(drop),
        (Type::Quantity, Value::Number(number)) => Quantity::parse(&number.to_string()).map(drop),
        (Type::Quantity, _) => Err("quantities must match the regular expression \
                                    '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            .to_owned()),
        (Type::Bytes, Value::String(text)) => match bad_base64(text) {
            None => Ok(()),
            Some(byte) => Err(format!("illegal base64 data at input byte {byte}")),
        },
        (Type::Time, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
            )),
        },
        (Type::List(item), Value::Array(items)) => {
            items.iter().try_for_each(|value| walk(*item, value, owner, path))
        }
        (Type::Map(item), Value::Object(members)) => members.iter().try_for_each(|(key, value)| {
            path.push(key);
            let result = walk(*item, value, owner, path);
            path.pop();
            result
        }),
        (Type::Struct(structure), Value::Object(members)) => members.iter().try_for_each(|(key, value)| {
            path.push(key);
            let result = walk(kind.member(key).unwrap_or(Type::Any), value, structure.name, path);
            path.pop();
            result
        }),
        _ => Err(unmarshal(crate::api::go_type(value), kind, owner, path)),
    }
}

fn unmarshal(found: &str, kind: Type, owner: &str, path: &[&str]) -> String {
    format!(
        "json: cannot unmarshal {found} into Go struct field {owner}.{} of type {}",
        path.join("."),
        go_name(kind)
    )
}

fn go_name(kind: Type) -> String {
    match kind {
        Type::String => "string".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Quantity => "resource.Quantity".to_owned(),
        Type::Bytes => "[]uint8".to_owned(),
        Type::Time => "v1.Time".to_owned(),
        Type::Any => "interface {}".to_owned(),
        Type::List(item) => format!("[]{}", go_name(*item)),
        Type::Map(item) => format!("map[string]{}", go_name(*item)),
        Type::Struct(structure) => format!("v1.{}", structure.name),
    }
}

/// Where text stops being standard base64, as Go counts it.
fn bad_base64(text: &str) -> Option<usize> {
    let body = text.trim_end_matches('=');
    let is_sextet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if let Some(place) = body.bytes().position(|byte| !is_sextet(byte)) {
        return Some(place);
    }
    (!text.len().is_multiple_of(4) || text.len() - body.len() > 2).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kind;

    fn refusal(kind: Kind, value: &Value) -> String {
        check(Type::of(kind), value).unwrap_err()
    }

    #[test]
    fn a_wrong_type_is_told_with_its_place() {
        let env =
            json!({"spec": {"template": {"spec": {"containers": [{"env": [{"name": "N", "value": 1}]}]}}}});
        assert_eq!(
            refusal(Kind::Job, &env),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of \
             type string"
        );
        assert_eq!(
            refusal(Kind::Job, &json!({"spec": {"parallelism": "two"}})),
            "json: cannot unmarshal string into Go struct field JobSpec.spec.parallelism of type int32"
        );
        assert!(refusal(Kind::Job, &json!({"spec": []})).ends_with("Job.spec of type v1.JobSpec"));
        assert!(refusal(Kind::Job, &json!({"spec": {"backoffLimit": 1.5}})).contains("number 1.5"));
    }

    #[test]
    fn quantities_and_base64_are_decoded() {
        let quantity = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "two"}}}]}});
        assert!(refusal(Kind::Pod, &quantity).starts_with("quantities must match the regular expression"));
        assert_eq!(
            refusal(Kind::Secret, &json!({"data": {"a": "not base64!"}})),
            "illegal base64 data at input byte 3"
        );
        check(Type::of(Kind::Secret), &json!({"data": {"a": "MQ==", "b": ""}, "type": null})).unwrap();
    }
}
