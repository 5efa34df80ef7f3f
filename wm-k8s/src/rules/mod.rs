//! The API server's validation rules for what a platform engineer writes in Kubernetes JSON.
//!
//! Each function takes the JSON value as it was written and returns every problem in it, an empty list when an API
//! server would take it. Fields are paths relative to the value (`requests[cpu]`, `[0].operator`, empty for the value
//! itself) and the details are in the API server's words. Where feature gates make servers differ, the lenient
//! verdict is given: a set-up that some server takes is not refused here.

mod decode;
mod decoder;
mod directives;
mod failure_policy;
mod go_type;
pub(crate) mod message;
mod names;
mod patch;
pub(crate) mod path;
mod pull_secrets;
mod quantity;
mod resources;
mod scheduling;
mod spelling;

use std::fmt;

pub use self::{
    decode::parse,
    failure_policy::pod_failure_policy,
    names::{dns_label, dns_subdomain, env_name, label_key, label_value},
    patch::pod_template_patch,
    pull_secrets::image_pull_secrets,
    quantity::quantity,
    resources::resources,
    scheduling::{node_selector, tolerations},
};

pub(crate) use self::quantity::Quantity;

/// The container that runs the workload: the only one that a pod failure policy can name.
pub(crate) const MAIN_CONTAINER: &str = "main";

/// Something in a value that an API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldProblem {
    /// Where, as Kubernetes writes paths; empty for the value as a whole.
    pub field: String,
    /// What is wrong with it, in the API server's words.
    pub detail: String,
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            formatter.write_str(&self.detail)
        } else {
            write!(formatter, "{}: {}", self.field, self.detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The checks by the name of the rule in the recordings, each with the place of its value in a Job.
    fn check(rule: &str, input: &Value) -> (&'static str, Vec<FieldProblem>) {
        let text = |check: fn(&str) -> Vec<String>| {
            let text = input.as_str().unwrap_or_default();
            let problem = |detail: &String| message::invalid("", &message::quoted(text), detail);
            check(text).iter().map(problem).collect()
        };
        match rule {
            "resources" => ("spec.template.spec.containers[0].resources", resources(input)),
            "nodeSelector" => ("spec.template.spec.nodeSelector", node_selector(input)),
            "podFailurePolicy" => ("spec.podFailurePolicy", pod_failure_policy(input)),
            "podTemplatePatch" => ("spec.template", pod_template_patch(input)),
            "subdomain" => ("", text(dns_subdomain)),
            "labelValue" => ("", text(label_value)),
            other => panic!("no such rule: {other}"),
        }
    }

    /// Long texts are recorded as `{{300000 times a}}`.
    fn expanded(mut input: Value) -> Value {
        if let Some(note) = input.pointer_mut("/metadata/annotations/note") {
            let recorded = note.as_str().unwrap().trim_matches(['{', '}']).to_owned();
            let (times, text) = recorded.split_once(" times ").unwrap();
            *note = text.repeat(times.parse().unwrap()).into();
        }
        input
    }

    #[test]
    fn verdicts_are_those_of_a_recorded_server() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/data/refusals.json")).unwrap();
        assert!(cases.len() > 25);
        for case in cases {
            let about = case["about"].as_str().unwrap();
            let (place, problems) = check(case["rule"].as_str().unwrap(), &expanded(case["input"].clone()));
            match case["status"].as_u64().unwrap() {
                201 => assert_eq!(problems, [], "{about}"),
                400 => {
                    // What can't be decoded is told in one message.
                    let message = case["message"].as_str().unwrap();
                    assert!(!problems.is_empty(), "{about}");
                    for problem in problems {
                        let recorded = match problem.detail.strip_prefix("unknown field") {
                            Some(_) => format!("unknown field \"{place}.{}\"", problem.field),
                            None => problem.detail,
                        };
                        assert!(message.contains(&recorded), "{about}: {recorded}");
                    }
                }
                422 => {
                    let causes = case["causes"].as_array().unwrap();
                    assert_eq!(problems.len(), causes.len(), "{about}: {problems:#?}");
                    for (problem, cause) in problems.iter().zip(causes) {
                        assert_eq!(cause["message"], json!(problem.detail), "{about}");
                        let field = cause["field"].as_str().unwrap();
                        let in_a_job = [path::child(place, &problem.field), problem.field.clone()];
                        assert!(
                            place.is_empty() || in_a_job.iter().any(|path| path == field),
                            "{about}: {problem}"
                        );
                    }
                }
                other => panic!("{about}: unexpected status {other}"),
            }
        }
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[-+.0-9eEinumkKMGTP]{0,12}".prop_map(Value::from),
            "In|Exists|FailJob|main|delete|replace|.{0,8}".prop_map(Value::from),
        ];
        let key = "spec|metadata|labels|containers|name|env|resources|limits|requests|cpu|hugepages-1Mi|a.b/c|claims|rules|\
                   action|onExitCodes|operator|values|onPodConditions|type|key|effect|volumes|\\$patch|\\$retainKeys|.{0,6}";
        leaf.prop_recursive(6, 48, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map(key, inner, 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_value_makes_a_check_panic(value in anything(), text in ".{0,80}") {
            for check in [resources, node_selector, tolerations, pod_failure_policy, pod_template_patch, image_pull_secrets] {
                check(&value);
            }
            for check in [label_key, label_value, dns_label, dns_subdomain, env_name, quantity] {
                check(&text);
            }
        }

        #[test]
        fn numbers_and_their_text_are_one_quantity(number in any::<i64>(), fraction in -1.0e9..1.0e9) {
            for number in [json!(number), json!(fraction)] {
                let text = json!({"limits": {"memory": number.to_string()}});
                prop_assert_eq!(resources(&json!({"limits": {"memory": number}})), resources(&text));
            }
        }

        #[test]
        fn what_a_check_accepts_can_be_decoded(value in anything()) {
            if resources(&value).is_empty() {
                prop_assert!(parse::<k8s_openapi::api::core::v1::ResourceRequirements>(&value).is_ok());
            }
            if tolerations(&value).is_empty() {
                prop_assert!(parse::<Vec<k8s_openapi::api::core::v1::Toleration>>(&value).is_ok());
            }
        }
    }
}
