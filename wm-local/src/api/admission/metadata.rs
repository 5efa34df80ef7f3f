//! Validation of `metadata`.

use serde_json::{Value, json};

use super::syntax;
use crate::{error::Cause, kind::Kind, store::meta};

const MAX_ANNOTATIONS: usize = 256 * 1024;

pub(super) fn check(kind: Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let metadata = &object["metadata"];
    let name = meta(object, "name");
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        let problems = if kind == Kind::Namespace { syntax::label(name) } else { syntax::subdomain(name) };
        for problem in problems {
            causes.push(Cause::invalid("metadata.name", &json!(name), &problem));
        }
    }
    labels(&metadata["labels"], "metadata.labels", &mut causes);
    annotations(&metadata["annotations"], "metadata.annotations", &mut causes);
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        for member in ["apiVersion", "kind", "name", "uid"] {
            if owner[member].as_str().is_none_or(str::is_empty) {
                let field = format!("metadata.ownerReferences.{member}");
                causes.push(Cause::invalid(field, &json!(""), "must not be empty"));
            }
        }
    }
    for finalizer in metadata["finalizers"].as_array().into_iter().flatten() {
        for problem in syntax::qualified_name(finalizer.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, &problem));
        }
    }
    causes
}

pub(super) fn labels(labels: &Value, field: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        for problem in syntax::qualified_name(key) {
            causes.push(Cause::invalid(field, &json!(key), &problem));
        }
        for problem in syntax::label_value(value.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid(field, value, &problem));
        }
    }
}

pub(super) fn annotations(annotations: &Value, field: &str, causes: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        // Keys of annotations may have capitals in their prefix.
        for problem in syntax::qualified_name(&key.to_lowercase()) {
            causes.push(Cause::invalid(field, &json!(key), &problem));
        }
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if size > MAX_ANNOTATIONS {
        causes.push(Cause::too_long(field, MAX_ANNOTATIONS));
    }
}
