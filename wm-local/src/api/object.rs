//! What can be done with one object.

use std::sync::Arc;

use axum::response::Response;
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{
    Api, admission,
    answer::{Form, Warnings, json_bytes, json_value, partial_metadata, refusal, with_warnings},
    body,
    collection::delete_options,
    parameters::Parameters,
    patch::{self, Patch},
    route::Subresource,
    size, table,
};
use crate::{
    error::{ApiError, details},
    faults,
    kind::{Key, Kind},
    schema::Type,
    store::{Deleted, meta},
};

pub(super) fn get(api: &Api, key: &Key, form: Form) -> Result<Response, ApiError> {
    let object = api.store.get(key).ok_or_else(|| ApiError::not_found(key.kind, &key.name))?;
    Ok(answer(api, StatusCode::OK, key.kind, &object, form))
}

pub(super) fn create(
    api: &Api,
    kind: Kind,
    namespace: &str,
    parts: &Parts,
    parameters: &Parameters,
    body: &[u8],
    form: Form,
) -> Result<Response, ApiError> {
    Api::check_number(kind)?;
    let dry_run = parameters.dry_run("CreateOptions")?;
    let validation = parameters.field_validation("CreateOptions")?;
    let mut warnings = Warnings::default();
    let document = body::decode_object(&parts.headers, body, kind.kind(), Type::of(kind))?;
    let mut object = admission::decode(kind, document, validation, &mut warnings)?;
    admission::check_place(kind, namespace, &mut object)?;
    if !meta(&object, "resourceVersion").is_empty() {
        // A client's mistake, and yet no 4xx: so does a real server.
        return Err(ApiError::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    check_namespace(api, kind, namespace, &object)?;
    admission::strip_for_create(kind, &mut object);
    api.store.identify(kind, namespace, &mut object);
    admission::admit_new(kind, &mut object, &mut warnings)?;
    check_service_account(api, kind, namespace, &object)?;
    api.node.policy().review(kind, &mut object)?.into_iter().for_each(|warning| warnings.push(warning));
    faults::refuse(&api.faults, kind, &object)?.into_iter().for_each(|warning| warnings.push(warning));
    if dry_run {
        api.node.policy().check_quotas(kind, &object)?;
        let key = Key::new(kind, namespace, meta(&object, "name"));
        if let Some(existing) = api.store.get(&key) {
            let being_deleted = !meta(&existing, "deletionTimestamp").is_empty();
            let error = ApiError::already_exists(kind, &key.name, being_deleted);
            return Ok(with_warnings(refusal(&error), &warnings));
        }
        return Ok(with_warnings(answer(api, StatusCode::CREATED, kind, &Arc::new(object), form), &warnings));
    }
    size::check(kind, &object, body.len())?;
    let created = match api.node.policy().create(kind, namespace, object) {
        Ok(created) => created,
        Err(error) => return Ok(with_warnings(refusal(&error), &warnings)),
    };
    if kind == Kind::Namespace {
        admission::populate_namespace(&api.store, meta(&created, "name"))?;
    }
    Ok(with_warnings(answer(api, StatusCode::CREATED, kind, &created, form), &warnings))
}

pub(super) fn replace(
    api: &Api,
    key: &Key,
    subresource: Subresource,
    parts: &Parts,
    parameters: &Parameters,
    body: &[u8],
    form: Form,
) -> Result<Response, ApiError> {
    let dry_run = parameters.dry_run("UpdateOptions")?;
    let validation = parameters.field_validation("UpdateOptions")?;
    let mut warnings = Warnings::default();
    let document = body::decode_object(&parts.headers, body, key.kind.kind(), Type::of(key.kind))?;
    let mut object = admission::decode(key.kind, document, validation, &mut warnings)?;
    admission::check_place(key.kind, &key.namespace, &mut object)?;
    admission::check_name(&key.name, &object)?;
    let change = |current: &mut Value| {
        let uid = meta(&object, "uid");
        if !uid.is_empty() && uid != meta(current, "uid") {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                meta(current, "uid")
            );
            return Err(ApiError::conflict(key.kind, &key.name, &why));
        }
        let warnings = &mut warnings;
        *current = admission::admit_update(key.kind, subresource, current, object.clone(), warnings)?;
        Ok(())
    };
    let stored = write(api, key, dry_run, change)?;
    Ok(with_warnings(answer(api, StatusCode::OK, key.kind, &stored, form), &warnings))
}

pub(super) fn patch(
    api: &Api,
    key: &Key,
    subresource: Subresource,
    parts: &Parts,
    parameters: &Parameters,
    body: &[u8],
    form: Form,
) -> Result<Response, ApiError> {
    let patch = Patch::decode(body::content_type(&parts.headers), body)?;
    let dry_run = parameters.dry_run("PatchOptions")?;
    let validation = parameters.field_validation("PatchOptions")?;
    let mut warnings = Warnings::default();
    let change = |current: &mut Value| {
        let patched = patch.apply(current)?;
        let patched = body::Document::from_value(patched, Type::of(key.kind))
            .map_err(|error| ApiError::internal(error.to_string()))?;
        let mut patched = admission::decode(key.kind, patched, validation, &mut warnings)
            .map_err(|error| patch::refuse_result(&error))?;
        admission::check_place(key.kind, &key.namespace, &mut patched)?;
        admission::check_name(&key.name, &patched)?;
        *current = admission::admit_update(key.kind, subresource, current, patched, &mut warnings)?;
        Ok(())
    };
    let stored = write(api, key, dry_run, change)?;
    Ok(with_warnings(answer(api, StatusCode::OK, key.kind, &stored, form), &warnings))
}

pub(super) fn delete(
    api: &Api,
    key: &Key,
    parts: &Parts,
    parameters: &Parameters,
    body: &[u8],
    form: Form,
) -> Result<Response, ApiError> {
    Api::check_number(key.kind)?;
    let options = delete_options(&parts.headers, parameters, body)?;
    if key.kind == Kind::Namespace && key.name == "default" {
        let message = format!("namespaces {:?} is forbidden: this namespace may not be deleted", key.name);
        return Err(ApiError::new(403, "Forbidden", message).with_details(details(
            &key.name,
            "",
            "namespaces",
        )));
    }
    let mut warnings = Warnings::default();
    if key.kind == Kind::Job && options.propagation.is_none() {
        warnings.push(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
             them or set propagationPolicy=Orphan to suppress this warning",
        );
    }
    let response = match api.store.delete(key, &options)? {
        Deleted::Marked(object) => answer(api, StatusCode::OK, key.kind, &object, form),
        Deleted::Removed(object) if matches!(key.kind, Kind::Pod | Kind::ServiceAccount) => {
            answer(api, StatusCode::OK, key.kind, &object, form)
        }
        Deleted::Removed(object) => {
            let mut about = details(&key.name, key.kind.group(), key.kind.resource());
            about["uid"] = meta(&object, "uid").into();
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about,
            });
            json_value(StatusCode::OK, &status)
        }
    };
    Ok(with_warnings(response, &warnings))
}

fn write(
    api: &Api,
    key: &Key,
    dry_run: bool,
    change: impl FnOnce(&mut Value) -> Result<(), ApiError>,
) -> Result<Arc<Value>, ApiError> {
    if !dry_run {
        return api.store.update(key, change);
    }
    let current = api.store.get(key).ok_or_else(|| ApiError::not_found(key.kind, &key.name))?;
    let mut object = (*current).clone();
    change(&mut object)?;
    Ok(Arc::new(object))
}

fn check_namespace(api: &Api, kind: Kind, namespace: &str, object: &Value) -> Result<(), ApiError> {
    if !kind.is_namespaced() {
        return Ok(());
    }
    let Some(stored) = api.store.get(&Key::new(Kind::Namespace, "", namespace)) else {
        return Err(ApiError::not_found(Kind::Namespace, namespace));
    };
    if meta(&stored, "deletionTimestamp").is_empty() {
        return Ok(());
    }
    let name = meta(object, "name");
    let cause = format!("namespace {namespace} is being terminated");
    let mut about = details(name, kind.group(), kind.resource());
    about["causes"] =
        json!([{"reason": "NamespaceTerminating", "message": cause, "field": "metadata.namespace"}]);
    let message = format!(
        "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being \
         terminated",
        kind.qualified_resource()
    );
    Err(ApiError::new(403, "Forbidden", message).with_details(about))
}

/// A Pod needs its service account from the beginning.
fn check_service_account(api: &Api, kind: Kind, namespace: &str, object: &Value) -> Result<(), ApiError> {
    let account = object["spec"]["serviceAccountName"].as_str().unwrap_or_default();
    if kind != Kind::Pod || api.store.get(&Key::new(Kind::ServiceAccount, namespace, account)).is_some() {
        return Ok(());
    }
    let name = meta(object, "name");
    let message = format!(
        "pods {name:?} is forbidden: error looking up service account {namespace}/{account}: serviceaccount \
         {account:?} not found"
    );
    Err(ApiError::new(403, "Forbidden", message).with_details(details(name, kind.group(), kind.resource())))
}

fn answer(api: &Api, code: StatusCode, kind: Kind, object: &Arc<Value>, form: Form) -> Response {
    match form {
        Form::Object => json_bytes(code, object.to_string()),
        Form::Metadata => json_value(code, &partial_metadata(object)),
        Form::Table => {
            let metadata = json!({"resourceVersion": meta(object, "resourceVersion")});
            json_value(
                code,
                &table::table(kind, std::slice::from_ref(object), &metadata, api.store.clock().timestamp()),
            )
        }
    }
}
