//! What the store itself sets in the metadata of an object.

use serde_json::{Map, Value, json};

use super::{Kind, identities::Identities};
use crate::clock::Clock;

/// A member of `metadata` that is text, or nothing.
pub(crate) fn meta<'a>(object: &'a Value, member: &str) -> &'a str {
    object["metadata"][member].as_str().unwrap_or_default()
}

/// Sets kind, name (if it is to be generated), namespace, uid, creation time and generation where they are missing.
pub(super) fn identify(
    kind: Kind,
    namespace: &str,
    object: &mut Value,
    identities: &Identities,
    clock: &Clock,
) {
    object["kind"] = kind.kind().into();
    object["apiVersion"] = kind.group_version().into();
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    if meta(object, "name").is_empty() && !meta(object, "generateName").is_empty() {
        object["metadata"]["name"] = identities.name(kind, namespace, meta(object, "generateName")).into();
    }
    if meta(object, "uid").is_empty() {
        object["metadata"]["uid"] = identities.uid(kind, namespace, meta(object, "name")).into();
    }
    let metadata = &mut object["metadata"];
    if kind.is_namespaced() {
        metadata["namespace"] = namespace.into();
    }
    if !metadata["creationTimestamp"].is_string() {
        metadata["creationTimestamp"] = clock.seconds().into();
    }
    if kind.has_generation() {
        metadata["generation"] = json!(1);
    }
}

pub(super) fn set_version(object: &mut Value, version: u64) {
    object["metadata"]["resourceVersion"] = version.to_string().into();
}

pub(super) fn count_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_u64().unwrap_or_default();
    object["metadata"]["generation"] = (generation + 1).into();
}

/// Puts back what no update may change.
pub(super) fn keep_identity(current: &Value, object: &mut Value) {
    for member in ["kind", "apiVersion"] {
        object[member] = current[member].clone();
    }
    if !object["metadata"].is_object() {
        object["metadata"] = current["metadata"].clone();
    }
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    for member in
        ["name", "generateName", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation"]
    {
        match current["metadata"].get(member) {
            Some(value) => metadata.insert(member.to_owned(), value.clone()),
            None => metadata.remove(member),
        };
    }
}

pub(super) fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}
