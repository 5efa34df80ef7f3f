//! What happens to an object between its decoding and the store: defaults, generated fields, validation.

mod content;
mod defaults;
mod job;
mod limits;
mod metadata;
mod pod;
mod policy;
mod resources;
mod seed;
mod syntax;
mod update;

use serde_json::{Value, json};

pub(crate) use self::seed::{populate, populate_account, populate_namespace};
pub(super) use self::update::admit_update;
use super::{answer::Warnings, body::Document, parameters::FieldValidation};
use crate::{
    controller::admit_pod,
    error::{ApiError, Cause},
    kind::Kind,
    schema::{self, Type},
    store::meta,
};

/// Checks that a document is an object of this kind, as a decoder does.
pub(super) fn decode(
    kind: Kind,
    document: Document,
    validation: FieldValidation,
    warnings: &mut Warnings,
) -> Result<Value, ApiError> {
    let object = document.value;
    let found_kind = text_or(&object["kind"], kind.kind());
    let found_version = text_or(&object["apiVersion"], kind.group_version());
    let short = found_version.rsplit('/').next().unwrap_or_default();
    let refuse = |why: &str| {
        let message =
            format!("{found_kind} in version {short:?} cannot be handled as a {}: {why}", kind.kind());
        Err(ApiError::bad_request(message))
    };
    if found_kind != kind.kind() || found_version != kind.group_version() {
        if is_registered(found_kind, found_version) {
            let (from, to) = (format!("{short}.{found_kind}"), go_type(kind));
            return refuse(&format!("converting ({from}) to ({to}): unknown conversion"));
        }
        return refuse(&format!(
            "no kind {found_kind:?} is registered for version {found_version:?} in scheme \
             \"pkg/api/legacyscheme/scheme.go:30\""
        ));
    }
    if let Err(why) = schema::check(Type::of(kind), &object) {
        return refuse(&why);
    }
    match validation {
        FieldValidation::Strict if !document.slips.is_empty() => {
            return refuse(&format!("strict decoding error: {}", document.slips.join(", ")));
        }
        FieldValidation::Warn => document.slips.iter().for_each(|slip| warnings.push(slip)),
        FieldValidation::Strict | FieldValidation::Ignore => {}
    }
    Ok(object)
}

/// Puts an object into the namespace of the path, which it may name but not contradict.
pub(super) fn check_place(kind: Kind, namespace: &str, object: &mut Value) -> Result<(), ApiError> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let named = meta(object, "namespace");
    if !named.is_empty() && named != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    if kind.is_namespaced() {
        object["metadata"]["namespace"] = namespace.into();
    }
    Ok(())
}

pub(super) fn check_name(name: &str, object: &Value) -> Result<(), ApiError> {
    let named = meta(object, "name");
    if named.is_empty() || named == name {
        return Ok(());
    }
    let message = format!("the name of the object ({named}) does not match the name on the URL ({name})");
    Err(ApiError::bad_request(message))
}

/// Takes out what only the server may set.
pub(super) fn strip_for_create(kind: Kind, object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for member in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "selfLink",
            "managedFields",
        ] {
            metadata.remove(member);
        }
        drop_nulls(metadata);
    }
    match kind {
        Kind::Job | Kind::ResourceQuota => object["status"] = json!({}),
        Kind::Pod => object["status"] = json!({"phase": "Pending"}),
        Kind::Namespace => {
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        _ => {}
    }
}

/// Defaults and validates a new object, whose identity is known already.
pub(super) fn admit_new(kind: Kind, object: &mut Value, warnings: &mut Warnings) -> Result<(), ApiError> {
    let mut causes = metadata::check(kind, object);
    match kind {
        Kind::Job => {
            defaults::job(object);
            job::generate_selector(object);
            causes.extend(job::check(object));
            job::warn(object, warnings);
        }
        Kind::Pod => {
            defaults::pod(object);
            pod::check_spec(&object["spec"], "spec", &mut causes);
            pod::warn(&object["spec"], "spec", warnings);
            admit_pod(object);
        }
        Kind::Secret => causes.extend(content::secret(object)),
        Kind::ConfigMap => causes.extend(content::config_map(object)),
        Kind::Event => causes.extend(content::event(object)),
        Kind::Namespace => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        Kind::ResourceQuota => causes.extend(limits::quota(object)?),
        Kind::LimitRange => causes.extend(limits::range(object)?),
        Kind::Node | Kind::ServiceAccount => {}
    }
    refuse(kind, object, causes)?;
    if kind == Kind::Job {
        job::copy_labels(object);
        job::check_supported(object)?;
    }
    Ok(())
}

fn refuse(kind: Kind, object: &Value, causes: Vec<Cause>) -> Result<(), ApiError> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(kind.group(), kind.kind(), meta(object, "name"), causes))
}

fn text_or<'a>(value: &'a Value, default: &'a str) -> &'a str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or(default)
}

fn is_registered(kind: &str, version: &str) -> bool {
    (kind == "CronJob" && matches!(version, "batch/v1" | "batch/v1beta1"))
        || Kind::ALL.iter().any(|known| known.kind() == kind && known.group_version() == version)
}

fn go_type(kind: Kind) -> String {
    let group = if kind.group().is_empty() { "core" } else { kind.group() };
    format!("{group}.{}", kind.kind())
}

/// A member that is `null` is one that is not there.
fn drop_nulls(members: &mut serde_json::Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
}

#[cfg(test)]
mod tests;
