//! Jobs: the generated selector and labels, validation, and what is not supported.

use serde_json::{Map, Value, json};

use super::{metadata, pod, policy};
use crate::{
    api::answer::Warnings,
    error::{ApiError, Cause},
    store::meta,
};

const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";

/// The labels by which a Job finds its Pods: each in two forms.
fn generated_labels(job: &Value) -> [(&'static str, &str); 4] {
    let (uid, name) = (meta(job, "uid"), meta(job, "name"));
    [("controller-uid", uid), (UID_LABEL, uid), ("job-name", name), ("batch.kubernetes.io/job-name", name)]
}

/// Sets selector and template labels, unless the Job says that it brings its own.
pub(super) fn generate_selector(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let generated = generated_labels(job).map(|(key, value)| (key.to_owned(), value.to_owned()));
    let uid = meta(job, "uid").to_owned();
    let labels = &mut job["spec"]["template"]["metadata"]["labels"];
    if !labels.is_object() {
        *labels = Value::Object(Map::new());
    }
    // What the user set stays, and is refused if it is something else.
    for (key, value) in generated {
        if labels.get(&key).is_none() {
            labels[&key] = value.into();
        }
    }
    job["spec"]["selector"]["matchLabels"][UID_LABEL] = uid.into();
}

/// A Job without labels gets those of its template.
pub(super) fn copy_labels(job: &mut Value) {
    let has_labels = job["metadata"]["labels"].as_object().is_some_and(|labels| !labels.is_empty());
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    if !has_labels && labels.is_object() {
        job["metadata"]["labels"] = labels.clone();
    }
}

pub(super) fn check(job: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_selector_is_generated(job, &mut causes);
    let spec = &job["spec"];
    let non_negative = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    for field in non_negative {
        if let Some(value) = spec[field].as_i64().filter(|value| *value < 0) {
            let detail = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("spec.{field}"), &json!(value), detail));
        }
    }
    check_completion_mode(spec, &mut causes);
    policy::check(spec, "spec.podFailurePolicy", &mut causes);
    check_replacement(spec, &mut causes);
    let template = &spec["template"];
    metadata::labels(&template["metadata"]["labels"], "spec.template.labels", &mut causes);
    metadata::annotations(&template["metadata"]["annotations"], "spec.template.annotations", &mut causes);
    pod::check_spec(&template["spec"], "spec.template.spec", &mut causes);
    let restart_policy = template["spec"]["restartPolicy"].as_str().unwrap_or_default();
    if !matches!(restart_policy, "OnFailure" | "Never") {
        let detail = "valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause::required("spec.template.spec.restartPolicy", detail));
    }
    if spec["podFailurePolicy"].is_object() && restart_policy != "Never" {
        let detail = "only \"Never\" is supported when podFailurePolicy is specified";
        let field = "spec.template.spec.restartPolicy";
        causes.push(Cause::invalid(field, &json!(restart_policy), detail));
    }
    check_selector_matches(spec, &mut causes);
    causes
}

pub(super) fn warn(job: &Value, warnings: &mut Warnings) {
    if meta(job, "name").contains('.') {
        warnings.push(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS \
             label is recommended: [must not contain dots]",
        );
    }
    pod::warn(&job["spec"]["template"]["spec"], "spec.template.spec", warnings);
}

/// Refuses what a real cluster takes and this one's controller cannot do.
pub(super) fn check_supported(job: &Value) -> Result<(), ApiError> {
    let spec = &job["spec"];
    let unsupported = if spec["completionMode"] == "Indexed" {
        "Jobs with completionMode Indexed"
    } else if spec["successPolicy"].is_object() {
        "Jobs with a successPolicy"
    } else if !matches!(spec["managedBy"].as_str(), None | Some("kubernetes.io/job-controller")) {
        "Jobs that another controller manages"
    } else {
        return Ok(());
    };
    Err(ApiError::not_implemented(unsupported))
}

fn check_selector_is_generated(job: &Value, causes: &mut Vec<Cause>) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    for (key, value) in generated_labels(job) {
        if labels[key] != value {
            let field = format!("spec.template.metadata.labels[{key}]");
            causes.push(Cause::invalid(field, labels, &format!("must be '{value}'")));
        }
    }
    let selector = &job["spec"]["selector"];
    if *selector != json!({"matchLabels": {UID_LABEL: meta(job, "uid")}}) {
        causes.push(Cause::invalid("spec.selector", selector, "`selector` not auto-generated"));
    }
}

fn check_completion_mode(spec: &Value, causes: &mut Vec<Cause>) {
    match spec["completionMode"].as_str().unwrap_or_default() {
        "NonIndexed" => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if !spec[field].is_null() {
                    let detail = "requires indexed completion mode";
                    causes.push(Cause::invalid(format!("spec.{field}"), &spec[field], detail));
                }
            }
        }
        "Indexed" => {
            if spec["completions"].is_null() {
                causes.push(Cause::required("spec.completions", "when completion mode is Indexed"));
            }
        }
        other => {
            let supported = ["Indexed", "NonIndexed"];
            causes.push(Cause::unsupported("spec.completionMode", &json!(other), &supported));
        }
    }
}

fn check_replacement(spec: &Value, causes: &mut Vec<Cause>) {
    let policy = spec["podReplacementPolicy"].as_str().unwrap_or_default();
    let supported: &[&str] =
        if spec["podFailurePolicy"].is_object() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if !supported.contains(&policy) {
        causes.push(Cause::unsupported("spec.podReplacementPolicy", &json!(policy), supported));
    }
}

/// Whether given or generated, the selector must match the Pods that will be made.
fn check_selector_matches(spec: &Value, causes: &mut Vec<Cause>) {
    if !spec["selector"].is_object() {
        causes.push(Cause::required("spec.selector", ""));
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let wanted = spec["selector"]["matchLabels"].as_object();
    if wanted.into_iter().flatten().any(|(key, value)| labels.get(key) != Some(value)) {
        let detail = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", labels, detail));
    }
}
