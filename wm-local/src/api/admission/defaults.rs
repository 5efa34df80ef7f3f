//! The defaults that an API server writes into Jobs and Pods.

use serde_json::{Map, Value, json};

use super::drop_nulls;
use crate::{controller::request_limits, quantity::Quantity};

pub(super) fn job(object: &mut Value) {
    clean(&mut object["spec"]);
    let spec = &mut object["spec"];
    // With neither given both are 1; with completions alone parallelism is 1, the other way there is no completions.
    if spec.get("parallelism").is_none() {
        default(spec, "completions", json!(1));
    }
    for (field, value) in [
        ("parallelism", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("manualSelector", json!(false)),
        ("suspend", json!(false)),
    ] {
        default(spec, field, value);
    }
    let replacement = if spec.get("podFailurePolicy").is_some() { "Failed" } else { "TerminatingOrFailed" };
    default(spec, "podReplacementPolicy", replacement.into());
    let policy = spec.get_mut("podFailurePolicy").and_then(|policy| policy.get_mut("rules"));
    for rule in policy.and_then(Value::as_array_mut).into_iter().flatten() {
        for pattern in list(rule, "onPodConditions") {
            default(pattern, "status", json!("True"));
        }
    }
    let template = &mut object["spec"]["template"];
    clean(&mut template["metadata"]);
    pod_spec(&mut template["spec"]);
}

pub(super) fn pod(object: &mut Value) {
    pod_spec(&mut object["spec"]);
    default(&mut object["spec"], "enableServiceLinks", json!(true));
    if let Some(spec) = object["spec"].as_object_mut() {
        request_limits(spec);
    }
}

fn pod_spec(spec: &mut Value) {
    clean(spec);
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        default(spec, field, value);
    }
    // The old name of the field is kept in step with the new one.
    let account = spec.get("serviceAccountName").or_else(|| spec.get("serviceAccount")).cloned();
    if let Some(account) = account {
        spec["serviceAccountName"] = account.clone();
        spec["serviceAccount"] = account;
    }
    for group in ["initContainers", "containers"] {
        for container in list(spec, group) {
            container_defaults(container);
        }
    }
    for volume in list(spec, "volumes") {
        for source in ["secret", "configMap", "downwardAPI", "projected"] {
            if let Some(source) = volume.get_mut(source) {
                default(source, "defaultMode", json!(0o644));
            }
        }
        volume.pointer_mut("/emptyDir/sizeLimit").into_iter().for_each(canonical);
        // A volume of no kind is an empty directory.
        if volume.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("name")) {
            volume["emptyDir"] = json!({});
        }
    }
}

fn container_defaults(container: &mut Value) {
    clean(container);
    let image = container["image"].as_str().unwrap_or_default();
    let policy = if has_latest_tag(image) { "Always" } else { "IfNotPresent" };
    for (field, value) in [
        ("resources", json!({})),
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
        ("imagePullPolicy", json!(policy)),
    ] {
        default(container, field, value);
    }
    for port in list(container, "ports") {
        default(port, "protocol", json!("TCP"));
    }
    for variable in list(container, "env") {
        clean(variable);
        for (source, field, value) in [("fieldRef", "apiVersion", "v1"), ("resourceFieldRef", "divisor", "0")]
        {
            if let Some(source) = variable.get_mut("valueFrom").and_then(|from| from.get_mut(source)) {
                default(source, field, value.into());
                source.get_mut("divisor").into_iter().for_each(canonical);
            }
        }
        // An empty value is not written.
        if variable.get("value").is_some_and(|value| value == "") {
            remove(variable, "value");
        }
    }
    for list_field in ["env", "envFrom", "ports", "volumeMounts", "command", "args"] {
        if container.get(list_field).is_some_and(|list| *list == json!([])) {
            remove(container, list_field);
        }
    }
    for group in ["requests", "limits"] {
        if let Some(quantities) = container["resources"].get_mut(group).and_then(Value::as_object_mut) {
            quantities.values_mut().for_each(canonical);
        }
    }
}

/// A quantity in the form that is stored; one written as a number is text.
pub(super) fn canonical(quantity: &mut Value) {
    let text = quantity.as_str().map_or_else(|| quantity.to_string(), ToOwned::to_owned);
    if let Some(canonical) = Quantity::canonical(&text) {
        *quantity = canonical.into();
    }
}

/// Whether an image has the tag `latest`, which it has without any.
fn has_latest_tag(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn default(object: &mut Value, field: &str, value: Value) {
    if object.get(field).is_none() {
        object[field] = value;
    }
}

/// A missing object is an empty one, and a member that is `null` is one that is not there.
fn clean(value: &mut Value) {
    match value {
        Value::Object(members) => drop_nulls(members),
        _ => *value = Value::Object(Map::new()),
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(field);
    }
}

fn list<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_tag_are_pulled_always() {
        for image in ["a", "x:5000/a", "x/a:latest"] {
            assert!(has_latest_tag(image), "{image}");
        }
        for image in ["a:1", "x:5000/a:1", "a@sha256:0", "a:latest@sha256:0"] {
            assert!(!has_latest_tag(image), "{image}");
        }
    }

    #[test]
    fn completions_default_only_without_parallelism() {
        let completions = |mut object: Value| {
            job(&mut object);
            object["spec"]["completions"].clone()
        };
        assert_eq!(completions(json!({"spec": {}})), 1);
        assert_eq!(completions(json!({"spec": {"parallelism": 2}})), Value::Null);
        assert_eq!(completions(json!({"spec": {"completions": 3}})), 3);
    }
}
