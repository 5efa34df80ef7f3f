//! The row of a Job.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Column, SHOWN, WIDE,
    duration::{age, between, parse},
};
use crate::store::meta;

pub(super) const COLUMNS: [Column; 8] = [
    ("Name", SHOWN),
    ("Status", SHOWN),
    ("Completions", SHOWN),
    ("Duration", SHOWN),
    ("Age", SHOWN),
    ("Containers", WIDE),
    ("Images", WIDE),
    ("Selector", WIDE),
];

pub(super) fn cells(job: &Value, now: Timestamp) -> Vec<Value> {
    let containers = job["spec"]["template"]["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let join = |field: &str| {
        let texts: Vec<&str> = containers.iter().filter_map(|container| container[field].as_str()).collect();
        texts.join(",")
    };
    vec![
        json!(meta(job, "name")),
        json!(status(job)),
        json!(completions(job)),
        json!(duration(job, now)),
        json!(age(job, now)),
        json!(join("name")),
        json!(join("image")),
        json!(selector(&job["spec"]["selector"])),
    ]
}

fn condition<'a>(job: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = job["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|one| one["type"] == kind && one["status"] == "True")
}

fn status(job: &Value) -> &'static str {
    let has = |kind: &str| condition(job, kind).is_some();
    if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if !meta(job, "deletionTimestamp").is_empty() {
        "Terminating"
    } else if has("Suspended") {
        "Suspended"
    } else if has("FailureTarget") {
        "FailureTarget"
    } else if has("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = job["status"]["succeeded"].as_u64().unwrap_or_default();
    if let Some(wanted) = job["spec"]["completions"].as_u64() {
        return format!("{succeeded}/{wanted}");
    }
    match job["spec"]["parallelism"].as_u64().unwrap_or_default() {
        0 | 1 => format!("{succeeded}/1"),
        parallelism => format!("{succeeded}/1 of {parallelism}"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let status = &job["status"];
    let Some(start) = parse(&status["startTime"]) else { return String::new() };
    let failed = || condition(job, "Failed").and_then(|failed| parse(&failed["lastTransitionTime"]));
    between(start, parse(&status["completionTime"]).or_else(failed).unwrap_or(now))
}

fn selector(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object();
    let terms: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if terms.is_empty() { "<none>".to_owned() } else { terms.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspended_job_prints_as_recorded() {
        let job = json!({
            "metadata": {"name": "page-01", "creationTimestamp": "2026-11-23T22:20:47Z"},
            "spec": {
                "completions": 1,
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
                "template": {"spec": {"containers": [{"name": "main", "image": "registry.example:5000/busybox:1"}]}},
            },
            "status": {"conditions": [{"type": "Suspended", "status": "True"}]},
        });
        let expected = [
            "page-01",
            "Suspended",
            "0/1",
            "",
            "0s",
            "main",
            "registry.example:5000/busybox:1",
            "batch.kubernetes.io/controller-uid=u",
        ];
        assert_eq!(cells(&job, "2026-11-23T22:20:47Z".parse().unwrap()), expected);
    }

    #[test]
    fn a_failed_job_lasts_until_it_failed() {
        let job = json!({"status": {
            "startTime": "2026-11-23T22:00:00Z",
            "conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": "2026-11-23T22:00:42Z"}],
        }});
        assert_eq!(duration(&job, Timestamp::now()), "42s");
        assert_eq!(status(&job), "Failed");
    }
}
