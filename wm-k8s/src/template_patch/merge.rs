//! `k8s.io/apimachinery/pkg/util/strategicpatch`, for a pod template.
//!
//! It differs from `kubectl` where that leaves something behind: directives inside an element that is new to a list,
//! and nulls inside a list that is replaced, are left out here. So a patch applied twice gives what it gave once.

use serde_json::{Map, Value};

use super::{
    order::{self, Identity},
    strategy::{DELETE_FROM_LIST, ListStrategy, PATCH, RETAIN_KEYS, SET_ORDER, list_strategy},
};
use crate::rules::{FieldProblem, message::problem, path};

type Object = Map<String, Value>;
type Result<T> = std::result::Result<T, FieldProblem>;

/// Merges a patch into a template, both objects.
pub(super) fn merge(template: &Value, patch: &Value) -> Result<Value> {
    match (template, patch) {
        (_, Value::Null) => Ok(template.clone()),
        (Value::Object(template), Value::Object(patch)) => {
            merge_objects(template.clone(), patch.clone(), "").map(Value::Object)
        }
        _ => Err(problem("", "invalid JSON document")),
    }
}

fn merge_objects(mut original: Object, mut patch: Object, at: &str) -> Result<Object> {
    if let Some(directive) = patch.remove(PATCH) {
        return match directive.as_str() {
            Some("replace") => Ok(without_directives(patch)),
            Some("delete") => Ok(Object::new()),
            _ => Err(unknown_directive(&directive, at)),
        };
    }
    retain_keys(&mut original, &mut patch, at)?;
    apply_orders(&mut original, &mut patch, at)?;
    for (key, patched) in patch {
        if let Some(field) = key.strip_prefix(DELETE_FROM_LIST) {
            delete_from_list(&mut original, field, &patched, &path::child(at, &key))?;
            continue;
        }
        let at = path::child(at, &key);
        let merged = match (original.remove(&key), patched) {
            (_, Value::Null) => None,
            (Some(Value::Object(original)), Value::Object(patch)) => {
                Some(Value::Object(merge_objects(original, patch, &at)?))
            }
            (Some(Value::Array(original)), Value::Array(patch)) => {
                Some(Value::Array(merge_lists(original, patch, list_strategy(&key), &at)?))
            }
            (_, patched) => clean(patched),
        };
        if let Some(merged) = merged {
            original.insert(key, merged);
        }
    }
    Ok(original)
}

/// Drops the fields of the original that the patch doesn't list.
fn retain_keys(original: &mut Object, patch: &mut Object, at: &str) -> Result<()> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let invalid = || problem(path::child(at, RETAIN_KEYS), "invalid patch format of retainKeys");
    let retained = retained.as_array().ok_or_else(invalid)?;
    let is_retained = |key: &str| retained.iter().any(|name| name == key);
    let is_listed = |(key, value): (&String, &Value)| {
        value.is_null() || key.starts_with(DELETE_FROM_LIST) || key.starts_with(SET_ORDER) || is_retained(key)
    };
    if !patch.iter().all(is_listed) {
        return Err(invalid());
    }
    original.retain(|key, _| is_retained(key));
    Ok(())
}

/// Merges the lists that the patch orders, and takes them and the order out of the patch.
fn apply_orders(original: &mut Object, patch: &mut Object, at: &str) -> Result<()> {
    let fields: Vec<String> =
        patch.keys().filter_map(|key| key.strip_prefix(SET_ORDER)).map(str::to_owned).collect();
    for field in fields {
        let directive = format!("{SET_ORDER}{field}");
        let invalid = || problem(path::child(at, &directive), "invalid patch format of setElementOrder list");
        let Some(Value::Array(order)) = patch.remove(&directive) else { return Err(invalid()) };
        let strategy = list_strategy(&field);
        let identity = identity(strategy);
        let patched = match patch.remove(&field) {
            None => None,
            Some(Value::Array(list)) => Some(list),
            // A null deletes the list, whatever its order.
            Some(other) => {
                patch.insert(field, other);
                continue;
            }
        };
        if let Some(list) = &patched
            && !is_in_order(list, &order, identity)
        {
            return Err(invalid());
        }
        let current = match original.remove(&field) {
            Some(Value::Array(list)) => Some(list),
            _ => None,
        };
        let field_path = path::child(at, &field);
        let before = current.clone().unwrap_or_default();
        let merged = match (current, patched) {
            (None, None) => continue,
            (Some(current), None) => current,
            (None, Some(patched)) => cleaned(patched),
            (Some(current), Some(patched)) => merge_lists(current, patched, strategy, &field_path)?,
        };
        original.insert(field, Value::Array(order::arrange(merged, &order, &before, identity)));
    }
    Ok(())
}

/// Whether a list that is not deleted comes in the given order, and wholly.
fn is_in_order(list: &[Value], order: &[Value], identity: Identity) -> bool {
    let mut rest = order.iter();
    list.iter()
        .filter(|element| element.get(PATCH).is_none())
        .all(|element| rest.any(|ordered| identity.same(ordered, element)))
}

fn delete_from_list(original: &mut Object, field: &str, deleted: &Value, at: &str) -> Result<()> {
    let deleted = deleted.as_array().ok_or_else(|| problem(at, "invalid patch format of primitive list"))?;
    if let Some(Value::Array(list)) = original.get_mut(field) {
        list.retain(|element| !deleted.contains(element));
    }
    Ok(())
}

fn merge_lists(
    original: Vec<Value>,
    patch: Vec<Value>,
    strategy: ListStrategy,
    at: &str,
) -> Result<Vec<Value>> {
    match strategy {
        ListStrategy::Replace => Ok(cleaned(patch)),
        ListStrategy::Union => {
            let mut merged: Vec<Value> = Vec::new();
            for element in original.iter().chain(&patch) {
                if !merged.contains(element) {
                    merged.push(element.clone());
                }
            }
            Ok(order::arrange(merged, &patch, &original, identity(strategy)))
        }
        ListStrategy::MergeBy(key) => merge_by(key, original, patch, at),
    }
}

fn merge_by(key: &'static str, original: Vec<Value>, patch: Vec<Value>, at: &str) -> Result<Vec<Value>> {
    let identity = Identity(Some(key));
    let (original, patch) = apply_list_directives(key, original, patch, at)?;
    let mut merged = original.clone();
    for element in &patch {
        let place = merged.iter_mut().find(|other| identity.same(other, element));
        match (place, element) {
            (Some(Value::Object(current)), Value::Object(element)) => {
                let at = format!("{at}[{key}={}]", element.get(key).unwrap_or(&Value::Null));
                *current = merge_objects(std::mem::take(current), element.clone(), &at)?;
            }
            _ => merged.extend(clean(element.clone())),
        }
    }
    Ok(order::arrange(merged, &patch, &original, identity))
}

/// Does what the elements with a directive ask for; returns the original, and the elements that are left to merge.
fn apply_list_directives(
    key: &str,
    mut original: Vec<Value>,
    patch: Vec<Value>,
    at: &str,
) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut elements = Vec::new();
    let mut is_replaced = false;
    for (index, element) in patch.into_iter().enumerate() {
        let at = path::index(at, index);
        match element.get(PATCH).map(Value::as_str) {
            None if element.get(key).is_none() => return Err(missing_key(key, &at)),
            None => elements.push(element),
            Some(Some("delete")) => {
                let deleted = element.get(key).ok_or_else(|| missing_key(key, &at))?;
                original.retain(|other| other.get(key) != Some(deleted));
            }
            // The other elements are the whole list then.
            Some(Some("replace")) => is_replaced = true,
            Some(Some("merge")) => {
                return Err(problem(at, "merging lists cannot yet be specified in the patch"));
            }
            Some(_) => return Err(unknown_directive(element.get(PATCH).unwrap_or(&Value::Null), &at)),
        }
    }
    if is_replaced { Ok((cleaned(elements), Vec::new())) } else { Ok((original, elements)) }
}

fn identity(strategy: ListStrategy) -> Identity {
    match strategy {
        ListStrategy::MergeBy(key) => Identity(Some(key)),
        ListStrategy::Union | ListStrategy::Replace => Identity(None),
    }
}

/// A value that goes into the template as it is: without directives and nulls. None if a directive stands for it.
fn clean(value: Value) -> Option<Value> {
    match value {
        Value::Object(object) if object.contains_key(PATCH) => None,
        Value::Object(object) => Some(Value::Object(without_directives(object))),
        Value::Array(list) => Some(Value::Array(cleaned(list))),
        other => Some(other),
    }
}

fn cleaned(list: Vec<Value>) -> Vec<Value> {
    list.into_iter().filter_map(clean).collect()
}

fn without_directives(object: Object) -> Object {
    object
        .into_iter()
        .filter(|(key, value)| {
            let is_directive =
                [RETAIN_KEYS, SET_ORDER, DELETE_FROM_LIST].iter().any(|start| key.starts_with(start));
            !is_directive && !value.is_null()
        })
        .filter_map(|(key, value)| Some((key, clean(value)?)))
        .collect()
}

fn missing_key(key: &str, at: &str) -> FieldProblem {
    problem(at, format!("map does not contain declared merge key: {key}"))
}

fn unknown_directive(directive: &Value, at: &str) -> FieldProblem {
    let name = directive.as_str().map_or_else(|| directive.to_string(), str::to_owned);
    problem(path::child(at, PATCH), format!("unknown patch type: {name}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn merges_and_refusals_are_those_of_kubectl() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/data/merges.json")).unwrap();
        assert!(cases.len() > 45);
        for case in cases {
            match merge(&case["original"], &case["patch"]) {
                Ok(merged) => assert_eq!(merged, case["merged"], "{case}"),
                Err(problem) => assert_eq!(problem.to_string(), case["refused"], "{case}"),
            }
        }
    }

    /// Pod templates and patches of them, without directives.
    fn template() -> impl Strategy<Value = Value> {
        let text = prop_oneof![3 => "[a-c]{1,2}".prop_map(Value::from), 1 => Just(Value::Null)];
        let map = proptest::collection::btree_map("[a-c]", text, 0..3).prop_map(|map| json!(map));
        let list_by = |key: &'static str| {
            let element = (map.clone(), proptest::option::of("[x-z]"));
            proptest::collection::hash_map("[a-e]", element, 0..4).prop_map(move |elements| {
                let element = |(name, (extra, value)): (String, (Value, Option<String>))| json!({key: name, "extra": extra, "value": value});
                Value::Array(elements.into_iter().map(element).collect())
            })
        };
        let texts = proptest::collection::hash_set("[a-d]", 0..4).prop_map(|texts| json!(texts));
        let object =
            (list_by("name"), list_by("mountPath"), texts.clone(), texts, map.clone(), list_by("key"))
                .prop_flat_map(|(env, mounts, finalizers, args, selector, tolerations)| {
                    let all = vec![
                        ("env", env),
                        ("volumeMounts", mounts),
                        ("finalizers", finalizers),
                        ("args", args),
                        ("nodeSelector", selector),
                        ("tolerations", tolerations),
                    ];
                    proptest::sample::subsequence(all, 0..=6).prop_map(|fields| {
                        Value::Object(
                            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                        )
                    })
                });
        (object.clone(), object).prop_map(|(metadata, spec)| json!({"metadata": metadata, "spec": spec}))
    }

    /// Any JSON, made of the words that matter here.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            "delete|replace|merge|main|a".prop_map(Value::from),
        ];
        let key = "spec|metadata|containers|env|name|finalizers|\\$patch|\\$retainKeys|\\$setElementOrder/env|\\$deleteFromPrimitiveList/finalizers";
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map(key, inner, 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_empty_patch_changes_nothing(template in anything()) {
            prop_assume!(template.is_object());
            prop_assert_eq!(merge(&template, &json!({})), Ok(template));
        }

        #[test]
        fn a_second_time_changes_nothing(template in template(), patch in template()) {
            let once = merge(&template, &patch).unwrap();
            prop_assert_eq!(merge(&once, &patch), Ok(once));
        }

        #[test]
        fn nothing_panics_and_no_directive_of_an_object_is_left(template in template(), patch in anything()) {
            if let Ok(merged) = merge(&template, &patch) {
                prop_assert!(!merged.to_string().contains("$patch"));
            }
        }
    }
}
