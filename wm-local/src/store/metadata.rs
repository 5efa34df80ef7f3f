//! What the store itself sets in the metadata of an object.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Kind;
use crate::clock::Clock;

/// The characters of generated names: no vowels, and nothing that looks like another one.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// What a prefix of a generated name is cut to.
const MAX_PREFIX: usize = 58;

/// A member of `metadata` that is text, or nothing.
pub(crate) fn meta<'a>(object: &'a Value, member: &str) -> &'a str {
    object["metadata"][member].as_str().unwrap_or_default()
}

/// Five characters of Kubernetes' alphabet for generated names.
fn random_suffix() -> String {
    let random = Uuid::new_v4().into_bytes();
    // Bytes 6 and 8 of a random UUID are fixed in part; the first five are not.
    random[..5].iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// Sets kind, name (if it is to be generated), namespace, uid, creation time and generation where they are missing.
pub(crate) fn identify(kind: Kind, namespace: &str, object: &mut Value, clock: &Clock) {
    object["kind"] = kind.kind().into();
    object["apiVersion"] = kind.group_version().into();
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    if meta(object, "name").is_empty() && !meta(object, "generateName").is_empty() {
        let prefix: String = meta(object, "generateName").chars().take(MAX_PREFIX).collect();
        object["metadata"]["name"] = format!("{prefix}{}", random_suffix()).into();
    }
    let metadata = &mut object["metadata"];
    if kind.is_namespaced() {
        metadata["namespace"] = namespace.into();
    }
    if metadata["uid"].as_str().is_none_or(str::is_empty) {
        metadata["uid"] = Uuid::new_v4().to_string().into();
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
