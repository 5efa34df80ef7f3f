//! Validation of Pod specs.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{resources, syntax};
use crate::{api::answer::Warnings, error::Cause};

pub(super) fn check_spec(spec: &Value, field: &str, causes: &mut Vec<Cause>) {
    let volumes = check_volumes(spec, field, causes);
    let containers = items(spec, "containers");
    if containers.is_empty() {
        causes.push(Cause::required(format!("{field}.containers"), ""));
    }
    let mut names = HashSet::new();
    for group in ["containers", "initContainers"] {
        for (index, container) in items(spec, group).iter().enumerate() {
            check_container(container, &format!("{field}.{group}[{index}]"), &volumes, &mut names, causes);
        }
    }
    one_of(spec, "restartPolicy", field, &["Always", "OnFailure", "Never"], causes);
    one_of(spec, "dnsPolicy", field, &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"], causes);
    super::metadata::labels(&spec["nodeSelector"], &format!("{field}.nodeSelector"), causes);
    for member in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        if let Some(name) = spec[member].as_str().filter(|name| !name.is_empty()) {
            for problem in syntax::subdomain(name) {
                causes.push(Cause::invalid(format!("{field}.{member}"), &json!(name), &problem));
            }
        }
    }
    let secrets = items(spec, "imagePullSecrets");
    for (index, secret) in secrets.iter().enumerate() {
        if secret["name"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{field}.imagePullSecrets[{index}].name"), ""));
        }
    }
    for (index, toleration) in items(spec, "tolerations").iter().enumerate() {
        check_toleration(toleration, &format!("{field}.tolerations[{index}]"), causes);
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let field = format!("{field}.activeDeadlineSeconds");
        let detail = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid(field, &json!(seconds), detail));
    }
    if let Some(seconds) = spec["terminationGracePeriodSeconds"].as_i64().filter(|seconds| *seconds < 0) {
        let field = format!("{field}.terminationGracePeriodSeconds");
        causes.push(Cause::invalid(field, &json!(seconds), "must be greater than or equal to 0"));
    }
}

pub(super) fn warn(spec: &Value, field: &str, warnings: &mut Warnings) {
    for group in ["initContainers", "containers"] {
        for (index, container) in items(spec, group).iter().enumerate() {
            let mut seen = HashSet::new();
            for (place, variable) in items(container, "env").iter().enumerate() {
                let name = variable["name"].as_str().unwrap_or_default();
                if !seen.insert(name) {
                    warnings.push(format!(
                        "{field}.{group}[{index}].env[{place}]: hides previous definition of {name:?}, which may be \
                         dropped when using apply"
                    ));
                }
            }
        }
    }
}

fn check_volumes<'a>(spec: &'a Value, field: &str, causes: &mut Vec<Cause>) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (index, volume) in items(spec, "volumes").iter().enumerate() {
        let field = format!("{field}.volumes[{index}]");
        let name = volume["name"].as_str().unwrap_or_default();
        let name_field = format!("{field}.name");
        if name.is_empty() {
            causes.push(Cause::required(name_field, ""));
        } else if let Some(problem) = syntax::label(name).first() {
            causes.push(Cause::invalid(name_field, &json!(name), problem));
        } else if !names.insert(name) {
            causes.push(Cause::duplicate(name_field, &json!(name)));
        }
        if volume.as_object().is_some_and(|fields| fields.len() > 2) {
            causes.push(Cause::forbidden(field, "may not specify more than 1 volume type"));
        }
    }
    names
}

fn check_container<'a>(
    container: &'a Value,
    field: &str,
    volumes: &HashSet<&str>,
    names: &mut HashSet<&'a str>,
    causes: &mut Vec<Cause>,
) {
    let at = |member: &str| format!("{field}.{member}");
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        causes.push(Cause::required(at("name"), ""));
    } else if let Some(problem) = syntax::label(name).first() {
        causes.push(Cause::invalid(at("name"), &json!(name), problem));
    } else if !names.insert(name) {
        causes.push(Cause::duplicate(at("name"), &json!(name)));
    }
    let image = container["image"].as_str().unwrap_or_default();
    if image.is_empty() {
        causes.push(Cause::required(at("image"), ""));
    } else if image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(at("image"), &json!(image), detail));
    }
    one_of(container, "terminationMessagePolicy", field, &["File", "FallbackToLogsOnError"], causes);
    check_environment(container, field, causes);
    for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
        let name = mount["name"].as_str().unwrap_or_default();
        let mount_field = format!("{field}.volumeMounts[{index}]");
        if name.is_empty() {
            causes.push(Cause::required(format!("{mount_field}.name"), ""));
        } else if !volumes.contains(name) {
            causes.push(Cause {
                reason: "FieldValueNotFound",
                message: format!("Not found: {name:?}"),
                field: format!("{mount_field}.name"),
            });
        }
        if mount["mountPath"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{mount_field}.mountPath"), ""));
        }
    }
    one_of(container, "imagePullPolicy", field, &["Always", "IfNotPresent", "Never"], causes);
    resources::check(&container["resources"], &at("resources"), causes);
}

fn check_environment(container: &Value, field: &str, causes: &mut Vec<Cause>) {
    for (index, variable) in items(container, "env").iter().enumerate() {
        let field = format!("{field}.env[{index}]");
        let name = variable["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            causes.push(Cause::required(format!("{field}.name"), ""));
        } else {
            for problem in syntax::env_name(name) {
                causes.push(Cause::invalid(format!("{field}.name"), &json!(name), &problem));
            }
        }
        let Some(source) = variable.get("valueFrom").filter(|source| source.is_object()) else { continue };
        let field = format!("{field}.valueFrom");
        let given = source.as_object().map_or(0, serde_json::Map::len);
        if variable["value"].as_str().is_some_and(|value| !value.is_empty()) {
            let detail = "may not be specified when `value` is not empty";
            causes.push(Cause::invalid(field.clone(), &json!(""), detail));
        }
        match given {
            0 => {
                let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, \
                              `secretKeyRef` or `fileKeyRef`";
                causes.push(Cause::invalid(field.clone(), &json!(""), detail));
            }
            1 => {}
            _ => causes.push(Cause::invalid(
                field.clone(),
                &json!(""),
                "may not have more than one field specified at a time",
            )),
        }
        for reference in ["secretKeyRef", "configMapKeyRef"] {
            if !source[reference].is_object() {
                continue;
            }
            for member in ["name", "key"] {
                if source[reference][member].as_str().is_none_or(str::is_empty) {
                    causes.push(Cause::required(format!("{field}.{reference}.{member}"), ""));
                }
            }
        }
    }
    for (index, source) in items(container, "envFrom").iter().enumerate() {
        let field = format!("{field}.envFrom[{index}]");
        let given = ["configMapRef", "secretRef"].map(|member| source[member].is_object());
        if given == [false, false] {
            let detail = "must specify one of: `configMapRef` or `secretRef`";
            causes.push(Cause::invalid(field, &json!(""), detail));
        } else if given == [true, true] {
            let detail = "may not have more than one field specified at a time";
            causes.push(Cause::invalid(field, &json!(""), detail));
        }
    }
}

fn check_toleration(toleration: &Value, field: &str, causes: &mut Vec<Cause>) {
    let text = |member: &str| toleration[member].as_str().unwrap_or_default();
    let key = text("key");
    if !key.is_empty() {
        for problem in syntax::qualified_name(key) {
            causes.push(Cause::invalid(format!("{field}.key"), &json!(key), &problem));
        }
    }
    let operator = text("operator");
    if key.is_empty() && operator != "Exists" {
        let detail =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        causes.push(Cause::invalid(format!("{field}.operator"), &json!(operator), detail));
    }
    if toleration["tolerationSeconds"].is_number() && text("effect") != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        causes.push(Cause::invalid(format!("{field}.effect"), &json!(text("effect")), detail));
    }
    match operator {
        "Exists" if !text("value").is_empty() => {
            let detail = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(format!("{field}.operator"), &json!(text("value")), detail));
        }
        "" | "Equal" => {
            for problem in syntax::label_value(text("value")) {
                causes.push(Cause::invalid(format!("{field}.operator"), &json!(text("value")), &problem));
            }
        }
        "Exists" => {}
        _ => {
            let supported = ["Equal", "Exists"];
            causes.push(Cause::unsupported(format!("{field}.operator"), &json!(operator), &supported));
        }
    }
    if !text("effect").is_empty() {
        one_of(toleration, "effect", field, &["NoSchedule", "PreferNoSchedule", "NoExecute"], causes);
    }
}

fn one_of(object: &Value, member: &str, field: &str, supported: &[&str], causes: &mut Vec<Cause>) {
    let value = object[member].as_str().unwrap_or_default();
    if !supported.contains(&value) {
        causes.push(Cause::unsupported(format!("{field}.{member}"), &json!(value), supported));
    }
}

fn items<'a>(object: &'a Value, member: &str) -> &'a [Value] {
    object[member].as_array().map_or(&[], Vec::as_slice)
}
