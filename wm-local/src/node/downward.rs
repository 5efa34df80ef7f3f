//! The downward API: what a pod is told about itself.

use std::fmt::Write as _;

use serde_json::Value;

use super::environment::{ConfigError, field};
use crate::quantity::Quantity;

/// A field of the pod as a file of a volume, which may be all labels or annotations.
pub(super) fn volume_field(pod: &Value, path: &str) -> Result<String, ConfigError> {
    match path {
        "metadata.labels" | "metadata.annotations" => {
            Ok(quoted(&pod["metadata"][&path["metadata.".len()..]]))
        }
        "metadata.name" | "metadata.namespace" | "metadata.uid" => text(pod, path),
        _ if path.starts_with("metadata.labels['") || path.starts_with("metadata.annotations['") => {
            text(pod, path)
        }
        _ => Err(ConfigError::Unsupported(format!("unsupported fieldPath: {path}"))),
    }
}

/// A request or limit of a container, of the one given if the reference names none, in whole divisors.
pub(super) fn resource(
    pod: &Value,
    container: Option<&Value>,
    reference: &Value,
) -> Result<String, ConfigError> {
    let resource = reference["resource"].as_str().unwrap_or_default();
    let refuse = |why: &str| ConfigError::Unsupported(format!("{why}: {resource}"));
    let named = |name: &str| {
        let lists = ["containers", "initContainers"].into_iter();
        let mut all = lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
        all.find(|one| one["name"] == name)
    };
    let container = match reference["containerName"].as_str() {
        Some(name) if !name.is_empty() => named(name),
        _ => container,
    };
    let container = container.ok_or_else(|| refuse("container of the resource not found"))?;
    let (list, name) = resource.split_once('.').ok_or_else(|| refuse("unsupported container resource"))?;
    if !["limits", "requests"].contains(&list) {
        return Err(refuse("unsupported container resource"));
    }
    let parse = |text: &str| Quantity::parse(text).map_err(ConfigError::Unsupported);
    let quantity = match container["resources"][list][name].as_str() {
        Some(text) => parse(text)?,
        None if list == "requests" => parse("0")?,
        // Without a limit it may have all of the node.
        None => parse(&of_this_machine(name).ok_or_else(|| refuse("the node does not tell its"))?)?,
    };
    let divisor = match reference["divisor"].as_str() {
        None | Some("" | "0") => parse("1")?,
        Some(text) => parse(text)?,
    };
    quantity.in_whole(divisor).map(|whole| whole.to_string()).ok_or_else(|| refuse("divisor out of range"))
}

fn of_this_machine(resource: &str) -> Option<String> {
    match resource {
        "cpu" => std::thread::available_parallelism().ok().map(|count| count.to_string()),
        "memory" => {
            let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
            let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            Some(format!("{}Ki", total.trim().strip_suffix(" kB")?))
        }
        _ => None,
    }
}

fn text(pod: &Value, path: &str) -> Result<String, ConfigError> {
    field(pod, path).map(|value| value.to_string_lossy().into_owned())
}

/// A line `key="value"` for each, in order.
fn quoted(map: &Value) -> String {
    let mut lines: Vec<(&String, &str)> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, value.as_str().unwrap_or_default()))
        .collect();
    lines.sort_unstable();
    let lines: Vec<_> = lines.into_iter().map(|(key, value)| format!("{key}={}", quote(value))).collect();
    lines.join("\n")
}

/// Quotes as Go's `%q` does.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            control if control.is_ascii_control() => {
                // Writing to a string can't fail.
                write!(quoted, "\\x{:02x}", u32::from(control)).ok();
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "labels": {"b": "2", "a": "say \"hi\"\n"}},
            "spec": {"containers": [{"name": "main", "resources": {
                "limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m"},
            }}]},
        })
    }

    fn of(reference: &Value) -> Result<String, String> {
        resource(&pod(), Some(&pod()["spec"]["containers"][0]), reference).map_err(|error| error.to_string())
    }

    #[test]
    fn labels_are_lines_in_order_and_quoted() {
        assert_eq!(volume_field(&pod(), "metadata.labels").unwrap(), "a=\"say \\\"hi\\\"\\n\"\nb=\"2\"");
        assert_eq!(volume_field(&pod(), "metadata.labels['b']").unwrap(), "2");
        assert!(volume_field(&pod(), "spec.nodeName").is_err(), "not in a volume");
    }

    #[test]
    fn resources_are_counted_in_whole_divisors_rounded_up() {
        let of =
            |resource: &str, divisor: &str| of(&json!({"resource": resource, "divisor": divisor})).unwrap();
        assert_eq!(of("limits.cpu", "0"), "2");
        assert_eq!(of("limits.cpu", "1m"), "1500");
        assert_eq!(of("limits.memory", "1Mi"), "64");
        assert_eq!(of("limits.memory", ""), "67108864");
        assert_eq!(of("requests.cpu", "1m"), "250");
        assert_eq!(of("requests.memory", "1"), "0");
    }

    #[test]
    fn without_a_limit_it_is_the_machines() {
        let plain = json!({"name": "plain"});
        let memory = resource(&pod(), Some(&plain), &json!({"resource": "limits.memory"})).unwrap();
        assert!(memory.parse::<u64>().unwrap() > 1 << 20, "{memory}");
        assert!(resource(&pod(), Some(&plain), &json!({"resource": "limits.hugepages-2Mi"})).is_err());
    }

    #[test]
    fn an_unknown_container_is_an_error() {
        assert!(of(&json!({"containerName": "other", "resource": "limits.cpu"})).is_err());
        assert!(of(&json!({"containerName": "main", "resource": "cpu"})).is_err());
    }
}
