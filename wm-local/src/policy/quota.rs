//! Quotas: what may be in a namespace in all.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tracing::debug;

use super::usage::{self, COMPUTE, Usage};
use crate::{
    error::{ApiError, details},
    kind::{Key, Kind},
    quantity::Quantity,
    store::{Store, meta},
    value::list,
};

/// Refuses a new object that a quota has no room for. Nothing may be created between this and the creation.
pub(super) fn check(store: &Store, kind: Kind, object: &Value) -> Result<(), ApiError> {
    let namespace = meta(object, "namespace");
    let asked = usage::of(kind, object);
    for quota in store.list(Kind::ResourceQuota, Some(namespace)).0 {
        let hard = hard(&quota);
        let name = meta(&quota, "name");
        let missing = if kind == Kind::Pod { missing(&hard, object) } else { String::new() };
        if !missing.is_empty() {
            return Err(forbidden(kind, object, &format!("failed quota: {name}: must specify {missing}")));
        }
        let used =
            usage::total(store, namespace, hard.keys().filter(|resource| asked.contains_key(*resource)));
        let is_exceeded = |resource: &&String| {
            let (limit, _) = hard[*resource];
            asked[*resource] != Quantity::default() && used[*resource] + asked[*resource] > limit
        };
        let exceeded: Vec<&String> = used.keys().filter(is_exceeded).collect();
        if !exceeded.is_empty() {
            let told = |usage: &Usage| {
                let each =
                    exceeded.iter().map(|one| format!("{one}={}", usage[*one].written_like(hard[*one].1)));
                each.collect::<Vec<_>>().join(",")
            };
            let limited: Vec<String> = exceeded.iter().map(|one| format!("{one}={}", hard[*one].1)).collect();
            let why = format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                told(&asked),
                told(&used),
                limited.join(",")
            );
            return Err(forbidden(kind, object, &why));
        }
    }
    Ok(())
}

/// Writes into the quotas of a namespace what is used of them.
pub(super) fn count(store: &Store, namespace: &str) {
    for quota in store.list(Kind::ResourceQuota, Some(namespace)).0 {
        let limited = hard(&quota);
        let used = usage::total(store, namespace, limited.keys());
        let used: Map<String, Value> = used
            .iter()
            .map(|(resource, quantity)| (resource.clone(), quantity.written_like(limited[resource].1).into()))
            .collect();
        let status = json!({"hard": quota["spec"]["hard"], "used": used});
        if status == quota["status"] {
            continue;
        }
        let counted =
            store.update(&Key::new(Kind::ResourceQuota, namespace, meta(&quota, "name")), |quota| {
                quota["status"] = status;
                Ok(())
            });
        if let Err(error) = counted {
            debug!(namespace, %error, "Quota is gone already");
        }
    }
}

/// What a quota limits: the quantity, and as it is written.
fn hard(quota: &Value) -> BTreeMap<String, (Quantity, &str)> {
    let limits = quota["spec"]["hard"].as_object().into_iter().flatten();
    let parsed = limits.filter_map(|(resource, limit)| {
        let text = limit.as_str()?;
        Some((resource.clone(), (Quantity::parse(text).ok()?, text)))
    });
    parsed.collect()
}

/// What is limited, and some container does not tell of.
fn missing(hard: &BTreeMap<String, (Quantity, &str)>, pod: &Value) -> String {
    let containers = || list(&pod["spec"], "containers").chain(list(&pod["spec"], "initContainers"));
    let untold = COMPUTE.into_iter().filter(|resource| hard.contains_key(*resource)).filter_map(|resource| {
        let silent = containers().filter(|container| !usage::of_container(container).contains_key(resource));
        let mut names: Vec<&str> = silent.filter_map(|container| container["name"].as_str()).collect();
        names.sort_unstable();
        (!names.is_empty()).then(|| format!("{resource} for: {}", names.join(",")))
    });
    untold.collect::<Vec<_>>().join("; ")
}

pub(super) fn forbidden(kind: Kind, object: &Value, why: &str) -> ApiError {
    let name = meta(object, "name");
    let message = format!("{} {name:?} is forbidden: {why}", kind.qualified_resource());
    ApiError::new(403, "Forbidden", message).with_details(details(name, kind.group(), kind.resource()))
}
