//! An exchange: a request, and whether the answer is as recorded.

use std::time::Instant;

use http::header;
use serde_json::{Value, json};

use super::{Run, SLACK};
use crate::{
    client::Answer,
    replay::{
        compare::{differences, mask, normal},
        names::Names,
        recording::{Exchange, expand, text_of},
    },
};

impl Run {
    pub(super) async fn exchange(&mut self, index: usize, exchange: &Exchange) {
        let is_read = exchange.method == "GET";
        let begin = Instant::now();
        let limit = self.pace.now().max(exchange.at_ms) + SLACK;
        loop {
            let sent = self.send(exchange);
            let answer = sent.await;
            let found = self.compare(exchange, &answer);
            if found.is_empty() || !is_read || self.pace.now() >= limit || begin.elapsed().as_secs() > 20 {
                self.pair(exchange, &answer);
                self.report(index, exchange, found);
                self.pace.settle(&self.observer).await;
                return;
            }
            self.pace.step(limit, &self.observer).await;
        }
    }

    pub(super) fn pair(&mut self, exchange: &Exchange, answer: &Answer) {
        if let Ok(ours) = serde_json::from_str::<Value>(&answer.text) {
            self.names.pair(&exchange.response_body, &ours);
        }
    }

    /// Where an answer is not as recorded.
    pub(super) fn compare(&self, exchange: &Exchange, answer: &Answer) -> Vec<String> {
        let is_read = exchange.method == "GET";
        let header = |name: header::HeaderName| {
            let values = answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
            let joined = values.collect::<Vec<_>>().join(", ");
            if joined.is_empty() { Value::Null } else { json!(self.names.to_recorded(&joined)) }
        };
        let recorded_header =
            |name: &str| exchange.response_headers.get(name).map_or(Value::Null, |value| json!(value));
        let has_two_streams = self.scripts_write_to_both;
        let body = |text: &str, names: Option<&Names>| {
            let text = names.map_or_else(|| text.to_owned(), |names| names.to_recorded(text));
            match serde_json::from_str::<Value>(&text) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => {
                    normal(&without_generated(value), is_read)
                }
                // The order between two streams is not kept.
                _ if exchange.path.contains("/log") && has_two_streams => {
                    let mut lines: Vec<String> = text.split_inclusive('\n').map(mask).collect();
                    lines.sort_unstable();
                    json!(lines)
                }
                _ => json!(mask(&text)),
            }
        };
        let recorded_text = match &exchange.response_body {
            Value::String(text) => expand(&json!(text)).as_str().unwrap().to_owned(),
            Value::Null => String::new(),
            other if other.get("base64").is_some() => String::from_utf8_lossy(&text_of(other)).into_owned(),
            other => expand(other).to_string(),
        };
        let recorded = json!({
            "status": exchange.status,
            "warning": recorded_header("Warning"),
            "type": recorded_header("Content-Type"),
            "retry": recorded_header("Retry-After"),
            "body": body(&recorded_text, None),
        });
        let found = json!({
            "status": answer.status.as_u16(),
            "warning": header(header::WARNING),
            "type": header(header::CONTENT_TYPE),
            "retry": header(header::RETRY_AFTER),
            "body": body(&self.plain(&answer.text), Some(&self.names)),
        });
        differences("", &recorded, &found)
    }

    /// A text of the cluster with the scripts as they are written.
    pub(super) fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (paced, script) in &self.scripts {
            let (paced, script) = (json!(paced).to_string(), json!(script).to_string());
            text = text.replace(&paced, &script);
        }
        text
    }
    pub(super) fn report(&mut self, index: usize, exchange: &Exchange, found: Vec<String>) {
        for difference in found {
            let (method, path) = (&exchange.method, &exchange.path);
            let note = exchange.note.as_deref().unwrap_or_default();
            self.differences.push(format!("exchange {index} {method} {path} ({note}): {difference}"));
        }
    }
}

/// An object without the name that was made up for it.
fn without_generated(object: Value) -> Value {
    let metadata = &object["metadata"];
    let (Some(_), Some(name)) = (metadata["generateName"].as_str(), metadata["name"].as_str()) else {
        return object;
    };
    serde_json::from_str(&object.to_string().replace(name, "(generated)")).unwrap()
}
