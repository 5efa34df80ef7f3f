//! Deleting, one object or a whole collection: the options, and what is answered.

use axum::response::Response;
use http::{HeaderMap, request::Parts};
use serde_json::{Value, json};

use super::{
    Api,
    answer::Form,
    body::{decode_object, go_type},
    list, method_not_allowed,
    parameters::{Parameters, check_dry_run, invalid_options},
    selector::Selection,
};
use crate::{
    error::{ApiError, Cause},
    kind::Kind,
    schema::Type,
    store::{DeleteOptions, Propagation},
};

/// Deletes what is selected and answers with it, as it was before.
pub(super) fn delete(
    api: &Api,
    selection: &Selection,
    parts: &Parts,
    parameters: &Parameters,
    body: &[u8],
    form: Form,
) -> Result<Response, ApiError> {
    let kind = selection.kind;
    Api::check_number(kind)?;
    if kind == Kind::Namespace {
        return Err(method_not_allowed());
    }
    let options = delete_options(&parts.headers, parameters, body)?;
    let (objects, _) = api.store.documents(kind, selection.namespace.as_deref());
    let selected: Vec<_> =
        objects.into_iter().filter(|(_, document)| selection.matches(&document.value())).collect();
    for (key, _) in &selected {
        match api.store.delete(key, &options) {
            Ok(_) => {}
            // Somebody else was faster.
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let metadata = json!({"resourceVersion": api.store.version().to_string()});
    let before: Vec<_> = selected.into_iter().map(|(_, document)| document).collect();
    list::encode(selection, &before, &metadata, form, api.store.clock().timestamp())
}

/// The options of a deletion: from the body if there is one, else from the query.
pub(super) fn delete_options(
    headers: &HeaderMap,
    parameters: &Parameters,
    body: &[u8],
) -> Result<DeleteOptions, ApiError> {
    if body.is_empty() {
        let policy = parameters.get("propagationPolicy");
        let orphan = parameters.get("orphanDependents").map(|_| parameters.flag("orphanDependents"));
        return Ok(DeleteOptions {
            propagation: propagation(policy, orphan)?,
            grace_period_seconds: grace(parameters.integer("gracePeriodSeconds")?)?,
            dry_run: parameters.dry_run("DeleteOptions")?,
            ..DeleteOptions::default()
        });
    }
    let value = decode_object(headers, body, "DeleteOptions", Type::Any)?.value;
    let text = |member: &'static str, value: &Value| match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(undecodable(other, member, "string")),
    };
    let orphan = match &value["orphanDependents"] {
        Value::Null => None,
        Value::Bool(orphan) => Some(*orphan),
        other => return Err(undecodable(other, "orphanDependents", "bool")),
    };
    let seconds = match &value["gracePeriodSeconds"] {
        Value::Null => None,
        other => Some(other.as_i64().ok_or_else(|| undecodable(other, "gracePeriodSeconds", "int64"))?),
    };
    let dry_run = value["dryRun"].as_array().into_iter().flatten();
    let dry_run: Vec<&str> = dry_run.map(|one| one.as_str().unwrap_or_default()).collect();
    let policy = text("propagationPolicy", &value["propagationPolicy"])?;
    Ok(DeleteOptions {
        propagation: propagation(policy.as_deref(), orphan)?,
        grace_period_seconds: grace(seconds)?,
        uid: text("preconditions.uid", &value["preconditions"]["uid"])?,
        resource_version: text("preconditions.resourceVersion", &value["preconditions"]["resourceVersion"])?,
        dry_run: check_dry_run(&dry_run, "DeleteOptions")? || parameters.dry_run("DeleteOptions")?,
    })
}

fn propagation(policy: Option<&str>, orphan: Option<bool>) -> Result<Option<Propagation>, ApiError> {
    let refuse = |cause| Err(invalid_options("DeleteOptions", cause));
    match (policy, orphan) {
        (Some(policy), Some(_)) => {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            refuse(Cause::invalid("propagationPolicy", &json!(policy), detail))
        }
        (None, None) => Ok(None),
        (None, Some(true)) => Ok(Some(Propagation::Orphan)),
        (None, Some(false)) => Ok(Some(Propagation::Background)),
        (Some("Foreground"), None) => Ok(Some(Propagation::Foreground)),
        (Some("Background"), None) => Ok(Some(Propagation::Background)),
        (Some("Orphan"), None) => Ok(Some(Propagation::Orphan)),
        (Some(other), None) => {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            refuse(Cause::unsupported("propagationPolicy", &json!(other), &supported))
        }
    }
}

fn grace(seconds: Option<i64>) -> Result<Option<u64>, ApiError> {
    let Some(seconds) = seconds else { return Ok(None) };
    let detail = "must be greater than or equal to 0";
    u64::try_from(seconds).map(Some).map_err(|_| {
        invalid_options("DeleteOptions", Cause::invalid("gracePeriodSeconds", &json!(seconds), detail))
    })
}

fn undecodable(value: &Value, member: &str, wanted: &str) -> ApiError {
    ApiError::bad_request(format!(
        "DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: json: cannot unmarshal {} into Go \
         struct field DeleteOptions.{member} of type {wanted}",
        go_type(value)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(query: &str, body: &str) -> Result<DeleteOptions, ApiError> {
        let parameters = Parameters::from_uri(&format!("/x?{query}").parse().unwrap()).unwrap();
        delete_options(&HeaderMap::new(), &parameters, body.as_bytes())
    }

    #[test]
    fn options_come_from_the_query_or_the_body() {
        let query = decode("propagationPolicy=Background&gracePeriodSeconds=0", "").unwrap();
        assert_eq!(query.propagation, Some(Propagation::Background));
        assert_eq!(query.grace_period_seconds, Some(0));
        let body = r#"{"propagationPolicy": "Orphan", "preconditions": {"uid": "u"}, "dryRun": ["All"]}"#;
        let body = decode("", body).unwrap();
        assert_eq!(body.propagation, Some(Propagation::Orphan));
        assert_eq!(body.uid.as_deref(), Some("u"));
        assert!(body.dry_run);
        assert_eq!(decode("", "").unwrap().propagation, None);
    }

    #[test]
    fn nonsense_is_refused() {
        for (body, code) in [
            (r#"{"propagationPolicy": "Sideways"}"#, 422),
            (r#"{"propagationPolicy": "Background", "orphanDependents": true}"#, 422),
            (r#"{"gracePeriodSeconds": -1}"#, 422),
            (r#"{"gracePeriodSeconds": "1"}"#, 400),
            ("[]", 400),
        ] {
            assert_eq!(decode("", body).unwrap_err().code, code, "{body}");
        }
    }
}
