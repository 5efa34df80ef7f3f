//! What a deletion does to an object: the rules of the API's generic registry and of Pods.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{ApiError, Key, Kind, meta, metadata};
use crate::timestamp;

/// What becomes of an object's dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// How to delete. Without a propagation the kind's default applies: Jobs orphan their Pods.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Option<Propagation>,
    pub(crate) grace_period_seconds: Option<u64>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

/// What a deletion did.
#[derive(Debug, Clone)]
pub(crate) enum Deleted {
    /// It stays until its finalizers or its processes are gone.
    Marked(Arc<Value>),
    /// It is gone; this was its last state.
    Removed(Arc<Value>),
}

impl DeleteOptions {
    pub(super) fn check(&self, key: &Key, current: &Value) -> Result<(), ApiError> {
        let preconditions = [
            ("UID", &self.uid, "uid", "deleted and then recreated"),
            ("ResourceVersion", &self.resource_version, "resourceVersion", "modified"),
        ];
        for (label, wanted, member, guess) in preconditions {
            let stored = meta(current, member);
            if let Some(wanted) = wanted
                && wanted != stored
            {
                let why = format!(
                    "the {label} in the precondition ({wanted}) does not match the {label} in record ({stored}). \
                     The object might have been {guess}"
                );
                return Err(ApiError::precondition(key.kind, &key.name, &why));
            }
        }
        Ok(())
    }
}

/// Whether an object that is being deleted has nothing left that holds it.
pub(super) fn is_over(kind: Kind, object: &Value) -> bool {
    let metadata = &object["metadata"];
    metadata["deletionTimestamp"].is_string()
        && finalizers(object).next().is_none()
        && !is_held(kind, object)
        && (kind != Kind::Pod || metadata["deletionGracePeriodSeconds"].as_u64().unwrap_or_default() == 0)
}

/// The object marked for deletion, or `None` if nothing keeps it from going at once.
pub(super) fn mark(kind: Kind, current: &Value, options: &DeleteOptions, now: Timestamp) -> Option<Value> {
    let mut object = current.clone();
    set_finalizers(kind, &mut object, options.propagation);
    let grace = grace_period(kind, current, options);
    if grace == 0 && finalizers(&object).next().is_none() && !is_held(kind, &object) {
        return None;
    }
    if kind == Kind::Namespace {
        object["status"]["phase"] = "Terminating".into();
    }
    let deleting = current["metadata"]["deletionTimestamp"].is_string();
    let current_grace = current["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or_default();
    // A second deletion may only shorten the grace period.
    if !deleting || grace < current_grace {
        let wait = SignedDuration::from_secs(i64::try_from(grace).unwrap_or_default());
        let end = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        object["metadata"]["deletionTimestamp"] = timestamp::seconds(end).into();
        object["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        if kind.has_generation() && !deleting {
            metadata::count_generation(&mut object);
        }
    }
    Some(object)
}

/// A Pod's last state before it goes, unless it has been told that it goes now.
pub(super) fn farewell(kind: Kind, current: &Value, now: Timestamp) -> Option<Value> {
    let metadata = &current["metadata"];
    let is_deleting = metadata["deletionTimestamp"].is_string();
    if kind != Kind::Pod || is_deleting && metadata["deletionGracePeriodSeconds"] == 0 {
        return None;
    }
    let mut object = current.clone();
    if !is_deleting {
        object["metadata"]["deletionTimestamp"] = timestamp::seconds(now).into();
        metadata::count_generation(&mut object);
    }
    object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
    Some(object)
}

/// Seconds that the object is given to end by itself: only Pods that may run are given any.
fn grace_period(kind: Kind, current: &Value, options: &DeleteOptions) -> u64 {
    if kind != Kind::Pod {
        return 0;
    }
    let placed = current["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let ended = matches!(current["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !placed || ended {
        return 0;
    }
    options
        .grace_period_seconds
        .or_else(|| current["metadata"]["deletionGracePeriodSeconds"].as_u64())
        .or_else(|| current["spec"]["terminationGracePeriodSeconds"].as_u64())
        .unwrap_or(30)
}

fn set_finalizers(kind: Kind, object: &mut Value, propagation: Option<Propagation>) {
    const FOREGROUND: &str = "foregroundDeletion";
    const ORPHAN: &str = "orphan";
    let has_one = finalizers(object).any(|one| one == FOREGROUND || one == ORPHAN);
    let propagation = match propagation {
        // What is in a namespace is no dependent of it.
        _ if kind == Kind::Namespace => return,
        Some(propagation) => propagation,
        None if has_one => return,
        None if kind == Kind::Job => Propagation::Orphan,
        None => Propagation::Background,
    };
    let mut wanted: Vec<String> = finalizers(object)
        .filter(|one| *one != FOREGROUND && *one != ORPHAN)
        .map(ToOwned::to_owned)
        .collect();
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => wanted.push(FOREGROUND.to_owned()),
        Propagation::Orphan => wanted.push(ORPHAN.to_owned()),
    }
    if wanted.is_empty() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("finalizers");
        }
    } else {
        object["metadata"]["finalizers"] = json!(wanted);
    }
}

/// A namespace has finalizers of another kind as well: it is held by what is in it.
fn is_held(kind: Kind, object: &Value) -> bool {
    kind == Kind::Namespace && object["spec"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}
