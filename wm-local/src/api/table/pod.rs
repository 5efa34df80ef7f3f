//! The row of a Pod.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Column, SHOWN, WIDE,
    duration::{age, since},
};
use crate::store::meta;

pub(super) const COLUMNS: [Column; 9] = [
    ("Name", SHOWN),
    ("Ready", SHOWN),
    ("Status", SHOWN),
    ("Restarts", SHOWN),
    ("Age", SHOWN),
    ("IP", WIDE),
    ("Node", WIDE),
    ("Nominated Node", WIDE),
    ("Readiness Gates", WIDE),
];

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let total = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let ready = statuses(pod, "containerStatuses").filter(|status| status["ready"] == true).count();
    let text_or_none =
        |value: &Value| json!(value.as_str().filter(|text| !text.is_empty()).unwrap_or("<none>"));
    vec![
        json!(meta(pod, "name")),
        json!(format!("{ready}/{total}")),
        json!(status(pod)),
        json!(restarts(pod, now)),
        json!(age(pod, now)),
        text_or_none(&pod["status"]["podIP"]),
        text_or_none(&pod["spec"]["nodeName"]),
        json!("<none>"),
        json!("<none>"),
    ]
}

fn statuses<'a>(pod: &'a Value, field: &str) -> impl DoubleEndedIterator<Item = &'a Value> {
    pod["status"][field].as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn status(pod: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut status = text(&pod["status"]["reason"]);
    if status.is_empty() {
        status = text(&pod["status"]["phase"]);
    }
    match initializing(pod) {
        Some(initializing) => status = initializing,
        None => {
            for container in statuses(pod, "containerStatuses").rev() {
                if let Some(reason) = reason(container) {
                    status = reason;
                }
            }
        }
    }
    if !meta(pod, "deletionTimestamp").is_empty() {
        let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        return if ended { status } else { "Terminating".to_owned() };
    }
    status
}

/// Why a container does not run: the reason that it waits or ended.
fn reason(container: &Value) -> Option<String> {
    let waiting = container["state"]["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty());
    let terminated = &container["state"]["terminated"];
    match (waiting, terminated["reason"].as_str().filter(|reason| !reason.is_empty())) {
        (Some(reason), _) | (None, Some(reason)) => Some(reason.to_owned()),
        _ if terminated.is_object() => Some(match terminated["signal"].as_i64().unwrap_or_default() {
            0 => format!("ExitCode:{}", terminated["exitCode"]),
            signal => format!("Signal:{signal}"),
        }),
        _ => None,
    }
}

/// What an init container that is not done yet says.
fn initializing(pod: &Value) -> Option<String> {
    let total = pod["spec"]["initContainers"].as_array().map_or(0, Vec::len);
    for (index, container) in statuses(pod, "initContainerStatuses").enumerate() {
        let state = &container["state"];
        if state["terminated"].is_object() {
            if state["terminated"]["exitCode"] == 0 {
                continue;
            }
            return Some(format!("Init:{}", reason(container).unwrap_or_default()));
        }
        let waiting = state["waiting"]["reason"].as_str().unwrap_or_default();
        if !waiting.is_empty() && waiting != "PodInitializing" {
            return Some(format!("Init:{waiting}"));
        }
        return Some(format!("Init:{index}/{total}"));
    }
    None
}

fn restarts(pod: &Value, now: Timestamp) -> String {
    let count: u64 =
        statuses(pod, "containerStatuses").filter_map(|status| status["restartCount"].as_u64()).sum();
    let last = statuses(pod, "containerStatuses")
        .map(|status| &status["lastState"]["terminated"]["finishedAt"])
        .filter(|time| time.is_string())
        .max_by_key(|time| time.as_str().map(ToOwned::to_owned));
    match last {
        Some(time) if count > 0 => format!("{count} ({} ago)", since(time, now)),
        _ => count.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: &Value) -> Value {
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}], "initContainers": [{}]}, "status": status})
    }

    #[test]
    fn the_status_is_the_most_telling_word() {
        let container =
            |state: Value| pod(&json!({"phase": "Running", "containerStatuses": [{"state": state}]}));
        assert_eq!(status(&pod(&json!({"phase": "Pending"}))), "Pending");
        assert_eq!(status(&container(json!({"running": {}}))), "Running");
        assert_eq!(
            status(&container(json!({"waiting": {"reason": "CreateContainerConfigError"}}))),
            "CreateContainerConfigError"
        );
        assert_eq!(status(&container(json!({"terminated": {"exitCode": 3, "reason": "Error"}}))), "Error");
        assert_eq!(status(&container(json!({"terminated": {"exitCode": 3}}))), "ExitCode:3");
        assert_eq!(status(&pod(&json!({"phase": "Failed", "reason": "Evicted"}))), "Evicted");
        let init =
            |state: Value| pod(&json!({"phase": "Pending", "initContainerStatuses": [{"state": state}]}));
        assert_eq!(status(&init(json!({"running": {}}))), "Init:0/1");
        assert_eq!(status(&init(json!({"terminated": {"exitCode": 1, "reason": "Error"}}))), "Init:Error");
    }

    #[test]
    fn a_running_pod_that_is_deleted_is_terminating() {
        let mut pod = pod(&json!({"phase": "Running"}));
        pod["metadata"]["deletionTimestamp"] = "2026-11-23T22:20:47Z".into();
        assert_eq!(status(&pod), "Terminating");
    }
}
