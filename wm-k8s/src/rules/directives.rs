//! The directives of a strategic merge patch.

use serde_json::Value;

use super::{
    FieldProblem,
    message::{self, problem},
    path,
};
use crate::template_patch::{DELETE_FROM_LIST, ListStrategy, PATCH, RETAIN_KEYS, SET_ORDER, list_strategy};

/// Looks for directives that no merge could follow, and elements that it could not place.
pub(super) fn check(
    value: &Value,
    strategy: Option<ListStrategy>,
    at: &str,
    problems: &mut Vec<FieldProblem>,
) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let at = path::child(at, key);
                let fault = match key.as_str() {
                    PATCH => object_directive_fault(value, strategy),
                    RETAIN_KEYS => {
                        let listed = |name: &String| {
                            let plain =
                                !name.starts_with('$') && !object.get(name).is_some_and(Value::is_null);
                            !plain
                                || value
                                    .as_array()
                                    .is_some_and(|names| names.iter().any(|listed| listed == name))
                        };
                        let is_fine = value.is_array() && object.keys().all(listed);
                        (!is_fine).then(|| "invalid patch format of retainKeys".to_owned())
                    }
                    key if key.starts_with(SET_ORDER) => {
                        (!value.is_array()).then(|| "invalid patch format of setElementOrder list".to_owned())
                    }
                    key if key.starts_with(DELETE_FROM_LIST) => {
                        (!value.is_array()).then(|| "invalid patch format of primitive list".to_owned())
                    }
                    key if key.starts_with('$') => Some("unknown field".to_owned()),
                    key => {
                        check(value, value.is_array().then(|| list_strategy(key)), &at, problems);
                        None
                    }
                };
                problems.extend(fault.map(|fault| problem(at, fault)));
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let at = path::index(at, index);
                let replaces = element.get(PATCH).is_some_and(|directive| directive == "replace");
                if let (Some(ListStrategy::MergeBy(key)), false, Value::Object(object)) =
                    (strategy, replaces, element)
                {
                    match object.get(key) {
                        None => problems
                            .push(problem(&at, format!("map does not contain declared merge key: {key}"))),
                        Some(name) if name == "" => {
                            problems.push(message::required(path::child(&at, key), ""));
                        }
                        Some(_) => {}
                    }
                }
                check(element, strategy, &at, problems);
            }
        }
        _ => {}
    }
}

fn object_directive_fault(directive: &Value, within: Option<ListStrategy>) -> Option<String> {
    match (directive.as_str(), within) {
        (Some("replace" | "delete"), None | Some(ListStrategy::MergeBy(_))) => None,
        (Some("merge"), Some(ListStrategy::MergeBy(_))) => {
            Some("merging lists cannot yet be specified in the patch".to_owned())
        }
        // A list that is replaced as a whole has no use for it.
        (_, Some(ListStrategy::Replace | ListStrategy::Union)) => Some("unknown field".to_owned()),
        (Some(name), _) => Some(format!("unknown patch type: {name}")),
        (None, _) => Some(format!("unknown patch type: {directive}")),
    }
}
