//! Validation of quotas and limit ranges.

use serde_json::{Value, json};

use super::{defaults::canonical, drop_nulls};
use crate::{
    error::{ApiError, Cause},
    policy::complete,
    quantity::Quantity,
};

/// Checks a quota. Scopes are refused: all pods would be counted.
pub(super) fn quota(object: &mut Value) -> Result<Vec<Cause>, ApiError> {
    if let Some(spec) = object["spec"].as_object_mut() {
        drop_nulls(spec);
    }
    let spec = &mut object["spec"];
    if spec["scopes"].as_array().is_some_and(|scopes| !scopes.is_empty()) || spec["scopeSelector"].is_object()
    {
        return Err(ApiError::not_implemented("scopes of quotas"));
    }
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|field, _| field == "hard");
    }
    Ok(quantities(&mut spec["hard"], "spec.hard"))
}

/// Checks and completes a limit range. Ratios are refused.
pub(super) fn range(object: &mut Value) -> Result<Vec<Cause>, ApiError> {
    let mut causes = Vec::new();
    let types = ["Container", "PersistentVolumeClaim", "Pod"];
    for (index, limit) in object["spec"]["limits"].as_array_mut().into_iter().flatten().enumerate() {
        if limit["maxLimitRequestRatio"].as_object().is_some_and(|ratios| !ratios.is_empty()) {
            return Err(ApiError::not_implemented("maxLimitRequestRatio of limit ranges"));
        }
        let field = format!("spec.limits[{index}]");
        let kind = &limit["type"];
        if !kind.as_str().is_some_and(|kind| types.contains(&kind) || kind.contains('/')) {
            causes.push(Cause::unsupported(format!("{field}.type"), kind, &types));
        }
        for member in ["max", "min", "default", "defaultRequest"] {
            if let Some(of_member) = limit.get_mut(member) {
                causes.extend(quantities(of_member, &format!("{field}.{member}")));
            }
        }
    }
    complete(object);
    Ok(causes)
}

fn quantities(all: &mut Value, field: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (resource, quantity) in all.as_object_mut().into_iter().flatten() {
        canonical(quantity);
        let text = quantity.as_str().unwrap_or_default();
        if Quantity::parse(text).is_ok_and(Quantity::is_negative) {
            let detail = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("{field}[{resource}]"), &json!(text), detail));
        }
    }
    causes
}
