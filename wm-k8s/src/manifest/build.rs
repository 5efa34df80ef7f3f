//! The Job of a build, around the pod that somebody else describes.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wm_core::{Error, ErrorKind, Result, RunId};

use super::{Manifests, SecretMode, literal, metadata, serialize, set};
use crate::{builds::BuildRequest, messages::Message, names, settings::KubernetesSettings};

/// Builds the Job of a build. The pod template patch is for runners, and is not applied.
pub(crate) fn job(
    request: &BuildRequest,
    run: &RunId,
    settings: &KubernetesSettings,
    secrets: SecretMode,
    messages: &[Message],
    submitted: Option<Timestamp>,
) -> Result<Manifests> {
    let name = names::job(run);
    let mut template = request.template.clone();
    let refuse = |what: &str| {
        Error::new(ErrorKind::InvalidRequest, format!("the pod of a build has no {what}"))
            .with_context("job", name.clone())
    };
    for (label, value) in names::own_labels(run) {
        template["metadata"]["labels"][label] = json!(value);
    }
    let pod = template["spec"].as_object_mut().ok_or_else(|| refuse("spec"))?;
    complete(pod, request, settings);
    let container = pod.get_mut("containers").and_then(Value::as_array_mut).and_then(|all| {
        let mut all = all.iter_mut().filter_map(Value::as_object_mut);
        all.find(|one| one.get("name").is_some_and(|name| name == names::container(run.kind)))
    });
    let container = container.ok_or_else(|| refuse("container `builder`"))?;
    let environment = container.entry("env").or_insert_with(|| json!([]));
    let environment = environment.as_array_mut().ok_or_else(|| refuse("list of variables in `env`"))?;
    for (key, value) in &request.secrets {
        environment.push(match secrets {
            SecretMode::Reference => {
                json!({ "name": key, "valueFrom": { "secretKeyRef": { "name": name, "key": key } } })
            }
            SecretMode::Plain => json!({ "name": key, "value": literal(value.expose()) }),
        });
    }
    if environment.is_empty() {
        container.remove("env");
    }

    let mut spec = Map::new();
    spec.insert("backoffLimit".to_owned(), json!(settings.job_backoff_limit));
    spec.insert("ttlSecondsAfterFinished".to_owned(), json!(settings.ttl_seconds_after_finished));
    if let Some(policy) = &settings.pod_failure_policy {
        spec.insert("podFailurePolicy".to_owned(), for_builder(policy));
    }
    spec.insert("template".to_owned(), template);
    let labels = names::build_labels(run, &request.fingerprint);
    let metadata = metadata(&name, settings, json!(labels), messages, submitted);
    let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec });
    let text = serialize(&job, &name)?;
    let has_secret = secrets == SecretMode::Reference && !request.secrets.is_empty();
    Ok(Manifests { job, text, has_secret })
}

/// Adds what all pods get.
fn complete(pod: &mut Map<String, Value>, request: &BuildRequest, settings: &KubernetesSettings) {
    if !pod.contains_key("serviceAccountName") {
        pod.insert("serviceAccountName".to_owned(), json!(settings.service_account));
    }
    pod.insert("activeDeadlineSeconds".to_owned(), json!(request.timeout.as_secs().max(1)));
    let own = pod.get("nodeSelector").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut selector: Map<_, _> =
        settings.node_selector.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    selector.extend(own);
    if !selector.is_empty() {
        pod.insert("nodeSelector".to_owned(), json!(selector));
    }
    set(pod, "tolerations", settings.tolerations.as_ref());
    if !settings.image_pull_secrets.is_empty() {
        let names: Vec<_> = settings.image_pull_secrets.iter().map(|name| json!({ "name": name })).collect();
        pod.insert("imagePullSecrets".to_owned(), json!(names));
    }
}

/// A policy that names the runner's container means the one that does the work.
fn for_builder(policy: &Value) -> Value {
    let mut policy = policy.clone();
    for rule in policy["rules"].as_array_mut().into_iter().flatten() {
        if let Some(name) = rule.pointer_mut("/onExitCodes/containerName") {
            *name = json!(names::container(wm_core::WorkloadKind::Build));
        }
    }
    policy
}
