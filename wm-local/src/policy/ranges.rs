//! Limit ranges: what the containers of a namespace get if they ask for nothing, and what they may ask for.

use serde_json::{Map, Value, json};

use super::quota::forbidden;
use crate::{
    controller::admit_pod,
    error::ApiError,
    kind::Kind,
    quantity::Quantity,
    store::{Store, meta},
    value::list,
};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Gives a new pod what the limit ranges of its namespace set, and refuses one that is beyond them.
pub(super) fn apply(store: &Store, pod: &mut Value) -> Result<(), ApiError> {
    let (ranges, _) = store.list(Kind::LimitRange, Some(meta(pod, "namespace")));
    for range in &ranges {
        set_defaults(range, pod);
    }
    if !ranges.is_empty() {
        // Its quality of service follows from what it has got.
        admit_pod(pod);
    }
    let mut errors = Vec::new();
    for limit in ranges.iter().flat_map(|range| list(&range["spec"], "limits")) {
        match limit["type"].as_str() {
            Some("Container") => {
                for container in list(&pod["spec"], "containers").chain(list(&pod["spec"], "initContainers"))
                {
                    errors.extend(violations(limit, "Container", &container["resources"]));
                }
            }
            Some("Pod") => errors.extend(violations(limit, "Pod", &sum(&pod["spec"]))),
            _ => {}
        }
    }
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(forbidden(Kind::Pod, pod, one)),
        several => Err(forbidden(Kind::Pod, pod, &format!("[{}]", several.join(", ")))),
    }
}

fn set_defaults(range: &Value, pod: &mut Value) {
    let mut told = Vec::new();
    for limit in list(&range["spec"], "limits").filter(|limit| limit["type"] == "Container") {
        for (group, what) in [("containers", "container"), ("initContainers", "init container")] {
            for container in pod["spec"][group].as_array_mut().into_iter().flatten() {
                let name = container["name"].as_str().unwrap_or_default().to_owned();
                for (field, default, word) in
                    [("requests", "defaultRequest", "request"), ("limits", "default", "limit")]
                {
                    let mut set = Vec::new();
                    for (resource, quantity) in limit[default].as_object().into_iter().flatten() {
                        let given = &mut container["resources"][field];
                        if given.get(resource).is_none() {
                            given[resource] = quantity.clone();
                            set.push(resource.as_str());
                        }
                    }
                    set.sort_unstable();
                    if !set.is_empty() {
                        told.push(format!("{} {word} for {what} {name}", set.join(", ")));
                    }
                }
            }
        }
    }
    if !told.is_empty() {
        pod["metadata"]["annotations"][ANNOTATION] =
            format!("LimitRanger plugin set: {}", told.join("; ")).into();
    }
}

/// What a container, or a whole pod, asks for beyond a range.
fn violations(limit: &Value, what: &str, resources: &Value) -> Vec<String> {
    let given = |field: &str, resource: &str| quantity(&resources[field][resource]);
    let mut found = Vec::new();
    for (resource, least) in limit["min"].as_object().into_iter().flatten() {
        let Some((bound, text)) = quantity(least) else { continue };
        let rule = format!("minimum {resource} usage per {what} is {text}");
        match (given("requests", resource), given("limits", resource)) {
            (None, _) => found.push(format!("{rule}.  No request is specified")),
            (Some((request, asked)), _) if request < bound => {
                found.push(format!("{rule}, but request is {asked}"));
            }
            (_, Some((limit, asked))) if limit < bound => found.push(format!("{rule}, but limit is {asked}")),
            _ => {}
        }
    }
    for (resource, most) in limit["max"].as_object().into_iter().flatten() {
        let Some((bound, text)) = quantity(most) else { continue };
        let rule = format!("maximum {resource} usage per {what} is {text}");
        match (given("requests", resource), given("limits", resource)) {
            (_, None) => found.push(format!("{rule}.  No limit is specified")),
            (_, Some((limit, asked))) if limit > bound => found.push(format!("{rule}, but limit is {asked}")),
            (Some((request, asked)), _) if request > bound => {
                found.push(format!("{rule}, but request is {asked}"));
            }
            _ => {}
        }
    }
    found
}

fn quantity(value: &Value) -> Option<(Quantity, &str)> {
    let text = value.as_str()?;
    Some((Quantity::parse(text).ok()?, text))
}

/// What all containers of a pod ask for together.
fn sum(spec: &Value) -> Value {
    let mut sums = json!({});
    for field in ["requests", "limits"] {
        let mut all = Map::new();
        for container in list(spec, "containers") {
            for (resource, value) in container["resources"][field].as_object().into_iter().flatten() {
                let Some((one, text)) = quantity(value) else { continue };
                let so_far = all.get(resource).and_then(quantity).map_or(Quantity::default(), |(sum, _)| sum);
                all.insert(resource.clone(), (so_far + one).written_like(text).into());
            }
        }
        sums[field] = all.into();
    }
    sums
}

/// Completes a limit range: what has a maximum is limited to that, and what has a limit is requested.
pub(crate) fn complete(range: &mut Value) {
    let limits = range["spec"]["limits"].as_array_mut();
    for limit in limits.into_iter().flatten().filter(|limit| limit["type"] == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let quantities = limit[from].as_object().cloned().unwrap_or_default();
            for (resource, quantity) in quantities {
                if limit[to].get(&resource).is_none() {
                    limit[to][resource] = quantity;
                }
            }
        }
    }
}
