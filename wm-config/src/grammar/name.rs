use std::collections::BTreeMap;

use serde_json::Value;

use crate::grammar::{Parsed, fault, json};

/// A DNS-1123 label, such as a namespace's name.
pub(crate) fn label(text: &str) -> Parsed<String> {
    match label_fault(text) {
        Some(message) => fault(message),
        None => Ok(text.to_owned()),
    }
}

/// A DNS-1123 subdomain, such as a service account's name.
pub(crate) fn subdomain(text: &str) -> Parsed<String> {
    match subdomain_fault(text) {
        Some(message) => fault(message),
        None => Ok(text.to_owned()),
    }
}

/// Names of Secrets, with commas between them or as a JSON array.
pub(crate) fn secret_names(text: &str) -> Parsed<Vec<String>> {
    let names = if text.starts_with('[') {
        let Value::Array(items) = json::array(text)? else { return fault("is not a JSON array") };
        let names: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        match names {
            Some(names) => names,
            None => return fault("is an array with something else than names in it"),
        }
    } else {
        text.split(',').map(|name| name.trim().to_owned()).collect()
    };
    let mut faults = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            faults.push(format!("has no name at position {}", index + 1));
        } else if let Some(message) = subdomain_fault(name) {
            faults.push(format!("names the secret {name:?}, which {message}"));
        } else if names[..index].contains(name) {
            faults.push(format!("names the secret {name:?} twice"));
        }
    }
    if faults.is_empty() { Ok(names) } else { Err(faults) }
}

/// A JSON object from label keys to label values.
pub(crate) fn node_selector(text: &str) -> Parsed<BTreeMap<String, String>> {
    let Value::Object(entries) = json::map(text)? else { return fault("is not a JSON object") };
    let mut labels = BTreeMap::new();
    let mut faults = Vec::new();
    for (key, value) in entries {
        if let Some(message) = label_key_fault(&key) {
            faults.push(format!("has the key {key:?}, which {message}"));
        }
        match value {
            Value::String(value) => {
                if let Some(message) = label_value_fault(&value) {
                    faults.push(format!("has the value {value:?} for {key:?}, which {message}"));
                }
                labels.insert(key, value);
            }
            Value::Bool(_) | Value::Number(_) => {
                faults.push(format!("has {value} for {key:?}, where a string is due: write \"{value}\""));
            }
            other => faults.push(format!("has {} for {key:?}, where a string is due", json::kind(&other))),
        }
    }
    if faults.is_empty() { Ok(labels) } else { Err(faults) }
}

fn label_fault(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(format!("is {} characters long: at most 63 are allowed", text.len()));
    }
    if text.contains('.') {
        return Some("contains a dot, which this name can't have".to_owned());
    }
    dns_fault(text)
}

fn subdomain_fault(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some(format!("is {} characters long: at most 253 are allowed", text.len()));
    }
    text.split('.').find_map(dns_fault)
}

/// What is wrong with one part of a DNS name, its length apart.
fn dns_fault(part: &str) -> Option<String> {
    if let Some(c) = part.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Some(match c {
            'A'..='Z' => "contains upper-case letters".to_owned(),
            '_' => "contains an underscore: use a hyphen".to_owned(),
            '<' | '>' => "contains a placeholder that was not replaced".to_owned(),
            _ => format!("contains {c:?}"),
        });
    }
    if part.is_empty() || part.starts_with('-') || part.ends_with('-') {
        return Some("does not begin and end with a letter or digit".to_owned());
    }
    None
}

fn label_key_fault(key: &str) -> Option<String> {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            if let Some(message) = subdomain_fault(prefix) {
                return Some(format!("is no label key: its prefix {message}"));
            }
            name
        }
        None => key,
    };
    if name.is_empty() {
        return Some("is no label key: its name is empty".to_owned());
    }
    label_value_fault(name)
}

fn label_value_fault(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(format!("is {} characters long: at most 63 are allowed", text.len()));
    }
    if let Some(c) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        return Some(format!("contains {c:?}"));
    }
    let is_end = |c: char| c.is_ascii_alphanumeric();
    if text.is_empty() || (text.starts_with(is_end) && text.ends_with(is_end)) {
        return None;
    }
    Some("does not begin and end with a letter or digit".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_own_lengths() {
        assert!(label(&"a".repeat(63)).is_ok());
        assert!(label(&"a".repeat(64)).is_err());
        assert!(subdomain(&"a".repeat(253)).is_ok());
        assert!(subdomain(&"a".repeat(254)).is_err());
    }

    #[test]
    fn only_a_subdomain_has_dots() {
        assert!(label("a.b").is_err());
        assert!(subdomain("a.b").is_ok());
        assert!(subdomain("a..b").is_err());
        assert!(subdomain("a.-b").is_err());
    }

    #[test]
    fn digits_are_a_name() {
        assert_eq!(label("339712793861").unwrap(), "339712793861");
        assert_eq!(subdomain("1.10").unwrap(), "1.10");
    }

    #[test]
    fn secrets_are_named_both_ways() {
        let names = vec!["one".to_owned(), "two.example".to_owned()];
        assert_eq!(secret_names("one, two.example").unwrap(), names);
        assert_eq!(secret_names(r#"["one", "two.example"]"#).unwrap(), names);
        assert_eq!(secret_names("One,,a,a").unwrap_err().len(), 3);
    }

    #[test]
    fn a_node_selector_follows_the_label_grammar() {
        let text = r#"{"node-pool": "zenml-pool", "example.com/Zone_1": "", "a_b": "1.10"}"#;
        assert_eq!(node_selector(text).unwrap()["a_b"], "1.10");
        let faults =
            node_selector(r#"{"a b": "x", "c": 1, "d/e/f": "x", "/g": "x", "h": "-", "i": null, "j/": ""}"#);
        assert_eq!(faults.unwrap_err().len(), 7);
    }
}
