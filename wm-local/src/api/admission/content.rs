//! Secrets, `ConfigMap`s and Events.

use serde_json::{Map, Value, json};

use super::syntax;
use crate::{api::base64, error::Cause, store::meta};

/// A Secret or `ConfigMap` has at most 1 MiB.
const MAX_SIZE: usize = 1024 * 1024;

/// Moves `stringData` into `data` and checks it.
pub(super) fn secret(object: &mut Value) -> Vec<Cause> {
    let text = object.as_object_mut().and_then(|members| members.remove("stringData"));
    if let Some(Value::Object(text)) = text {
        if !object["data"].is_object() {
            object["data"] = Value::Object(Map::new());
        }
        for (key, value) in text {
            object["data"][key] = base64::encode(value.as_str().unwrap_or_default().as_bytes()).into();
        }
    }
    if object["type"].as_str().is_none_or(str::is_empty) {
        object["type"] = "Opaque".into();
    }
    let mut causes = Vec::new();
    let data = object["data"].as_object();
    let mut size = 0;
    for (key, value) in data.into_iter().flatten() {
        check_key(key, "data", &mut causes);
        size += base64::decoded_len(value.as_str().unwrap_or_default());
    }
    if size > MAX_SIZE {
        causes.push(Cause::too_long("data", MAX_SIZE));
    }
    if object["type"] == "kubernetes.io/dockerconfigjson" {
        check_docker_config(&object["data"][".dockerconfigjson"], &mut causes);
    }
    causes
}

pub(super) fn config_map(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            check_key(key, field, &mut causes);
            let text = value.as_str().unwrap_or_default();
            size += key.len() + if field == "data" { text.len() } else { base64::decoded_len(text) };
        }
    }
    if size > MAX_SIZE {
        causes.push(Cause::too_long("[]", MAX_SIZE));
    }
    causes
}

pub(super) fn event(object: &Value) -> Vec<Cause> {
    let about = &object["involvedObject"]["namespace"];
    if about.as_str().unwrap_or_default() == meta(object, "namespace") {
        return Vec::new();
    }
    vec![Cause::invalid("involvedObject.namespace", about, "does not match event.namespace")]
}

fn check_key(key: &str, field: &str, causes: &mut Vec<Cause>) {
    for problem in syntax::config_key(key) {
        causes.push(Cause::invalid(format!("{field}[{key}]"), &json!(key), &problem));
    }
}

fn check_docker_config(data: &Value, causes: &mut Vec<Cause>) {
    let field = "data[.dockerconfigjson]";
    let Some(text) = data.as_str() else {
        causes.push(Cause::required(field, ""));
        return;
    };
    let decoded = base64::decode(text).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<Value>(&decoded) {
        let why = if error.is_eof() { "unexpected end of JSON input" } else { "invalid JSON" };
        // Never the value: it is a secret.
        causes.push(Cause::invalid(field, &json!("<secret contents redacted>"), why));
    }
}
