//! What a pod may ask for that processes without a container can't be given.
//! It is refused where ignoring it would change what the pod does.

use serde_json::Value;

/// Why a container can't be run as its spec says, in words.
pub(crate) fn reason(pod: &Value, container: &Value) -> Option<String> {
    let has = |field: &str| !is_empty(&container[field]);
    if has("volumeMounts") || has("volumeDevices") {
        let name = container["volumeMounts"][0]["name"].as_str().unwrap_or_default();
        return Some(format!(
            "the embedded cluster can't mount volume \"{name}\": its pods are processes without a file system of their own"
        ));
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if has(field) {
            return Some(format!("the embedded cluster doesn't support {field}"));
        }
    }
    let sidecars = pod["spec"]["initContainers"].as_array().into_iter().flatten();
    if sidecars.into_iter().any(|init| !is_empty(&init["restartPolicy"])) {
        return Some("the embedded cluster doesn't support init containers with a restartPolicy".to_owned());
    }
    None
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mount_is_refused_by_the_name_of_its_volume() {
        let container = json!({"volumeMounts": [{"name": "data", "mountPath": "/data"}]});
        assert!(reason(&json!({}), &container).unwrap().contains("\"data\""));
    }

    #[test]
    fn a_plain_container_is_not_refused() {
        let container = json!({"resources": {"limits": {"cpu": "1"}}, "volumeMounts": [], "securityContext": {"runAsNonRoot": true}});
        assert_eq!(reason(&json!({"spec": {"initContainers": [{"name": "init"}]}}), &container), None);
        assert!(
            reason(&json!({"spec": {"initContainers": [{"restartPolicy": "Always"}]}}), &container).is_some()
        );
    }
}
