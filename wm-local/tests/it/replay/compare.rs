//! What of an answer must be as recorded. Times, addresses, versions and what only a machine with images has are masked.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Members that say which machine or which run it was.
const MASKED: [&str; 14] = [
    "uid",
    "resourceVersion",
    "continue",
    "imageID",
    "containerID",
    "podIP",
    "hostIP",
    "nodeName",
    "host",
    "reportingInstance",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "remainingItemCount_",
    "selfLink",
];

/// Members that the cluster does not have: what belongs to images, networks and field managers.
const LEFT_OUT: [&str; 8] = [
    "managedFields",
    "podIPs",
    "hostIPs",
    "image_",
    "observedGeneration",
    "kube-api-access",
    "generation",
    "allocatedResources",
];

/// A value without what differs from run to run.
pub(super) fn normal(value: &Value, status: bool) -> Value {
    match value {
        Value::String(text) => json!(mask(text)),
        Value::Array(items) => {
            let kept = items.iter().filter(|item| !is_token_mount(item));
            kept.map(|item| normal(item, status)).collect()
        }
        Value::Object(members) => {
            let kind = members.get("kind").and_then(Value::as_str);
            let is_pod =
                kind == Some("Pod") || kind.is_none() && members.contains_key("spec") && is_pod(value);
            let is_job = kind == Some("Job") || kind.is_none() && is_job(value);
            let mut normal_members = Map::new();
            for (key, member) in members {
                let new = match key.as_str() {
                    key if LEFT_OUT.contains(&key) => continue,
                    key if MASKED.contains(&key) && member.is_string() => json!("(masked)"),
                    "status" if is_pod && status => pod_status(member),
                    "status" if is_job && status => job_status(member),
                    "status" if is_pod || is_job => continue,
                    // Their form is the server's own.
                    "columnDefinitions" => columns(member),
                    "volumes" | "volumeMounts" | "tolerations" if is_empty_list(&normal(member, status)) => {
                        continue;
                    }
                    // Those of Events have the time in them.
                    "name" if member.as_str().is_some_and(is_event_name) => json!("(event)"),
                    // How often something was told depends on the time.
                    "count" => json!("(count)"),
                    "items" if kind == Some("EventList") => by_message(&normal(member, status)),
                    "items" if kind == Some("PodList") => by_name(&normal(member, status)),
                    "groups" | "resources" if kind.is_some_and(|kind| kind.starts_with("API")) => {
                        served(member)
                    }
                    "serverAddressByClientCIDRs" => json!("(addresses)"),
                    _ => normal(member, status),
                };
                normal_members.insert(key.clone(), new);
            }
            Value::Object(normal_members)
        }
        other => other.clone(),
    }
}

fn is_pod(value: &Value) -> bool {
    value["spec"]["containers"].is_array()
}

fn is_job(value: &Value) -> bool {
    value["spec"]["template"].is_object()
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// The volume of the token of a service account, and its mount: the cluster has no machines to reach with it.
fn is_token_mount(item: &Value) -> bool {
    item["name"].as_str().is_some_and(|name| name.starts_with("kube-api-access-"))
}

fn is_event_name(name: &str) -> bool {
    let time = name.rsplit('.').next().unwrap_or_default();
    time.len() == 16 && time.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn by_name(items: &Value) -> Value {
    let mut items: Vec<Value> = items.as_array().cloned().unwrap_or_default();
    items.sort_by_key(|item| item["metadata"]["name"].to_string());
    items.into()
}

fn by_message(items: &Value) -> Value {
    let mut items: Vec<Value> = items.as_array().cloned().unwrap_or_default();
    items.sort_by_key(|item| (item["message"].to_string(), item.to_string()));
    items.into()
}

/// Of what can be discovered, what this cluster serves.
fn served(list: &Value) -> Value {
    const SERVED: [&str; 15] = [
        "batch",
        "authorization.k8s.io",
        "authentication.k8s.io",
        "jobs",
        "jobs/status",
        "pods",
        "pods/log",
        "pods/status",
        "events",
        "secrets",
        "configmaps",
        "serviceaccounts",
        "namespaces",
        "nodes",
        "apps_",
    ];
    let mut names: Vec<&str> =
        list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    names.retain(|name| SERVED.contains(name));
    names.sort_unstable();
    json!(names)
}

fn columns(columns: &Value) -> Value {
    columns.as_array().into_iter().flatten().map(|column| column["name"].clone()).collect()
}

/// Phase, reason, and how each container is.
pub(super) fn pod_status(status: &Value) -> Value {
    let containers = |field: &str| -> BTreeMap<String, Value> {
        let statuses = status[field].as_array().into_iter().flatten();
        statuses
            .map(|status| (status["name"].as_str().unwrap().to_owned(), container_state(status)))
            .collect()
    };
    json!({
        "phase": status["phase"],
        "reason": status["reason"],
        "message": status["message"],
        "init": containers("initContainerStatuses"),
        "containers": containers("containerStatuses"),
        "disruption": condition(status, "DisruptionTarget"),
    })
}

fn container_state(status: &Value) -> Value {
    let state = &status["state"];
    let mut shown = Map::new();
    for part in ["waiting", "running", "terminated"] {
        if state[part].is_object() {
            let of = |field: &str| state[part][field].clone();
            shown.insert(
                part.into(),
                json!([of("reason"), of("exitCode"), mask(of("message").as_str().unwrap_or(""))]),
            );
        }
    }
    shown.insert("restarts".into(), status["restartCount"].clone());
    shown.into()
}

fn condition(status: &Value, name: &str) -> Value {
    let conditions = status["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == name);
    found.map_or(Value::Null, |found| json!([found["status"], found["reason"], found["message"]]))
}

/// Conditions in order, counts, and which times there are.
pub(super) fn job_status(status: &Value) -> Value {
    let conditions: Vec<Value> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            json!([one["type"], one["status"], one["reason"], mask(one["message"].as_str().unwrap_or(""))])
        })
        .collect();
    json!({
        "conditions": conditions,
        "active": status["active"],
        "succeeded": status["succeeded"],
        "failed": status["failed"],
        "started": status["startTime"].is_string(),
        "completed": status["completionTime"].is_string(),
    })
}

/// A text with other names for what only one of the two clusters has.
fn rename(text: &str) -> String {
    if let Some((before, _)) = text.split_once("Successfully assigned") {
        return format!("{before}Successfully assigned");
    }
    let mut text = text.to_owned();
    for (word, end) in [("in record (", ')'), ("current: ", '"'), ("larger than max (", ')')] {
        if let Some(begin) = text.find(word).map(|begin| begin + word.len()) {
            let length = text[begin..].find(end).unwrap_or(text.len() - begin);
            text.replace_range(begin..begin + length, "(version)");
        }
    }
    if let Some((before, id)) =
        text.split_once("logs for containerd://").or(text.split_once("logs for process://"))
    {
        let end = id.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(id.len());
        text = format!("{before}logs for process://(id){}", &id[end..]);
    }
    // A pod that is refused has a generated name that is nobody's.
    for (before, after) in [("pods \"", "\" is forbidden"), ("pods \\\"", "\\\" is forbidden")] {
        let begin = text.find(before).map(|begin| begin + before.len());
        let end = begin.and_then(|begin| Some(begin + text[begin..].find(after)?));
        if let (Some(begin), Some(end)) = (begin, end)
            && let Some((_, made_up)) = text[begin..end].rsplit_once('-')
            && made_up.len() == 5
        {
            text.replace_range(end - 5..end, "(generated)");
        }
    }
    // Which registries may be asked without TLS is set in the machine.
    text = text.replace("Head \"http://", "Head \"https://").replace("Head \\\"http://", "Head \\\"https://");
    text.replace("node-1", "local").replace("containerd://", "process://")
}

/// A text without uids, times and names of machines.
pub(super) fn mask(text: &str) -> String {
    let text = &rename(text);
    let mut masked = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if rest.get(..36).is_some_and(is_uid) {
            masked.push_str("(uid)");
            rest = &rest[36..];
        } else if rest.get(..20).is_some_and(is_time_start) {
            let end = rest.find('Z').map_or(rest.len(), |end| end + 1);
            masked.push_str("(time)");
            rest = &rest[end..];
        } else {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    masked
}

fn is_uid(candidate: &str) -> bool {
    let parts: Vec<usize> = candidate.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && candidate.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit())
}

fn is_time_start(candidate: &str) -> bool {
    let shape: String =
        candidate.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    shape == "0000-00-00T00:00:00Z" || shape == "0000-00-00T00:00:00."
}

/// Where two values differ, in words; empty if they do not.
pub(super) fn differences(path: &str, recorded: &Value, found: &Value) -> Vec<String> {
    match (recorded, found) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            let of = |members: &Map<String, Value>, key: &str| members.get(key).cloned().unwrap_or_default();
            keys.into_iter()
                .flat_map(|key| differences(&format!("{path}.{key}"), &of(left, key), &of(right, key)))
                .collect()
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs
                .flat_map(|(index, (left, right))| differences(&format!("{path}[{index}]"), left, right))
                .collect()
        }
        _ if recorded == found => Vec::new(),
        _ => {
            let short = |value: &Value| value.to_string().chars().take(400).collect::<String>();
            vec![format!("{path}: recorded {}, found {}", short(recorded), short(found))]
        }
    }
}
