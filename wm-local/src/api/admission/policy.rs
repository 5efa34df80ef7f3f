//! Validation of a Job's pod failure policy.

use serde_json::{Value, json};

use crate::error::Cause;

pub(super) fn check(spec: &Value, field: &str, causes: &mut Vec<Cause>) {
    let policy = &spec["podFailurePolicy"];
    let Some(rules) = policy["rules"].as_array() else { return };
    if rules.len() > 20 {
        causes.push(too_many(format!("{field}.rules"), rules.len(), 20));
    }
    for (index, rule) in rules.iter().enumerate() {
        check_rule(spec, rule, &format!("{field}.rules[{index}]"), causes);
    }
}

fn check_rule(spec: &Value, rule: &Value, field: &str, causes: &mut Vec<Cause>) {
    let action = rule["action"].as_str().unwrap_or_default();
    let actions = ["Count", "FailIndex", "FailJob", "Ignore"];
    if action.is_empty() {
        let detail = format!("valid values: [{}]", actions.map(|one| format!("{one:?}")).join(" "));
        causes.push(Cause::required(format!("{field}.action"), &detail));
    } else if action == "FailIndex" && spec["backoffLimitPerIndex"].is_null() {
        let detail = "requires the backoffLimitPerIndex to be set";
        causes.push(Cause::invalid(format!("{field}.action"), &json!(action), detail));
    } else if !actions.contains(&action) {
        causes.push(Cause::unsupported(format!("{field}.action"), &json!(action), &actions));
    }
    let codes = &rule["onExitCodes"];
    let conditions = rule["onPodConditions"].as_array().map_or(&[][..], Vec::as_slice);
    if codes.is_object() {
        check_exit_codes(spec, codes, &format!("{field}.onExitCodes"), causes);
    }
    let conditions_field = format!("{field}.onPodConditions");
    if conditions.len() > 20 {
        causes.push(too_many(conditions_field.clone(), conditions.len(), 20));
    }
    for (index, pattern) in conditions.iter().enumerate() {
        let field = format!("{conditions_field}[{index}]");
        if pattern["type"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{field}.type"), ""));
        }
        let status = pattern["status"].as_str().unwrap_or_default();
        let statuses = ["False", "True", "Unknown"];
        if !statuses.contains(&status) {
            causes.push(Cause::unsupported(format!("{field}.status"), &pattern["status"], &statuses));
        }
    }
    let detail = match (codes.is_object(), !conditions.is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    // A mistake of a whole rule is told without its value.
    causes.push(Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {detail}"),
        field: field.to_owned(),
    });
}

fn check_exit_codes(spec: &Value, codes: &Value, field: &str, causes: &mut Vec<Cause>) {
    let operator = codes["operator"].as_str().unwrap_or_default();
    if !["In", "NotIn"].contains(&operator) {
        causes.push(Cause::unsupported(format!("{field}.operator"), &json!(operator), &["In", "NotIn"]));
    }
    if let Some(name) = codes["containerName"].as_str() {
        let template = &spec["template"]["spec"];
        let mut containers = ["containers", "initContainers"]
            .iter()
            .flat_map(|group| template[group].as_array().into_iter().flatten());
        if !containers.any(|container| container["name"] == name) {
            let detail = "must be one of the container or initContainer names in the pod template";
            causes.push(Cause::invalid(format!("{field}.containerName"), &json!(name), detail));
        }
    }
    let values_field = format!("{field}.values");
    let values: Vec<i64> =
        codes["values"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
    if values.is_empty() {
        let detail = "at least one value is required";
        causes.push(Cause::invalid(values_field, &json!(values), detail));
        return;
    }
    if values.len() > 255 {
        causes.push(too_many(values_field.clone(), values.len(), 255));
    }
    let mut is_ordered = true;
    for (index, value) in values.iter().enumerate() {
        let field = format!("{values_field}[{index}]");
        if *value == 0 && operator == "In" {
            causes.push(Cause::invalid(field.clone(), &json!(0), "must not be 0 for the In operator"));
        }
        if values[..index].contains(value) {
            causes.push(Cause::duplicate(field, &json!(value)));
        }
        is_ordered &= index == 0 || values[index - 1] <= *value;
    }
    if !is_ordered {
        causes.push(Cause::invalid(values_field, &json!(values), "must be ordered"));
    }
}

fn too_many(field: String, found: usize, limit: usize) -> Cause {
    let message = format!("Too many: {found}: must have at most {limit} items");
    Cause { reason: "FieldValueTooMany", message, field }
}
