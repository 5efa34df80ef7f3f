//! Patches: merge (RFC 7386), JSON patch (RFC 6902) and Kubernetes' strategic merge.

mod strategic;

use serde_json::{Value, json};

use super::body::go_type;
use crate::error::{ApiError, Cause};

/// A decoded patch.
#[derive(Debug, Clone)]
pub(super) enum Patch {
    Merge(Value),
    Json(json_patch::Patch),
    Strategic(Value),
}

impl Patch {
    pub(super) fn decode(content_type: &str, body: &[u8]) -> Result<Self, ApiError> {
        match content_type {
            "application/merge-patch+json" => Ok(Self::Merge(decode_object(body)?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(decode_object(body)?)),
            "application/json-patch+json" => {
                let operations = decode(body)?;
                if !operations.is_array() {
                    let message = format!(
                        "error decoding patch: json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
                        go_type(&operations)
                    );
                    return Err(ApiError::bad_request(message));
                }
                serde_json::from_value(operations).map(Self::Json).map_err(|_| rejected())
            }
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
                Err(ApiError::not_implemented("server-side apply"))
            }
            _ => Err(ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")
                .with_details(json!({}))),
        }
    }

    /// The patched object.
    pub(super) fn apply(&self, object: &Value) -> Result<Value, ApiError> {
        let mut patched = object.clone();
        match self {
            Self::Merge(patch) => json_patch::merge(&mut patched, patch),
            Self::Json(patch) => json_patch::patch(&mut patched, patch).map_err(|_| rejected())?,
            Self::Strategic(patch) => strategic::merge(&mut patched, patch)?,
        }
        Ok(patched)
    }
}

/// An object that became undecodable by a patch is told of as the patch's mistake.
pub(super) fn refuse_result(error: &ApiError) -> ApiError {
    match error.message.split_once("strict decoding error: ") {
        Some((_, what)) => {
            let message = format!("Invalid value: strict decoding error: {what}");
            let cause = Cause { reason: "FieldValueInvalid", message, field: "patch".to_owned() };
            ApiError::invalid("", "", "", vec![cause])
        }
        None => error.clone(),
    }
}

fn rejected() -> ApiError {
    let message = "the server rejected our request due to an error in our request";
    ApiError::new(422, "Invalid", message).with_details(json!({}))
}

fn decode(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))
}

fn decode_object(body: &[u8]) -> Result<Value, ApiError> {
    let patch = decode(body)?;
    if patch.is_object() {
        return Ok(patch);
    }
    let message = format!(
        "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
        go_type(&patch)
    );
    Err(ApiError::bad_request(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(content_type: &str, patch: &str) -> Result<Value, ApiError> {
        let object = json!({"metadata": {"labels": {"a": "1", "b": "2"}}});
        Patch::decode(content_type, patch.as_bytes())?.apply(&object)
    }

    #[test]
    fn a_merge_patch_removes_by_null() {
        let patched =
            apply("application/merge-patch+json", r#"{"metadata": {"labels": {"a": null, "c": "3"}}}"#);
        assert_eq!(patched.unwrap(), json!({"metadata": {"labels": {"b": "2", "c": "3"}}}));
    }

    #[test]
    fn a_json_patch_that_fails_is_rejected() {
        let kind = "application/json-patch+json";
        let added =
            apply(kind, r#"[{"op": "add", "path": "/metadata/labels/x.y~1z", "value": "7"}]"#).unwrap();
        assert_eq!(added["metadata"]["labels"]["x.y/z"], "7");
        for (patch, code) in [
            (r#"[{"op": "test", "path": "/metadata/labels/a", "value": "2"}]"#, 422),
            (r#"[{"op": "remove", "path": "/metadata/labels/absent"}]"#, 422),
            (r#"[{"op": "nonsense", "path": "/a"}]"#, 422),
            (r#"{"not": "a list"}"#, 400),
            ("{", 400),
        ] {
            assert_eq!(apply(kind, patch).unwrap_err().code, code, "{patch}");
        }
    }

    #[test]
    fn other_kinds_of_patch_are_refused() {
        assert_eq!(apply("application/json", "{}").unwrap_err().code, 415);
        assert_eq!(apply("application/apply-patch+yaml", "{}").unwrap_err().code, 501);
    }
}
