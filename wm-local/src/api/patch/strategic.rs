//! Strategic merge: lists of objects with a key are merged by it, as `kubectl apply` and `kubectl edit` expect.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// How the items of a list are told apart, by the name of the list. Other lists are replaced.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets"
        | "resourceClaims"
        | "schedulingGates" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "ports" => Some("containerPort"),
        "hostAliases" => Some("ip"),
        "topologySpreadConstraints" => Some("topologyKey"),
        "ownerReferences" => Some("uid"),
        "conditions" => Some("type"),
        _ => None,
    }
}

/// The one list of plain values that is merged.
const FINALIZERS: &str = "finalizers";

pub(super) fn merge(object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Some(patch) = patch.as_object() else {
        *object = patch.clone();
        return Ok(());
    };
    match directive(patch)? {
        Some("replace") => {
            *object = Value::Object(without_directives(patch));
            return Ok(());
        }
        Some("delete") => {
            *object = Value::Object(Map::new());
            return Ok(());
        }
        _ => {}
    }
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(members) = object.as_object_mut() else { return Ok(()) };
    if let Some(kept) = patch.get("$retainKeys") {
        let kept = kept.as_array().ok_or_else(|| malformed("$retainKeys"))?;
        members.retain(|key, _| kept.iter().any(|one| one == key));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let unwanted = value.as_array().ok_or_else(|| malformed(key))?;
            if let Some(Value::Array(items)) = members.get_mut(list) {
                items.retain(|item| !unwanted.contains(item));
            }
        } else if key.starts_with('$') {
            // `$patch` and `$retainKeys` are done; the order of a merged list is not kept.
        } else if value.is_null() {
            members.remove(key);
        } else {
            let member = members.entry(key.clone()).or_insert(Value::Null);
            merge_member(key, member, value)?;
        }
    }
    Ok(())
}

fn merge_member(key: &str, member: &mut Value, patch: &Value) -> Result<(), ApiError> {
    match (patch, merge_key(key)) {
        (Value::Object(_), _) => merge(member, patch),
        (Value::Array(items), Some(by)) if items.iter().all(Value::is_object) => {
            merge_list(member, items, by)
        }
        (Value::Array(items), None) if key == FINALIZERS => {
            let mut all = member.as_array().cloned().unwrap_or_default();
            for item in items {
                if !all.contains(item) {
                    all.push(item.clone());
                }
            }
            *member = Value::Array(all);
            Ok(())
        }
        _ => {
            *member = patch.clone();
            Ok(())
        }
    }
}

fn merge_list(member: &mut Value, patches: &[Value], by: &str) -> Result<(), ApiError> {
    let mut items = member.as_array().cloned().unwrap_or_default();
    if patches.iter().any(|patch| patch["$patch"] == "replace") {
        items.clear();
    }
    for patch in patches {
        let fields = patch.as_object().map(without_directives).unwrap_or_default();
        let place = items.iter().position(|item| item.get(by) == patch.get(by) && item.get(by).is_some());
        match (patch["$patch"].as_str(), place) {
            (Some("replace"), _) if fields.is_empty() => {}
            (Some("delete"), Some(place)) => {
                items.remove(place);
            }
            (Some("delete"), None) => {}
            (_, Some(place)) => merge(&mut items[place], &Value::Object(fields))?,
            (_, None) => {
                if patch.get(by).is_none() {
                    let message = format!("map: {patch} does not contain declared merge key: {by}");
                    return Err(ApiError::new(500, "", message));
                }
                let mut item = Value::Object(Map::new());
                merge(&mut item, &Value::Object(fields))?;
                items.push(item);
            }
        }
    }
    *member = Value::Array(items);
    Ok(())
}

fn directive(patch: &Map<String, Value>) -> Result<Option<&str>, ApiError> {
    match patch.get("$patch") {
        None => Ok(None),
        Some(Value::String(directive)) if matches!(directive.as_str(), "replace" | "delete" | "merge") => {
            Ok(Some(directive))
        }
        Some(other) => {
            Err(ApiError::bad_request(format!("unrecognized patch type: {}", other.as_str().unwrap_or("?"))))
        }
    }
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    patch
        .iter()
        .filter(|(key, _)| *key != "$patch")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn malformed(key: &str) -> ApiError {
    ApiError::bad_request(format!("the value of {key} must be a list"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(patch: &Value) -> Value {
        let mut object = json!({
            "metadata": {"finalizers": ["a", "b"], "labels": {"x": "1"}},
            "containers": [{"name": "main", "image": "i", "env": [{"name": "A", "value": "1"}]}, {"name": "side"}],
            "tolerations": [{"key": "a"}],
            "strategy": {"type": "x", "rolling": {}},
        });
        merge(&mut object, patch).unwrap();
        object
    }

    #[test]
    fn lists_are_merged_by_their_key() {
        let object = patched(&json!({
            "containers": [{"name": "main", "image": "j", "env": [{"name": "B", "value": "2"}]}, {"name": "new"}],
        }));
        let expected = json!([
            {"name": "main", "image": "j", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "side"},
            {"name": "new"},
        ]);
        assert_eq!(object["containers"], expected);
    }

    #[test]
    fn other_lists_are_replaced() {
        assert_eq!(patched(&json!({"tolerations": []}))["tolerations"], json!([]));
    }

    #[test]
    fn directives_delete_and_replace() {
        let object = patched(&json!({"containers": [{"$patch": "delete", "name": "main"}]}));
        assert_eq!(object["containers"], json!([{"name": "side"}]));
        let object = patched(&json!({"containers": [{"$patch": "replace"}, {"name": "only"}]}));
        assert_eq!(object["containers"], json!([{"name": "only"}]));
        let object = patched(&json!({"metadata": {"labels": {"$patch": "replace", "y": "2"}}}));
        assert_eq!(object["metadata"]["labels"], json!({"y": "2"}));
        let object = patched(&json!({"strategy": {"$retainKeys": ["type"], "type": "y"}}));
        assert_eq!(object["strategy"], json!({"type": "y"}));
        let object = patched(&json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}));
        assert_eq!(object["metadata"]["finalizers"], json!(["b"]));
    }

    #[test]
    fn finalizers_are_united() {
        let object = patched(&json!({"metadata": {"finalizers": ["b", "c"]}}));
        assert_eq!(object["metadata"]["finalizers"], json!(["a", "b", "c"]));
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let mut object = json!({});
        assert!(merge(&mut object, &json!({"containers": [{"image": "x"}]})).is_err());
        assert!(merge(&mut object, &json!({"$patch": "nonsense"})).is_err());
    }
}
