//! Questions about the caller's own rights. Whoever has the token may do everything.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{answer::json_value, body::decode_object, route::Review};
use crate::{
    error::{ApiError, Cause},
    schema::Type,
};

pub(super) fn answer(
    review: Review,
    headers: &HeaderMap,
    body: &[u8],
    now: &str,
) -> Result<Response, ApiError> {
    let kind = match review {
        Review::Access => "SelfSubjectAccessReview",
        Review::Rules => "SelfSubjectRulesReview",
        Review::Subject => "SelfSubjectReview",
    };
    let asked = decode_object(headers, body, kind, Type::Any)?.value;
    let answer = match review {
        Review::Access => {
            check_attributes(&asked["spec"])?;
            json!({
                "kind": kind,
                "apiVersion": "authorization.k8s.io/v1",
                "metadata": {},
                "spec": asked["spec"],
                "status": {"allowed": true},
            })
        }
        Review::Rules => json!({
            "kind": kind,
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": {},
            "status": {
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": false,
            },
        }),
        Review::Subject => json!({
            "kind": kind,
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": now},
            "status": {"userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]}},
        }),
    };
    Ok(json_value(StatusCode::CREATED, &answer))
}

fn check_attributes(spec: &Value) -> Result<(), ApiError> {
    if spec["resourceAttributes"].is_object() != spec["nonResourceAttributes"].is_object() {
        return Ok(());
    }
    let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    let cause = Cause::invalid("spec.resourceAttributes", &spec["resourceAttributes"], detail);
    Err(ApiError::invalid("authorization.k8s.io", "", "", vec![cause]))
}
