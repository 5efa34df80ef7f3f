//! Recordings of a real cluster (v1.36.2), one scenario a file.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
pub(super) struct Recording {
    pub(super) scenario: String,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) watches: Vec<RecordedWatch>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Exchange {
    pub(super) at_ms: u64,
    pub(super) took_ms: u64,
    /// In words; the administrator if there is none.
    pub(super) identity: Option<String>,
    pub(super) note: Option<String>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) request_headers: BTreeMap<String, String>,
    pub(super) request_body: Value,
    pub(super) status: u16,
    pub(super) response_headers: BTreeMap<String, String>,
    pub(super) response_body: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct RecordedWatch {
    pub(super) path: String,
    pub(super) at_ms: u64,
    pub(super) events: Vec<RecordedEvent>,
    pub(super) ended: String,
    pub(super) ended_at_ms: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RecordedEvent {
    pub(super) at_ms: u64,
    pub(super) event: Value,
}

impl Recording {
    pub(super) fn writes_to_both_streams(&self) -> bool {
        let mut bodies = self.exchanges.iter().map(|exchange| exchange.request_body.to_string());
        // That a child was killed, the shell says on the second one.
        bodies.any(|body| body.contains(">&2") || body.contains("tail /dev/zero;"))
    }
}

/// All recordings, by name.
pub(super) fn all() -> Vec<Recording> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/recordings");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut recordings: Vec<Recording> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        .collect();
    recordings.sort_by(|one, other| one.scenario.cmp(&other.scenario));
    recordings
}

/// A body as it was sent.
pub(super) fn text_of(body: &Value) -> Vec<u8> {
    match body {
        Value::Null => Vec::new(),
        Value::String(text) => expand(&json!(text)).as_str().unwrap().as_bytes().to_vec(),
        Value::Object(members) if members.len() == 1 && members.contains_key("base64") => {
            unbase64(members["base64"].as_str().unwrap())
        }
        other => expand(other).to_string().into_bytes(),
    }
}

/// Writes out `{{1000 times x}}`, in which long texts are recorded.
pub(super) fn expand(value: &Value) -> Value {
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

fn unbase64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<usize> =
        text.bytes().filter_map(|byte| ALPHABET.iter().position(|letter| *letter == byte)).collect();
    let group = |digits: &[usize]| {
        let bits = digits.iter().enumerate().fold(0, |bits, (place, digit)| bits | digit << (18 - 6 * place));
        let bytes = [bits >> 16, bits >> 8, bits].map(|byte| u8::try_from(byte & 255).unwrap());
        bytes[..digits.len() - 1].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
