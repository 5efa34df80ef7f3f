//! What an update may change.

use serde_json::{Value, json};

use super::{content, defaults, job, metadata, pod, refuse};
use crate::{
    api::{answer::Warnings, route::Subresource},
    error::{ApiError, Cause},
    kind::Kind,
    store::meta,
};

const IMMUTABLE: &str = "field is immutable";

/// The object to store in place of `current` when a client sent `new`.
pub(in crate::api) fn admit_update(
    kind: Kind,
    subresource: Subresource,
    current: &Value,
    mut new: Value,
    warnings: &mut Warnings,
) -> Result<Value, ApiError> {
    let version = meta(&new, "resourceVersion");
    if !version.is_empty() && version != meta(current, "resourceVersion") {
        return Err(ApiError::modified(kind, meta(current, "name")));
    }
    if subresource == Subresource::Status {
        let mut object = current.clone();
        object["status"] = new["status"].take();
        return Ok(object);
    }
    if matches!(kind, Kind::Job | Kind::Pod | Kind::Namespace | Kind::Node | Kind::ResourceQuota) {
        new["status"] = current["status"].clone();
    }
    let mut causes = check_metadata(current, &mut new);
    causes.extend(metadata::check(kind, &new));
    match kind {
        Kind::Job => {
            defaults::job(&mut new);
            causes.extend(check_job(current, &new));
            job::warn(&new, warnings);
        }
        Kind::Pod => {
            defaults::pod(&mut new);
            causes.extend(check_pod(current, &new));
        }
        Kind::Secret => {
            causes.extend(content::secret(&mut new));
            causes.extend(check_content(current, &new));
            if new["type"] != current["type"] {
                causes.push(Cause::invalid("type", &new["type"], IMMUTABLE));
            }
        }
        Kind::ConfigMap => {
            causes.extend(content::config_map(&new));
            causes.extend(check_content(current, &new));
        }
        Kind::Event => causes.extend(content::event(&new)),
        Kind::Node => causes.extend(check_node(&mut new)),
        Kind::ResourceQuota => causes.extend(super::limits::quota(&mut new)?),
        Kind::LimitRange => causes.extend(super::limits::range(&mut new)?),
        Kind::Namespace | Kind::ServiceAccount => {}
    }
    refuse(kind, current, causes)?;
    if kind == Kind::Job {
        job::check_supported(&new)?;
    }
    Ok(new)
}

/// The server's own fields stay; to contradict the uid is an error.
fn check_metadata(current: &Value, new: &mut Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let uid = meta(new, "uid");
    if !uid.is_empty() && uid != meta(current, "uid") {
        causes.push(Cause::invalid("metadata.uid", &json!(uid), IMMUTABLE));
    }
    if let Some(members) = new["metadata"].as_object_mut() {
        super::drop_nulls(members);
        members.remove("managedFields");
        for member in ["name", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            match current["metadata"].get(member) {
                Some(value) => members.insert(member.to_owned(), value.clone()),
                None => members.remove(member),
            };
        }
    }
    // Whoever is being deleted may lose finalizers, not gain any.
    let finalizers = |object: &Value| -> Vec<Value> {
        object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default()
    };
    if !meta(current, "deletionTimestamp").is_empty() {
        let kept = finalizers(current);
        let added: Vec<Value> = finalizers(new).into_iter().filter(|one| !kept.contains(one)).collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {}",
                json!(added)
            );
            causes.push(Cause::forbidden("metadata.finalizers", &detail));
        }
    }
    causes
}

fn check_node(node: &mut Value) -> Vec<Cause> {
    if let Some(members) = node["spec"].as_object_mut() {
        super::drop_nulls(members);
    }
    let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let taints = node["spec"]["taints"].as_array().into_iter().flatten().enumerate();
    let unknown =
        taints.filter(|(_, taint)| !taint["effect"].as_str().is_some_and(|effect| effects.contains(&effect)));
    unknown
        .map(|(index, taint)| {
            Cause::unsupported(format!("metadata.taints[{index}].effect"), &taint["effect"], &effects)
        })
        .collect()
}

fn check_job(current: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (old_spec, spec) = (&current["spec"], &new["spec"]);
    for field in ["completions", "selector"] {
        if spec[field] != old_spec[field] {
            causes.push(Cause::invalid(format!("spec.{field}"), &spec[field], IMMUTABLE));
        }
    }
    if template_without(&spec["template"], current) != template_without(&old_spec["template"], current) {
        causes.push(Cause::invalid("spec.template", &spec["template"], IMMUTABLE));
    }
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        if spec[field] != old_spec[field] {
            causes.push(Cause::invalid(format!("spec.{field}"), &spec[field], IMMUTABLE));
        }
    }
    if causes.is_empty() {
        causes.extend(job::check(new));
    }
    causes
}

/// The template without what may be changed in a Job that is suspended and has not started.
fn template_without(template: &Value, job: &Value) -> Value {
    let mut template = template.clone();
    let may_change = job["spec"]["suspend"] == true && job["status"]["startTime"].is_null();
    if may_change {
        for (part, fields) in [
            ("metadata", &["labels", "annotations"][..]),
            ("spec", &["nodeSelector", "tolerations", "affinity", "schedulingGates"]),
        ] {
            if let Some(members) = template[part].as_object_mut() {
                members.retain(|field, _| !fields.contains(&field.as_str()));
            }
        }
    }
    template
}

fn check_pod(current: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        if let Some(members) = spec.as_object_mut() {
            // Where a Pod runs is for the scheduler to say; these four are for the user.
            members.retain(|field, _| {
                !["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"]
                    .contains(&field.as_str())
            });
        }
        for group in ["containers", "initContainers"] {
            for container in spec[group].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        spec
    };
    if fixed(current) == fixed(new) {
        pod::check_spec(&new["spec"], "spec", &mut causes);
    } else {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`, \
             `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to \
             existing tolerations), `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
             previously negative)",
        ));
    }
    causes
}

/// A Secret or `ConfigMap` can be made immutable, and stays so.
fn check_content(current: &Value, new: &Value) -> Vec<Cause> {
    if current["immutable"] != true {
        return Vec::new();
    }
    let mut causes = Vec::new();
    for field in ["immutable", "data", "binaryData"] {
        if new[field] != current[field] {
            causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
    causes
}
