//! The pod failure policy of a Job: `validatePodFailurePolicy`.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
};
use serde_json::Value;

use super::{
    FieldProblem, MAIN_CONTAINER,
    decode::{Document, Place},
    message::{self, quoted},
    names, path,
};

const PLACE: Place = Place { holder: "JobSpec", path: "spec.podFailurePolicy" };

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
const MOST_RULES: usize = 20;
const MOST_PATTERNS: usize = 20;
const MOST_VALUES: usize = 255;

/// Checks a policy for Jobs whose pods have one container, `main`, and are never restarted in place.
pub fn pod_failure_policy(value: &Value) -> Vec<FieldProblem> {
    Document::new(PLACE).decode(value).checked(|policy| check(policy, value))
}

fn check(policy: &PodFailurePolicy, raw: &Value) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if policy.rules.len() > MOST_RULES {
        problems.push(message::too_many("rules", policy.rules.len(), MOST_RULES));
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        let values = raw.pointer(&format!("/rules/{index}/onExitCodes/values"));
        problems.extend(check_rule(rule, values, &path::index("rules", index)));
    }
    problems
}

fn check_rule(rule: &PodFailurePolicyRule, values: Option<&Value>, at: &str) -> Vec<FieldProblem> {
    let action_path = path::child(at, "action");
    let mut problems = Vec::new();
    match rule.action.as_str() {
        "" => problems.push(message::required(action_path, &message::valid_values(&ACTIONS))),
        // Our Jobs are not indexed.
        "FailIndex" => {
            problems.push(message::invalid(
                action_path,
                "\"FailIndex\"",
                "requires the backoffLimitPerIndex to be set",
            ));
        }
        action if ACTIONS.contains(&action) => {}
        action => problems.push(message::not_supported(action_path, action, &ACTIONS)),
    }
    if let Some(exit_codes) = &rule.on_exit_codes {
        problems.extend(check_exit_codes(exit_codes, values, &path::child(at, "onExitCodes")));
    }
    let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
    problems.extend(check_conditions(patterns, &path::child(at, "onPodConditions")));
    match (rule.on_exit_codes.is_some(), patterns.is_empty()) {
        (true, false) => {
            let detail = "specifying both OnExitCodes and OnPodConditions is not supported";
            problems.push(message::invalid_unshown(at, detail));
        }
        (false, true) => {
            let detail = "specifying one of OnExitCodes and OnPodConditions is required";
            problems.push(message::invalid_unshown(at, detail));
        }
        (true, true) | (false, false) => {}
    }
    problems
}

fn check_exit_codes(
    requirement: &PodFailurePolicyOnExitCodesRequirement,
    raw_values: Option<&Value>,
    at: &str,
) -> Vec<FieldProblem> {
    let operator_path = path::child(at, "operator");
    let values_path = path::child(at, "values");
    let values = requirement.values.as_slice();
    let mut problems = Vec::new();
    match requirement.operator.as_str() {
        "" => problems.push(message::required(operator_path, &message::valid_values(&OPERATORS))),
        operator if OPERATORS.contains(&operator) => {}
        operator => problems.push(message::not_supported(operator_path, operator, &OPERATORS)),
    }
    if let Some(name) = requirement.container_name.as_deref().filter(|name| *name != MAIN_CONTAINER) {
        let detail = "must be one of the container or initContainer names in the pod template";
        problems.push(message::invalid(path::child(at, "containerName"), &quoted(name), detail));
    }
    if values.is_empty() {
        let shown = if raw_values.is_some_and(Value::is_array) { "[]" } else { "null" };
        problems.push(message::invalid(&values_path, shown, "at least one value is required"));
    } else if values.len() > MOST_VALUES {
        problems.push(message::too_many(&values_path, values.len(), MOST_VALUES));
    }
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        let value_path = path::index(&values_path, index);
        if *value == 0 && requirement.operator == "In" {
            problems.push(message::invalid(&value_path, "0", "must not be 0 for the In operator"));
        }
        if !seen.insert(value) {
            problems.push(message::duplicate(value_path, &value.to_string()));
        }
    }
    if !values.is_sorted() {
        let shown = serde_json::json!(values).to_string();
        problems.push(message::invalid(values_path, &shown, "must be ordered"));
    }
    problems
}

fn check_conditions(patterns: &[PodFailurePolicyOnPodConditionsPattern], at: &str) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if patterns.len() > MOST_PATTERNS {
        problems.push(message::too_many(at, patterns.len(), MOST_PATTERNS));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let at = path::index(at, index);
        let messages = names::label_key(&pattern.type_);
        let type_path = path::child(&at, "type");
        problems.extend(
            messages.iter().map(|detail| message::invalid(&type_path, &quoted(&pattern.type_), detail)),
        );
        // The server's default for a status that is not given is True.
        let status = optional(pattern.status.clone());
        if !status.is_empty() && !STATUSES.contains(&status.as_str()) {
            problems.push(message::not_supported(path::child(&at, "status"), &status, &STATUSES));
        }
    }
    problems
}

/// A text that the types of some Kubernetes versions require and those of others don't.
fn optional(text: impl Into<Option<String>>) -> String {
    text.into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: &Value) -> Vec<String> {
        pod_failure_policy(value).iter().map(ToString::to_string).collect()
    }

    fn exit_codes(requirement: &Value) -> Value {
        json!({"rules": [{"action": "FailJob", "onExitCodes": requirement}]})
    }

    #[test]
    fn policies_that_a_server_takes_are_fine() {
        let most: Vec<_> = (1..=255).collect();
        for value in [
            json!(null),
            json!({"rules": []}),
            json!({}),
            exit_codes(&json!({"operator": "In", "values": [42]})),
            exit_codes(&json!({"operator": "In", "values": [1, 2, 137], "containerName": "main"})),
            exit_codes(&json!({"operator": "NotIn", "values": [0, 1]})),
            exit_codes(&json!({"operator": "In", "values": [-1], "containerName": null})),
            exit_codes(&json!({"operator": "In", "values": most})),
            json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}),
            json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}),
            json!({"rules": [{"action": "Count", "onPodConditions": [{"type": "example.com/Odd", "status": "Unknown"}]}]}),
            json!({"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}, "onPodConditions": []}]}),
        ] {
            assert_eq!(shown(&value), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn policies_that_a_server_refuses_are_refused_in_its_words() {
        let many: Vec<_> = (1..=256).collect();
        let rule = json!({"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}});
        let pattern = json!({"type": "DisruptionTarget"});
        for (value, problem) in [
            (
                exit_codes(&json!({"operator": "In", "values": [0]})),
                "rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": [2, 1]})),
                "rules[0].onExitCodes.values: Invalid value: [2,1]: must be ordered",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": [1, 1]})),
                "rules[0].onExitCodes.values[1]: Duplicate value: 1",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": []})),
                "rules[0].onExitCodes.values: Invalid value: []: at least one value is required",
            ),
            (
                exit_codes(&json!({"operator": "In"})),
                "rules[0].onExitCodes.values: Invalid value: null: at least one value is required",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": many})),
                "rules[0].onExitCodes.values: Too many: 256: must have at most 255 items",
            ),
            (
                exit_codes(&json!({"values": [1]})),
                "rules[0].onExitCodes.operator: Required value: valid values: [\"In\" \"NotIn\"]",
            ),
            (
                exit_codes(&json!({"operator": "Is", "values": [1]})),
                "rules[0].onExitCodes.operator: Unsupported value: \"Is\": supported values: \"In\", \"NotIn\"",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": [1], "containerName": "side"})),
                "rules[0].onExitCodes.containerName: Invalid value: \"side\": must be one of the container or initContainer names in the pod template",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": ["1"]})),
                "rules[0].onExitCodes.values[0]: json: cannot unmarshal string into Go struct field PodFailurePolicyOnExitCodesRequirement.spec.podFailurePolicy.rules.onExitCodes.values of type int32",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": [3_000_000_000_u32]})),
                "rules[0].onExitCodes.values[0]: json: cannot unmarshal number 3000000000 into Go struct field PodFailurePolicyOnExitCodesRequirement.spec.podFailurePolicy.rules.onExitCodes.values of type int32",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": 42})),
                "rules[0].onExitCodes.values: json: cannot unmarshal number into Go struct field PodFailurePolicyOnExitCodesRequirement.spec.podFailurePolicy.rules.onExitCodes.values of type []int32",
            ),
            (
                exit_codes(&json!({"operator": "In", "values": [1], "container_name": "main"})),
                "rules[0].onExitCodes.container_name: unknown field, did you mean \"containerName\"?",
            ),
            (
                json!({"rules": [{"onExitCodes": {"operator": "In", "values": [1]}}]}),
                "rules[0].action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
            ),
            (
                json!({"rules": [{"action": "Fail", "onExitCodes": {"operator": "In", "values": [1]}}]}),
                "rules[0].action: Unsupported value: \"Fail\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"",
            ),
            (
                json!({"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}]}),
                "rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
            ),
            (
                json!({"rules": [{"action": "Count"}]}),
                "rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ),
            (
                json!({"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}, "onPodConditions": [pattern]}]}),
                "rules[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
            ),
            (json!({"rules": vec![&rule; 21]}), "rules: Too many: 21: must have at most 20 items"),
            (
                json!({"rules": [{"action": "Ignore", "onPodConditions": vec![&pattern; 21]}]}),
                "rules[0].onPodConditions: Too many: 21: must have at most 20 items",
            ),
            (
                json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "true"}]}]}),
                "rules[0].onPodConditions[0].status: Unsupported value: \"true\": supported values: \"False\", \"True\", \"Unknown\"",
            ),
            (
                json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": true}]}]}),
                "rules[0].onPodConditions[0].status: json: cannot unmarshal bool into Go struct field PodFailurePolicyOnPodConditionsPattern.spec.podFailurePolicy.rules.onPodConditions.status of type v1.ConditionStatus",
            ),
            (json!({"rule": []}), "rule: unknown field, did you mean \"rules\"?"),
            (
                json!([]),
                "json: cannot unmarshal array into Go struct field JobSpec.spec.podFailurePolicy of type v1.PodFailurePolicy",
            ),
            (
                json!({"rules": {}}),
                "rules: json: cannot unmarshal object into Go struct field PodFailurePolicy.spec.podFailurePolicy.rules of type []v1.PodFailurePolicyRule",
            ),
        ] {
            assert_eq!(shown(&value), [problem], "{value}");
        }
    }

    #[test]
    fn a_condition_needs_a_type() {
        let value = json!({"rules": [{"action": "Ignore", "onPodConditions": [{"status": "True"}]}]});
        assert_eq!(
            shown(&value)[0],
            "rules[0].onPodConditions[0].type: Invalid value: \"\": name part must be non-empty"
        );
    }
}
