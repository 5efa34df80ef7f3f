//! Objects as the table that `kubectl get` prints.

mod duration;
mod job;
mod pod;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::duration::{age, since};
use super::answer::partial_metadata;
use crate::{kind::Kind, store::meta};

/// A column: its name, and whether only `-o wide` shows it.
type Column = (&'static str, bool);

const SHOWN: bool = false;
const WIDE: bool = true;

pub(super) fn table(kind: Kind, objects: &[Arc<Value>], metadata: &Value, now: Timestamp) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| json!({"cells": cells(kind, object, now), "object": partial_metadata(object)}))
        .collect();
    let columns: Vec<Value> = columns(kind)
        .iter()
        .map(|(name, wide)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({"name": name, "type": "string", "format": format, "description": "", "priority": i32::from(*wide)})
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    })
}

fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Job => &job::COLUMNS,
        Kind::Pod => &pod::COLUMNS,
        Kind::Event => &[
            ("Last Seen", SHOWN),
            ("Type", SHOWN),
            ("Reason", SHOWN),
            ("Object", SHOWN),
            ("Subobject", WIDE),
            ("Source", WIDE),
            ("Message", SHOWN),
            ("First Seen", WIDE),
            ("Count", WIDE),
            ("Name", WIDE),
        ],
        Kind::Secret => &[("Name", SHOWN), ("Type", SHOWN), ("Data", SHOWN), ("Age", SHOWN)],
        Kind::ConfigMap => &[("Name", SHOWN), ("Data", SHOWN), ("Age", SHOWN)],
        Kind::ServiceAccount => &[("Name", SHOWN), ("Secrets", SHOWN), ("Age", SHOWN)],
        Kind::Namespace => &[("Name", SHOWN), ("Status", SHOWN), ("Age", SHOWN)],
        Kind::ResourceQuota => &[("Name", SHOWN), ("Request", SHOWN), ("Limit", SHOWN), ("Age", SHOWN)],
        Kind::LimitRange => &[("Name", SHOWN), ("Created At", SHOWN)],
        Kind::Node => &[
            ("Name", SHOWN),
            ("Status", SHOWN),
            ("Roles", SHOWN),
            ("Age", SHOWN),
            ("Version", SHOWN),
            ("Internal-IP", WIDE),
        ],
    }
}

fn cells(kind: Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = json!(meta(object, "name"));
    let age = json!(age(object, now));
    let count = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    match kind {
        Kind::Job => job::cells(object, now),
        Kind::Pod => pod::cells(object, now),
        Kind::Event => event(object, now),
        Kind::Secret => vec![name, object["type"].clone(), json!(count("data")), age],
        Kind::ConfigMap => vec![name, json!(count("data") + count("binaryData")), age],
        Kind::ServiceAccount => vec![name, json!(object["secrets"].as_array().map_or(0, Vec::len)), age],
        Kind::Namespace => vec![name, object["status"]["phase"].clone(), age],
        Kind::ResourceQuota => vec![name, quota(object, false).into(), quota(object, true).into(), age],
        Kind::LimitRange => vec![name, object["metadata"]["creationTimestamp"].clone()],
        Kind::Node => {
            let version = object["status"]["nodeInfo"]["kubeletVersion"].clone();
            let address = object["status"]["addresses"][0]["address"].clone();
            vec![name, json!("Ready"), json!("<none>"), age, version, address]
        }
    }
}

/// What is used and limited, of the limits of containers or of all else.
fn quota(quota: &Value, is_of_limits: bool) -> String {
    let hard = quota["status"]["hard"].as_object().into_iter().flatten();
    let shown = hard.filter(|(resource, _)| resource.starts_with("limits.") == is_of_limits);
    let text = |value: &Value| value.as_str().unwrap_or("0").to_owned();
    let each = shown.map(|(resource, limit)| {
        format!("{resource}: {}/{}", text(&quota["status"]["used"][resource]), text(limit))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn event(event: &Value, now: Timestamp) -> Vec<Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = |field: &str| {
        [&event[field], &event["eventTime"]].into_iter().find(|time| time.is_string()).unwrap_or(&Value::Null)
    };
    let about = &event["involvedObject"];
    let object = format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"]));
    let source = match (text(&event["source"]["component"]), text(&event["source"]["host"])) {
        (component, _) if component.is_empty() => text(&event["reportingComponent"]),
        (component, host) if host.is_empty() => component,
        (component, host) => format!("{component}, {host}"),
    };
    vec![
        json!(since(time("lastTimestamp"), now)),
        event["type"].clone(),
        event["reason"].clone(),
        json!(object),
        json!(text(&about["fieldPath"])),
        json!(source),
        json!(text(&event["message"]).trim()),
        json!(since(time("firstTimestamp"), now)),
        json!(event["count"].as_u64().unwrap_or(1)),
        json!(meta(event, "name")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_a_cell_for_each_column() {
        for kind in Kind::ALL {
            let object = Arc::new(json!({"metadata": {"name": "a"}}));
            let table = table(kind, &[object], &json!({}), Timestamp::now());
            let cells = table["rows"][0]["cells"].as_array().unwrap();
            assert_eq!(cells.len(), table["columnDefinitions"].as_array().unwrap().len(), "{kind:?}");
        }
    }
}
