//! What is different each time: generated names, uids, versions and tokens, from the recording's to the cluster's.

use std::collections::HashMap;

use serde_json::Value;

#[derive(Default)]
pub(super) struct Names {
    ours: HashMap<String, String>,
    recorded: HashMap<String, String>,
    changes: usize,
    /// Recorded generated names, in the order in which they appear, by their prefix.
    generated: HashMap<String, Vec<String>>,
}

impl Names {
    pub(super) fn learn(&mut self, recorded: &str, ours: &str) {
        if recorded != ours && !recorded.is_empty() && !ours.is_empty() {
            let before = self.ours.insert(recorded.to_owned(), ours.to_owned());
            self.changes += usize::from(before.as_deref() != Some(ours));
            self.recorded.insert(ours.to_owned(), recorded.to_owned());
        }
    }

    /// How often something was learnt.
    pub(super) fn count(&self) -> usize {
        self.changes
    }

    /// Notes the generated names of the recording, in the order of their making.
    pub(super) fn foresee(&mut self, value: &Value) {
        if let (Some(prefix), Some(name)) =
            (value["metadata"]["generateName"].as_str(), value["metadata"]["name"].as_str())
        {
            let known = self.generated.entry(prefix.to_owned()).or_default();
            if !known.iter().any(|one| one == name) {
                known.push(name.to_owned());
            }
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.foresee(item)),
            Value::Object(members) => members.values().for_each(|member| self.foresee(member)),
            _ => {}
        }
    }

    /// Notes the pod that a path names, which may be named nowhere else.
    pub(super) fn foresee_path(&mut self, path: &str) {
        let Some((_, rest)) = path.split_once("/pods/") else { return };
        let name = rest.split(['/', '?']).next().unwrap();
        let Some((prefix, end)) = name.rsplit_once('-') else { return };
        let known = self.generated.entry(format!("{prefix}-")).or_default();
        if end.len() == 5 && !known.iter().any(|one| one == name) {
            known.push(name.to_owned());
        }
    }

    /// Pairs the generated names and the uids of what was made in the cluster with the recorded ones.
    pub(super) fn observe(&mut self, ours: &[Value], recorded: &[&Value]) {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for event in ours.iter().filter(|event| event["type"] == "ADDED") {
            let metadata = &event["object"]["metadata"];
            if let Some(prefix) = metadata["generateName"].as_str() {
                let prefix = self.to_recorded(prefix);
                let count = counts.entry(prefix.clone()).or_default();
                let name = self.generated.get(&prefix).and_then(|names| names.get(*count)).cloned();
                *count += 1;
                if let Some(name) = name {
                    self.learn(&name, metadata["name"].as_str().unwrap());
                }
            }
        }
        let identity = |event: &Value, names: Option<&Self>| {
            let object = &event["object"];
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let name = names.map_or_else(|| name.to_owned(), |names| names.to_recorded(name));
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&object["kind"]), name, text(&object["metadata"]["uid"]))
        };
        let added = |event: &&Value| event["type"] == "ADDED" && event["object"]["kind"] != "Event";
        let own: Vec<_> = ours.iter().filter(added).map(|event| identity(event, Some(self))).collect();
        let mut used = vec![false; own.len()];
        for event in recorded.iter().copied().filter(added) {
            let (kind, name, uid) = identity(event, None);
            let found = own.iter().zip(&used).position(|(one, used)| !used && one.0 == kind && one.1 == name);
            if let Some(index) = found {
                used[index] = true;
                self.learn(&uid, &own[index].2);
            }
        }
    }

    /// Learns from a recorded answer and the cluster's own.
    pub(super) fn pair(&mut self, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Array(left), Value::Array(right)) => {
                left.iter().zip(right).for_each(|(left, right)| self.pair(left, right));
            }
            (Value::Object(left), Value::Object(right)) => {
                for (key, value) in left {
                    let Some(other) = right.get(key) else { continue };
                    match (key.as_str(), value, other) {
                        (
                            "uid" | "resourceVersion" | "continue",
                            Value::String(left),
                            Value::String(right),
                        ) => {
                            self.learn(left, right);
                        }
                        _ => self.pair(value, other),
                    }
                }
            }
            _ => {}
        }
    }

    /// A text of the recording as it is to be sent to the cluster.
    pub(super) fn to_ours(&self, text: &str) -> String {
        replace(text, &self.ours)
    }

    pub(super) fn to_recorded(&self, text: &str) -> String {
        replace(text, &self.recorded)
    }

    /// A path, whose versions are short numbers that must be whole values.
    pub(super) fn path(&self, path: &str) -> String {
        let Some((path, query)) = path.split_once('?') else { return self.to_ours(path) };
        let pairs: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((key @ ("resourceVersion" | "continue"), value)) => {
                    format!("{key}={}", self.ours.get(value).map_or(value, String::as_str))
                }
                _ => self.to_ours(pair),
            })
            .collect();
        format!("{}?{}", self.to_ours(path), pairs.join("&"))
    }

    pub(super) fn body(&self, body: &Value) -> Value {
        match body {
            Value::String(text) => self.to_ours(text).into(),
            Value::Array(items) => items.iter().map(|item| self.body(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| match (key.as_str(), value) {
                    ("resourceVersion", Value::String(version)) => {
                        (key.clone(), self.ours.get(version).unwrap_or(version).clone().into())
                    }
                    _ => (key.clone(), self.body(value)),
                })
                .collect(),
            other => other.clone(),
        }
    }
}

/// Replaces whatever is long enough not to be met by chance.
fn replace(text: &str, names: &HashMap<String, String>) -> String {
    let mut text = text.to_owned();
    // The name of a pod before that of its Job, which it begins with.
    let mut names: Vec<_> =
        names.iter().filter(|(from, _)| from.len() > 6 && text.contains(from.as_str())).collect();
    names.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    for (from, to) in names {
        if text.contains(from.as_str()) {
            text = text.replace(from, to);
        }
    }
    text
}
