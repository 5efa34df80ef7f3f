//! The same requests as were sent to a real cluster (v1.36.2) are answered in the same way.

use bytes::Bytes;
use http::{Method, header};
use http_body_util::Full;
use serde_json::{Value, json};
use wm_local::ClusterOptions;

use crate::client::{Answer, Served};

const RECORDED: &str = include_str!("../data/answers.json");

#[tokio::test]
async fn recorded_requests_are_answered_as_recorded() {
    let scenarios: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    let mut options = ClusterOptions::default();
    options
        .namespaces
        .extend(scenarios.iter().map(|scenario| scenario["scenario"].as_str().unwrap().to_owned()));
    let served = Served::start_with(options).await;
    let mut differences = Vec::new();
    let mut compared = 0;
    for scenario in &scenarios {
        for exchange in scenario["exchanges"].as_array().unwrap() {
            compared += 1;
            let answer = send(&served, exchange).await;
            if let Some(difference) = difference(exchange, &answer) {
                differences.push(format!("{}: {}\n{difference}", scenario["scenario"], exchange["note"]));
            }
        }
    }
    assert_eq!(compared, 131);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n\n"));
    served.cluster.shutdown().await;
}

async fn send(served: &Served, exchange: &Value) -> Answer {
    let text = |member: &str| exchange[member].as_str();
    let method: Method = text("method").unwrap().parse().unwrap();
    let mut request = served
        .request(method, text("path").unwrap())
        .header(header::ACCEPT, text("accept").unwrap_or("application/json"));
    if let Some(content_type) = text("contentType") {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    let body = match &exchange["request"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        object => expand(object).to_string(),
    };
    served.send(request.body(Full::new(Bytes::from(body))).unwrap()).await
}

/// How an answer differs from the recorded one.
fn difference(exchange: &Value, answer: &Answer) -> Option<String> {
    let header = |name: header::HeaderName| {
        let values = answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
        let joined = values.collect::<Vec<_>>().join(", ");
        if joined.is_empty() { Value::Null } else { json!(joined) }
    };
    let found = json!({
        "status": answer.status.as_u16(),
        "warning": header(header::WARNING),
        "type": header(header::CONTENT_TYPE),
        "body": normal(&answer.text),
    });
    let recorded = match &exchange["response"] {
        Value::String(text) => text.clone(),
        object => expand(object).to_string(),
    };
    let expected = json!({
        "status": exchange["status"],
        "warning": exchange["warning"],
        "type": exchange["responseType"],
        "body": normal(&recorded),
    });
    if found == expected {
        return None;
    }
    // What is no longer told apart by the eye: the parts that differ.
    let parts = found.as_object().unwrap().iter().filter(|(part, value)| expected[part.as_str()] != **value);
    let parts =
        parts.map(|(part, value)| format!("{part}\n  expected {}\n  found    {value}", expected[part]));
    Some(parts.collect::<Vec<_>>().join("\n"))
}

/// A body without what is different each time, and without what was done to the object meanwhile.
fn normal(text: &str) -> Value {
    let Ok(mut body) = serde_json::from_str::<Value>(text) else { return json!(text) };
    let generated = body["metadata"]["generateName"].is_string();
    if generated {
        let name = body["metadata"]["name"].as_str().unwrap().to_owned();
        body = serde_json::from_str(&body.to_string().replace(&name, "(generated)")).unwrap();
    }
    if let Some(metadata) = body["metadata"].as_object_mut() {
        for member in ["resourceVersion", "creationTimestamp", "generation", "managedFields"] {
            metadata.remove(member);
        }
    }
    if body["kind"] == "Job" {
        body.as_object_mut().unwrap().remove("status");
    }
    without_uids(&mut body);
    body
}

fn without_uids(value: &mut Value) {
    match value {
        Value::String(text) => *text = mask_uids(text),
        Value::Array(items) => items.iter_mut().for_each(without_uids),
        Value::Object(members) => members.values_mut().for_each(without_uids),
        _ => {}
    }
}

fn mask_uids(text: &str) -> String {
    let is_uid = |candidate: &str| {
        let parts: Vec<usize> = candidate.split('-').map(str::len).collect();
        parts == [8, 4, 4, 4, 12] && candidate.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    };
    let mut masked = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rest.get(..36) {
            Some(candidate) if is_uid(candidate) => {
                masked.push_str("(uid)");
                rest = &rest[36..];
            }
            _ => {
                masked.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    masked
}

/// Writes out `{{1000 times x}}`, in which long texts are recorded.
fn expand(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let short = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
            match short.and_then(|short| short.split_once(" times ")) {
                Some((count, unit)) => json!(unit.repeat(count.parse().unwrap())),
                None => value.clone(),
            }
        }
        Value::Array(items) => items.iter().map(expand).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), expand(value))).collect(),
        _ => value.clone(),
    }
}
