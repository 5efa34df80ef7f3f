//! Questions about the caller's own rights, answered from the same rules by which requests are judged.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{answer::json_value, body::decode_object, route::Review};
use crate::{
    access::{Attributes, Permission, Subject},
    error::{ApiError, Cause},
    schema::Type,
};

pub(super) fn answer(
    review: Review,
    subject: &Subject,
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
        Review::Access => access(subject, kind, &asked["spec"])?,
        Review::Rules => rules(subject, kind, &asked["spec"])?,
        Review::Subject => json!({
            "kind": kind,
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": now},
            "status": {"userInfo": user_info(subject)},
        }),
    };
    Ok(json_value(StatusCode::CREATED, &answer))
}

fn access(subject: &Subject, kind: &str, spec: &Value) -> Result<Value, ApiError> {
    let Some(attributes) = Attributes::from_review(spec) else {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let cause = Cause::invalid("spec.resourceAttributes", &spec["resourceAttributes"], detail);
        return Err(ApiError::invalid("authorization.k8s.io", "", "", vec![cause]));
    };
    let status = match subject.permission(&attributes) {
        Permission::Denied => json!({"allowed": false}),
        Permission::Allowed { reason: None } => json!({"allowed": true}),
        Permission::Allowed { reason: Some(reason) } => json!({"allowed": true, "reason": reason}),
    };
    Ok(json!({
        "kind": kind,
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": status,
    }))
}

fn rules(subject: &Subject, kind: &str, spec: &Value) -> Result<Value, ApiError> {
    let namespace = spec["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    if subject.is_administrator() {
        resources.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        paths.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    } else {
        for rule in subject.identity.rules_in(namespace) {
            // One list for resources, one for paths, as a rule is about either.
            let list = if rule.resources.is_empty() { &mut paths } else { &mut resources };
            list.push(json!(rule));
        }
    }
    Ok(json!({
        "kind": kind,
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": {},
        "status": {"resourceRules": resources, "nonResourceRules": paths, "incomplete": false},
    }))
}

fn user_info(subject: &Subject) -> Value {
    let mut info = json!({"username": subject.identity.user, "groups": subject.identity.groups});
    if let Some(uid) = &subject.uid {
        info["uid"] = uid.clone().into();
        info["extra"] = json!({"authentication.kubernetes.io/credential-id": [subject.credential]});
    }
    info
}
