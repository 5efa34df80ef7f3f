//! What a patch can't change, since the manager finds its pods, runs them once and reads their end by it.

use serde_json::{Map, Value};

use crate::rules::{FieldProblem, MAIN_CONTAINER, message::forbidden, path};

use super::{DELETE_FROM_LIST, PATCH, RETAIN_KEYS, SET_ORDER};

const REASON: &str = "set by the workload manager, a patch can't change it";
const WHOLE: &str = "holds what the workload manager sets, a patch can't replace or delete it";

const METADATA_FIELDS: [&str; 2] = ["name", "namespace"];
const SPEC_FIELDS: [&str; 4] =
    ["restartPolicy", "serviceAccountName", "serviceAccount", "activeDeadlineSeconds"];
const CONTAINER_FIELDS: [&str; 3] = ["image", "command", "args"];

/// Whether the manager sets labels of this key, and reads them.
fn is_own_label(key: &str) -> bool {
    matches!(key, "app.kubernetes.io/managed-by" | "app.kubernetes.io/component")
        || key.starts_with("workload-manager/")
        || key.starts_with("alias.workload-manager/")
}

/// What a patch names that it can't change, whatever the template.
pub(crate) fn protected_by_name(patch: &Value) -> Vec<FieldProblem> {
    let mut problems = whole("", Some(patch));
    problems.extend(whole("metadata", patch.get("metadata")));
    problems.extend(fields("metadata", patch.get("metadata"), &METADATA_FIELDS));
    let labels = patch.pointer("/metadata/labels");
    problems.extend(whole("metadata.labels", labels));
    let keys = labels.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    problems.extend(
        keys.filter(|key| is_own_label(key)).map(|key| forbidden(path::key("metadata.labels", key), REASON)),
    );
    problems.extend(whole("spec", patch.get("spec")));
    problems.extend(fields("spec", patch.get("spec"), &SPEC_FIELDS));
    let containers = patch.pointer("/spec/containers");
    problems.extend(whole_list("spec.containers", containers));
    for (index, container) in containers.and_then(Value::as_array).into_iter().flatten().enumerate() {
        if container.get("name").is_some_and(|name| name == MAIN_CONTAINER) {
            let at = path::index("spec.containers", index);
            problems.extend(whole(&at, Some(container)));
            problems.extend(fields(&at, Some(container), &CONTAINER_FIELDS));
            problems.extend(whole_list(&path::child(&at, "env"), container.get("env")));
        }
    }
    problems
}

/// What a merge has changed that it must not.
pub(super) fn changes(template: &Value, patched: &Value) -> Vec<FieldProblem> {
    let mut problems =
        changed_fields("metadata", template.get("metadata"), patched.get("metadata"), &METADATA_FIELDS);
    problems
        .extend(changed_labels(template.pointer("/metadata/labels"), patched.pointer("/metadata/labels")));
    problems.extend(changed_fields("spec", template.get("spec"), patched.get("spec"), &SPEC_FIELDS));
    let Some((_, before)) = main_container(template) else { return problems };
    let Some((index, after)) = main_container(patched) else {
        problems.push(forbidden("spec.containers", WHOLE));
        return problems;
    };
    let at = path::index("spec.containers", index);
    problems.extend(changed_fields(&at, Some(before), Some(after), &CONTAINER_FIELDS));
    problems.extend(changed_references(before.get("env"), after.get("env"), &path::child(&at, "env")));
    problems
}

/// Directives and nulls that would take away all that an object holds.
fn whole(at: &str, object: Option<&Value>) -> Vec<FieldProblem> {
    match object {
        Some(Value::Null) if !at.is_empty() => vec![forbidden(at, WHOLE)],
        Some(object) => [PATCH, RETAIN_KEYS]
            .iter()
            .filter(|directive| object.get(directive).is_some())
            .map(|directive| forbidden(path::child(at, directive), WHOLE))
            .collect(),
        None => Vec::new(),
    }
}

fn whole_list(at: &str, list: Option<&Value>) -> Vec<FieldProblem> {
    match list {
        Some(Value::Null) => vec![forbidden(at, WHOLE)],
        Some(Value::Array(elements)) => elements
            .iter()
            .enumerate()
            .filter(|(_, element)| element.get(PATCH).is_some_and(|directive| directive == "replace"))
            .map(|(index, _)| forbidden(path::child(&path::index(at, index), PATCH), WHOLE))
            .collect(),
        _ => Vec::new(),
    }
}

fn fields(at: &str, object: Option<&Value>, protected: &[&str]) -> Vec<FieldProblem> {
    let keys = object.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    keys.filter(|key| {
        let field = key.strip_prefix(DELETE_FROM_LIST).or_else(|| key.strip_prefix(SET_ORDER)).unwrap_or(key);
        protected.contains(&field)
    })
    .map(|key| forbidden(path::child(at, key), REASON))
    .collect()
}

fn changed_fields(
    at: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    protected: &[&str],
) -> Vec<FieldProblem> {
    let value = |object: Option<&Value>, field: &str| object.and_then(|object| object.get(field).cloned());
    let changed = protected.iter().filter(|field| value(before, field) != value(after, field));
    changed.map(|field| forbidden(path::child(at, field), REASON)).collect()
}

fn changed_labels(before: Option<&Value>, after: Option<&Value>) -> Vec<FieldProblem> {
    let own = |labels: Option<&Value>| {
        let labels = labels.and_then(Value::as_object).cloned().unwrap_or_default();
        labels.into_iter().filter(|(key, _)| is_own_label(key)).collect::<Map<_, _>>()
    };
    let (before, after) = (own(before), own(after));
    let added = after.keys().filter(|key| !before.contains_key(*key));
    let changed = before.iter().filter(|(key, value)| after.get(*key) != Some(value)).map(|(key, _)| key);
    changed.chain(added).map(|key| forbidden(path::key("metadata.labels", key), REASON)).collect()
}

/// Variables that take their value from elsewhere, which is where the workload's secrets are.
fn changed_references(before: Option<&Value>, after: Option<&Value>, at: &str) -> Vec<FieldProblem> {
    let list = |env: Option<&Value>| env.and_then(Value::as_array).cloned().unwrap_or_default();
    let after = list(after);
    let references = list(before).into_iter().filter(|variable| variable.get("valueFrom").is_some());
    references
        .filter(|variable| !after.contains(variable))
        .map(|variable| {
            let place = after.iter().position(|other| other.get("name") == variable.get("name"));
            forbidden(place.map_or_else(|| at.to_owned(), |index| path::index(at, index)), REASON)
        })
        .collect()
}

fn main_container(template: &Value) -> Option<(usize, &Value)> {
    let containers = template.pointer("/spec/containers")?.as_array()?;
    containers
        .iter()
        .enumerate()
        .find(|(_, container)| container.get("name").is_some_and(|name| name == MAIN_CONTAINER))
}
