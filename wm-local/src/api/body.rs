//! Bodies of requests: how they are read, and decoded from JSON, YAML or protobuf.

mod json;
mod protobuf;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

pub(crate) use self::json::Document;
use crate::{error::ApiError, schema::Type};

/// What a real API server accepts.
const LIMIT: usize = 3 * 1024 * 1024;

/// Reads a body to its end, up to the limit.
pub(crate) async fn read(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {LIMIT}");
            Err(ApiError::new(413, "RequestEntityTooLarge", message))
        }
        Err(error) => Err(ApiError::bad_request(format!("the body could not be read: {error}"))),
    }
}

/// The Content-Type without its parameters, empty if there is none.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Decodes an object. `kind` is the name that refusals mention.
pub(crate) fn decode_object(
    headers: &HeaderMap,
    body: &[u8],
    kind: &str,
    schema: Type,
) -> Result<Document, ApiError> {
    let document = match content_type(headers) {
        "" | "application/json" => Document::from_json(body, schema).map_err(|error| {
            let start = match std::str::from_utf8(body.get(..30).unwrap_or(body)) {
                Ok("") => "<empty>".to_owned(),
                Ok(start) if body.len() > 30 => format!("{start} ..."),
                Ok(start) => start.to_owned(),
                Err(_) => "<not UTF-8>".to_owned(),
            };
            let what =
                if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() };
            ApiError::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; \
                 json parse error: {what} ({start})"
            ))
        })?,
        "application/yaml" => Document::from_yaml(body, schema).map_err(|error| {
            ApiError::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): {error}"
            ))
        })?,
        "application/vnd.kubernetes.protobuf" => {
            let refuse = |error: String| {
                ApiError::bad_request(format!(
                    "the object provided is unrecognized (must be of type {kind}): {error}"
                ))
            };
            let value = protobuf::decode(body).map_err(refuse)?;
            Document::from_value(value, schema).map_err(|error| refuse(error.to_string()))?
        }
        _ => {
            return Err(ApiError::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json, application/yaml, application/vnd.kubernetes.protobuf",
            ));
        }
    };
    if document.value.is_object() {
        return Ok(document);
    }
    let found = go_type(&document.value);
    Err(ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: \
         json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string \
         \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
    )))
}

/// What Go's decoder calls a JSON value.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        decode_object(&HeaderMap::new(), body.as_bytes(), "Job", Type::Any).unwrap_err().message
    }

    #[test]
    fn a_body_that_is_no_object_is_refused_in_gos_words() {
        let expected = "the object provided is unrecognized (must be of type Job): couldn't get version/kind; \
                        json parse error: unexpected end of JSON input";
        assert_eq!(refusal(""), format!("{expected} (<empty>)"));
        assert_eq!(
            refusal("{\"apiVersion\": \"batch/v1\", \"kind\": \"Job\", "),
            format!("{expected} ({{\"apiVersion\": \"batch/v1\", \"ki ...)")
        );
        assert!(refusal("[1]").contains("cannot unmarshal array"));
    }

    #[test]
    fn yaml_is_decoded() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/yaml".parse().unwrap());
        let yaml = b"kind: Job\nspec: {suspend: true, backoffLimit: 3, note: \"1\"}\n";
        let document = decode_object(&headers, yaml, "Job", Type::Any).unwrap();
        let expected =
            serde_json::json!({"kind": "Job", "spec": {"suspend": true, "backoffLimit": 3, "note": "1"}});
        assert_eq!(document.value, expected);
    }

    #[test]
    fn other_content_types_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
        assert_eq!(decode_object(&headers, b"{}", "Job", Type::Any).unwrap_err().code, 415);
    }
}
