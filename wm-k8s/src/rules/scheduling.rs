//! Where a pod may run: `ValidateTolerations` and the labels of a node selector.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use serde_json::{Value, json};

use super::{
    FieldProblem,
    decode::{Document, Place},
    message::{self, quoted},
    names, path,
};

const NODE_SELECTOR: Place = Place { holder: "PodSpec", path: "spec.template.spec.nodeSelector" };
const TOLERATIONS: Place = Place { holder: "PodSpec", path: "spec.template.spec.tolerations" };

/// Checks the labels that a node must have.
pub fn node_selector(value: &Value) -> Vec<FieldProblem> {
    Document::new(NODE_SELECTOR).decode(value).checked(|labels| check_labels(labels, ""))
}

/// Checks the taints that a pod tolerates.
///
/// `Lt` and `Gt` are accepted, as servers with the feature gate do.
pub fn tolerations(value: &Value) -> Vec<FieldProblem> {
    Document::new(TOLERATIONS)
        .decode(value)
        .checked(|tolerations: &Vec<Toleration>| check_tolerations(tolerations, ""))
}

/// The server names the map, not the key, as the field of a bad label.
pub(super) fn check_labels(labels: &BTreeMap<String, String>, at: &str) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for (key, value) in labels {
        problems
            .extend(names::label_key(key).iter().map(|detail| message::invalid(at, &quoted(key), detail)));
        problems.extend(
            names::label_value(value).iter().map(|detail| message::invalid(at, &quoted(value), detail)),
        );
    }
    problems
}

pub(super) fn check_tolerations(tolerations: &[Toleration], at: &str) -> Vec<FieldProblem> {
    let each = tolerations.iter().enumerate();
    each.flat_map(|(index, toleration)| check_toleration(toleration, &path::index(at, index))).collect()
}

fn check_toleration(toleration: &Toleration, at: &str) -> Vec<FieldProblem> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (key, operator) = (text(&toleration.key), text(&toleration.operator));
    let (value, effect) = (text(&toleration.value), text(&toleration.effect));
    let operator_path = path::child(at, "operator");
    let effect_path = path::child(at, "effect");
    let mut problems = Vec::new();

    if key.is_empty() && operator != "Exists" {
        problems.push(message::invalid(
            &operator_path,
            &quoted(&operator),
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        ));
    }
    if !key.is_empty() {
        let key_path = path::child(at, "key");
        problems.extend(
            names::label_key(&key).iter().map(|detail| message::invalid(&key_path, &quoted(&key), detail)),
        );
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        problems.push(message::invalid(&effect_path, &quoted(&effect), detail));
    }
    match operator.as_str() {
        "" | "Equal" => {
            let messages = names::label_value(&value).join(";");
            if !messages.is_empty() {
                problems.push(message::invalid(&operator_path, &quoted(&value), &messages));
            }
        }
        "Exists" if !value.is_empty() => {
            let detail = "value must be empty when `operator` is 'Exists'";
            problems.push(message::invalid(&operator_path, &in_go(toleration), detail));
        }
        "Exists" => {}
        "Lt" | "Gt" => {
            let value_path = path::child(at, "value");
            let messages = names::decimal_integer(&value);
            problems
                .extend(messages.iter().map(|detail| message::invalid(&value_path, &quoted(&value), detail)));
        }
        other => {
            problems.push(message::not_supported(&operator_path, other, &["Equal", "Exists", "Lt", "Gt"]));
        }
    }
    if !matches!(effect.as_str(), "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        problems.push(message::not_supported(
            &effect_path,
            &effect,
            &["NoSchedule", "PreferNoSchedule", "NoExecute"],
        ));
    }
    problems
}

/// The toleration as the server shows it: its internal type has no JSON names.
fn in_go(toleration: &Toleration) -> String {
    let field = |name: &str, value: &Option<String>| {
        format!("{}:{}", json!(name), json!(value.as_deref().unwrap_or("")))
    };
    format!(
        "{{{},{},{},{},\"TolerationSeconds\":{}}}",
        field("Key", &toleration.key),
        field("Operator", &toleration.operator),
        field("Value", &toleration.value),
        field("Effect", &toleration.effect),
        json!(toleration.toleration_seconds),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(problems: &[FieldProblem]) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn node_selectors_that_a_server_takes_are_fine() {
        for value in [
            json!(null),
            json!({}),
            json!({"node-pool": "zenml-pool"}),
            json!({"kubernetes.io/arch": "amd64", "node.example.com/tier": ""}),
            json!({"a": null}),
        ] {
            assert_eq!(shown(&node_selector(&value)), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn node_selectors_that_a_server_refuses_are_refused() {
        for (value, start) in [
            (json!({"node pool": "x"}), "Invalid value: \"node pool\": name part must consist of"),
            (json!({"pool": "my pool"}), "Invalid value: \"my pool\": a valid label must be"),
            (json!({"/x": "y"}), "Invalid value: \"/x\": prefix part must be non-empty"),
            (json!({"a/b/c": "y"}), "Invalid value: \"a/b/c\": a valid label key must consist of"),
            (json!({"B@d/x": "y"}), "Invalid value: \"B@d/x\": prefix part a lowercase RFC 1123 subdomain"),
            (
                json!({"gpu": true}),
                "[gpu]: json: cannot unmarshal bool into Go struct field PodSpec.spec.template.spec.nodeSelector of type string",
            ),
            (
                json!({"gpus": 1}),
                "[gpus]: json: cannot unmarshal number into Go struct field PodSpec.spec.template.spec.nodeSelector of type string",
            ),
            (
                json!(["pool"]),
                "json: cannot unmarshal array into Go struct field PodSpec.spec.template.spec.nodeSelector of type map[string]string",
            ),
            (json!("pool"), "json: cannot unmarshal string into Go struct field"),
        ] {
            let problems = shown(&node_selector(&value));
            assert!(problems.len() == 1 && problems[0].starts_with(start), "{value}: {problems:#?}");
        }
    }

    #[test]
    fn tolerations_that_a_server_takes_are_fine() {
        for value in [
            json!(null),
            json!([]),
            json!([{"key": "node-pool", "operator": "Equal", "value": "zenml-pool", "effect": "NoSchedule"}]),
            json!([{"operator": "Exists"}]),
            json!([{"key": "a"}, {"key": "b", "value": ""}]),
            json!([{"key": "a", "operator": "Exists", "effect": ""}]),
            json!([{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": -1}]),
            json!([{"key": "a", "operator": "Exists", "effect": "PreferNoSchedule", "tolerationSeconds": null}]),
            json!([{"key": "example.com/load", "operator": "Lt", "value": "80"}]),
        ] {
            assert_eq!(shown(&tolerations(&value)), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn tolerations_that_a_server_refuses_are_refused() {
        for (value, start) in [
            (
                json!([{}]),
                "[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ),
            (json!([null]), "[0].operator: Invalid value: \"\": operator must be Exists"),
            (json!([{"value": "x"}]), "[0].operator: Invalid value: \"\": operator must be Exists"),
            (json!([{"key": "a b", "operator": "Exists"}]), "[0].key: Invalid value: \"a b\": name part"),
            (
                json!([{"key": "a", "operator": "Exists", "value": "x"}]),
                "[0].operator: Invalid value: {\"Key\":\"a\",\"Operator\":\"Exists\",\"Value\":\"x\",\"Effect\":\"\",\"TolerationSeconds\":null}: value must be empty when `operator` is 'Exists'",
            ),
            (
                json!([{"key": "a", "value": "x y"}]),
                "[0].operator: Invalid value: \"x y\": a valid label must be",
            ),
            (
                json!([{"key": "a", "operator": "In"}]),
                "[0].operator: Unsupported value: \"In\": supported values: \"Equal\", \"Exists\"",
            ),
            (json!([{"key": "a", "operator": "exists"}]), "[0].operator: Unsupported value: \"exists\""),
            (
                json!([{"key": "a", "operator": "Gt", "value": "08"}]),
                "[0].value: Invalid value: \"08\": must be a valid decimal integer",
            ),
            (
                json!([{"key": "a", "effect": "NoRun"}]),
                "[0].effect: Unsupported value: \"NoRun\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            ),
            (
                json!([{"key": "a", "tolerationSeconds": 1}]),
                "[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set",
            ),
            (
                json!([{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 0}]),
                "[0].effect: Invalid value: \"NoSchedule\": effect must be",
            ),
            (
                json!([{"key": "a", "operater": "Exists"}]),
                "[0].operater: unknown field, did you mean \"operator\"?",
            ),
            (
                json!([{"key": "a", "toleration_seconds": 1}]),
                "[0].toleration_seconds: unknown field, did you mean \"tolerationSeconds\"?",
            ),
            (
                json!([{"key": "a", "effect": ["NoSchedule"]}]),
                "[0].effect: json: cannot unmarshal array into Go struct field Toleration.spec.template.spec.tolerations.effect of type v1.TaintEffect",
            ),
            (
                json!([{"key": "a", "tolerationSeconds": "60"}]),
                "[0].tolerationSeconds: json: cannot unmarshal string into Go struct field Toleration.spec.template.spec.tolerations.tolerationSeconds of type int64",
            ),
            (
                json!({"key": "a"}),
                "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.tolerations of type []v1.Toleration",
            ),
            (
                json!(["a"]),
                "[0]: json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.tolerations of type v1.Toleration",
            ),
        ] {
            let problems = shown(&tolerations(&value));
            assert!(problems.len() == 1 && problems[0].starts_with(start), "{value}: {problems:#?}");
        }
    }

    #[test]
    fn every_problem_is_found_at_once() {
        let value = json!([{"key": "a b", "operator": "Is", "effect": "No"}, {"key": 1}, {}]);
        assert_eq!(tolerations(&value).len(), 5);
    }
}
