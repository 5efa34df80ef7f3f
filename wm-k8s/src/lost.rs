//! Which fields of an object the server did not keep: pure.

use std::fmt::Write as _;

use serde_json::Value;

/// Lists the paths of what was sent and did not come back. Values may differ, since the server normalizes them.
pub(crate) fn fields(sent: &Value, got: &Value) -> Vec<String> {
    let mut lost = Vec::new();
    compare(sent, got, &mut String::new(), &mut lost);
    lost
}

fn compare(sent: &Value, got: &Value, path: &mut String, lost: &mut Vec<String>) {
    let length = path.len();
    match (sent, got) {
        (Value::Object(sent), Value::Object(got)) => {
            for (key, value) in sent {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                match got.get(key) {
                    Some(kept) => compare(value, kept, path, lost),
                    None if is_empty(value) => {}
                    None => lost.push(path.clone()),
                }
                path.truncate(length);
            }
        }
        (Value::Array(sent), Value::Array(got)) => {
            for (index, value) in sent.iter().enumerate() {
                // Writing to a String can't fail.
                write!(path, "[{index}]").unwrap_or_default();
                match got.get(index) {
                    Some(kept) => compare(value, kept, path, lost),
                    None => lost.push(path.clone()),
                }
                path.truncate(length);
            }
        }
        _ => {}
    }
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

    use super::*;

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
    }
}
