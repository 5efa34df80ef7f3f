//! Answers: the forms that a client may ask for, and the headers that go with them.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::error::ApiError;

/// The form in which the client wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    /// What `kubectl get` prints.
    Table,
    /// Kind, version and metadata only.
    Metadata,
}

impl Form {
    /// The first form of the Accept header that is served: JSON in one of the three forms.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut ranges = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .peekable();
        if ranges.peek().is_none() {
            return Ok(Self::Object);
        }
        ranges.find_map(Self::from_range).ok_or_else(|| {
            ApiError::new(
                406,
                "NotAcceptable",
                "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                 application/vnd.kubernetes.protobuf",
            )
            .with_details(json!({}))
        })
    }

    fn from_range(range: &str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        if !matches!(parts.next(), Some("application/json" | "application/*" | "*/*" | "")) {
            return None;
        }
        let mut form = Self::Object;
        for part in parts {
            match part.split_once('=') {
                Some(("as", "Table")) => form = Self::Table,
                Some(("as", "PartialObjectMetadata" | "PartialObjectMetadataList")) => form = Self::Metadata,
                Some(("as", _)) => return None,
                Some(("g", "meta.k8s.io") | ("v", "v1")) => {}
                Some(("g", _)) => return None,
                Some(("v", _)) if form != Self::Object => return None,
                _ => {}
            }
        }
        Some(form)
    }
}

/// Warnings for the client, which kubectl prints.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Vec<String>);

impl Warnings {
    pub(crate) fn push(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    fn add_to(&self, headers: &mut HeaderMap) {
        for text in &self.0 {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            // A text that no header can hold is left out: a warning is a favour.
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                headers.append(header::WARNING, value);
            }
        }
    }
}

pub(crate) fn json_bytes(code: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // As a real server says: what is answered here is never to be kept.
    let no_cache = HeaderValue::from_static("no-cache, private");
    response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
    response
}

pub(crate) fn json_value(code: StatusCode, value: &Value) -> Response {
    json_bytes(code, Bytes::from(value.to_string()))
}

pub(crate) fn with_warnings(mut response: Response, warnings: &Warnings) -> Response {
    warnings.add_to(response.headers_mut());
    response
}

pub(crate) fn text(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn refusal(error: &ApiError) -> Response {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_value(code, &error.status());
    let retry = error.details.as_ref().and_then(|details| details["retryAfterSeconds"].as_u64());
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The metadata form of an object.
pub(crate) fn partial_metadata(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(accept: &str) -> Result<Form, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        Form::negotiate(&headers)
    }

    #[test]
    fn the_first_form_that_is_served_is_chosen() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
                       g=meta.k8s.io,application/json";
        let cases = [
            ("application/json", Form::Object),
            ("*/*", Form::Object),
            (kubectl, Form::Table),
            ("application/vnd.kubernetes.protobuf, application/json", Form::Object),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form::Metadata),
            ("application/json;as=Unknown;g=x;v=v1, application/json", Form::Object),
        ];
        for (accept, form) in cases {
            assert_eq!(negotiate(accept).unwrap(), form, "{accept}");
        }
        assert_eq!(Form::negotiate(&HeaderMap::new()).unwrap(), Form::Object);
    }

    #[test]
    fn what_is_not_served_is_not_acceptable() {
        for accept in ["text/html", "application/vnd.kubernetes.protobuf"] {
            assert_eq!(negotiate(accept).unwrap_err().code, 406, "{accept}");
        }
    }

    #[test]
    fn warnings_are_quoted() {
        let mut warnings = Warnings::default();
        warnings.push("unknown field \"spec.a\"");
        let response = with_warnings(json_value(StatusCode::OK, &json!({})), &warnings);
        assert_eq!(response.headers()[header::WARNING], "299 - \"unknown field \\\"spec.a\\\"\"");
    }
}
