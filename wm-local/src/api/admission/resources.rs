//! Validation of a container's resources.

use serde_json::{Map, Value, json};

use super::syntax;
use crate::{error::Cause, quantity::Quantity};

pub(super) fn check(resources: &Value, field: &str, causes: &mut Vec<Cause>) {
    let none = Map::new();
    let limits = resources["limits"].as_object().unwrap_or(&none);
    let requests = resources["requests"].as_object().unwrap_or(&none);
    let (limits_field, requests_field) = (format!("{field}.limits"), format!("{field}.requests"));
    for (name, quantity) in limits {
        one(name, quantity, &limits_field, causes);
    }
    for (name, quantity) in requests {
        one(name, quantity, &requests_field, causes);
        let limit = limits.get(name);
        match limit {
            None if !is_overcommittable(name) => {
                let detail = "Limit must be set for non overcommitable resources";
                causes.push(Cause::required(limits_field.clone(), detail));
            }
            Some(limit) if !is_overcommittable(name) && value(quantity) != value(limit) => {
                let detail = format!("must be equal to {name} limit of {}", text(limit));
                causes.push(Cause::invalid(requests_field.clone(), &json!(text(quantity)), &detail));
            }
            Some(limit) if value(quantity) > value(limit) => {
                let detail = format!("must be less than or equal to {name} limit of {}", text(limit));
                causes.push(Cause::invalid(requests_field.clone(), &json!(text(quantity)), &detail));
            }
            _ => {}
        }
    }
}

fn one(name: &str, quantity: &Value, field: &str, causes: &mut Vec<Cause>) {
    let field = format!("{field}[{name}]");
    let problems = syntax::qualified_name(name);
    for problem in &problems {
        causes.push(Cause::invalid(field.clone(), &json!(name), problem));
    }
    if problems.is_empty() && !name.contains('/') {
        if !is_standard(name) {
            let detail = "must be a standard resource type or fully qualified";
            causes.push(Cause::invalid(field.clone(), &json!(name), detail));
        }
        if !is_for_containers(name) {
            let detail = "must be a standard resource for containers";
            causes.push(Cause::invalid(field.clone(), &json!(name), detail));
            return;
        }
    }
    let Some(amount) = value(quantity) else { return };
    if amount.is_negative() {
        let detail = "must be greater than or equal to 0";
        causes.push(Cause::invalid(field.clone(), &json!(text(quantity)), detail));
    }
    if !is_overcommittable(name) && !amount.is_integer() {
        causes.push(Cause::invalid(field, &json!(text(quantity)), "must be an integer"));
    }
}

fn is_for_containers(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

/// Resources that namespaces and nodes have, too.
fn is_standard(name: &str) -> bool {
    is_for_containers(name)
        || matches!(
            name,
            "storage"
                | "pods"
                | "services"
                | "replicationcontrollers"
                | "resourcequotas"
                | "secrets"
                | "configmaps"
                | "persistentvolumeclaims"
        )
        || name.starts_with("requests.")
        || name.starts_with("limits.")
}

fn is_overcommittable(name: &str) -> bool {
    !name.starts_with("hugepages-") && (!name.contains('/') || name.contains("kubernetes.io/"))
}

fn text(quantity: &Value) -> String {
    quantity.as_str().map_or_else(|| quantity.to_string(), ToOwned::to_owned)
}

fn value(quantity: &Value) -> Option<Quantity> {
    Quantity::parse(&text(quantity)).ok()
}
