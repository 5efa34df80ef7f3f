//! What a pod may ask for that processes without a container can't be given.
//! It is refused where ignoring it would change what the pod does.

use serde_json::Value;

use super::volumes;
use crate::{store::meta, value::list};

/// Why a container can't be run as its spec says, in words.
pub(crate) fn reason(pod: &Value, container: &Value) -> Option<String> {
    for mount in list(container, "volumeMounts") {
        let volume = list(&pod["spec"], "volumes").find(|volume| volume["name"] == mount["name"]);
        if let Some(reason) = volume.and_then(volumes::unsupported) {
            return Some(format!("the embedded cluster can't mount volume {}: {reason}", mount["name"]));
        }
        if mount["mountPropagation"] == "Bidirectional" {
            return Some("the embedded cluster doesn't support mountPropagation Bidirectional".to_owned());
        }
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "volumeDevices"] {
        if !is_empty(&container[field]) {
            return Some(format!("the embedded cluster doesn't support {field}"));
        }
    }
    breaks_non_root(pod, container)
}

/// A user that is asked for and not allowed. There is no image whose user could be looked at.
fn breaks_non_root(pod: &Value, container: &Value) -> Option<String> {
    let setting = |field: &str| {
        let own = &container["securityContext"][field];
        if own.is_null() { &pod["spec"]["securityContext"][field] } else { own }
    };
    let is_broken = *setting("runAsNonRoot") == true && *setting("runAsUser") == 0;
    is_broken.then(|| {
        format!(
            "container's runAsUser breaks non-root policy (pod: \"{}_{}({})\", container: {})",
            meta(pod, "name"),
            meta(pod, "namespace"),
            meta(pod, "uid"),
            container["name"].as_str().unwrap_or_default(),
        )
    })
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
    fn a_volume_of_another_kind_is_refused_by_its_name() {
        let container = json!({"volumeMounts": [{"name": "data", "mountPath": "/data"}]});
        let pod = |volume: Value| json!({"spec": {"volumes": [volume]}});
        let claim = pod(json!({"name": "data", "persistentVolumeClaim": {"claimName": "c"}}));
        let refusal = reason(&claim, &container).unwrap();
        assert!(refusal.contains("\"data\"") && refusal.contains("persistentVolumeClaim"), "{refusal}");
        assert_eq!(reason(&pod(json!({"name": "data", "emptyDir": {}})), &container), None);
        assert_eq!(reason(&claim, &json!({})), None, "it is not mounted");
    }

    #[test]
    fn root_is_refused_where_it_is_asked_for_and_forbidden() {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
            "spec": {"securityContext": {"runAsNonRoot": true, "runAsUser": 0}},
        });
        let expected = "container's runAsUser breaks non-root policy (pod: \"p_ns(u)\", container: main)";
        assert_eq!(reason(&pod, &json!({"name": "main"})).unwrap(), expected);
        assert_eq!(reason(&pod, &json!({"name": "main", "securityContext": {"runAsUser": 1000}})), None);
        assert_eq!(reason(&pod, &json!({"name": "main", "securityContext": {"runAsNonRoot": false}})), None);
    }

    #[test]
    fn a_plain_container_is_not_refused() {
        let container = json!({"resources": {"limits": {"cpu": "1"}}, "volumeMounts": [], "securityContext": {"runAsNonRoot": true}});
        assert_eq!(
            reason(&json!({"spec": {"initContainers": [{"restartPolicy": "Always"}]}}), &container),
            None
        );
        assert!(reason(&json!({}), &json!({"livenessProbe": {"exec": {"command": ["true"]}}})).is_some());
    }
}
