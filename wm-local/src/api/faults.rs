//! `/faults/v1`: faults over HTTP, for other processes. It is no part of Kubernetes' API.

use axum::{body::Body, response::Response};
use http::{Method, StatusCode, request::Parts};
use serde::Deserialize;
use serde_json::json;

use super::{answer::json_value, body};
use crate::{
    access::{Attributes, Subject},
    error::ApiError,
    faults::{Fault, Faults},
};

const PATH: &str = "/faults/v1";

/// What is posted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    fault: Fault,
}

/// Whether a request is for this path, which no fault touches.
pub(super) fn is_meant(parts: &Parts) -> bool {
    parts.uri.path().strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request for the path: GET reads, POST injects, DELETE lifts one or all.
pub(super) async fn answer(
    faults: &Faults,
    subject: &Subject,
    parts: &Parts,
    body: Body,
) -> Result<Response, ApiError> {
    if !subject.is_administrator() {
        return Err(Attributes::of(&parts.method, &parts.uri).refusal(&subject.identity.user));
    }
    let rest = parts.uri.path().strip_prefix(PATH).unwrap_or_default().trim_matches('/');
    match (&parts.method, rest) {
        (&Method::GET, "") => {
            let value = json!({"faults": faults.active(), "journal": faults.journal()});
            Ok(json_value(StatusCode::OK, &value))
        }
        (&Method::POST, "") => {
            let posted: Posted = serde_json::from_slice(&body::read(body).await?).map_err(|error| {
                ApiError::bad_request(format!(
                    "post a fault such as {{\"fault\": \"error=503,rate=0.1\"}}: {error}"
                ))
            })?;
            Ok(json_value(StatusCode::CREATED, &json!({"id": faults.inject(posted.fault)})))
        }
        (&Method::DELETE, "") => {
            faults.lift_all();
            Ok(json_value(StatusCode::OK, &json!({})))
        }
        (&Method::DELETE, id) => match id.parse() {
            Ok(number) if faults.lift(number) => Ok(json_value(StatusCode::OK, &json!({}))),
            _ => Err(ApiError::new(404, "NotFound", format!("there is no active fault {id}"))),
        },
        _ => Err(ApiError::new(405, "MethodNotAllowed", "use GET, POST or DELETE on /faults/v1")),
    }
}
