//! From a run to the objects that are sent: pure.

mod build;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wm_core::{Error, ErrorKind, Result, RunId, RunRequest};

pub(crate) use self::build::job as build;
use crate::{
    messages::{Message, Messages},
    names,
    order::Order,
    security::{self, Restriction},
    settings::KubernetesSettings,
    template_patch,
};

/// A Job of this size is refused by the API server with a misleading answer, so ours comes before.
const LARGEST_JOB: usize = 1024 * 1024;
/// Linux takes no longer string in a program's environment or arguments: 128 KiB with the closing NUL.
const LONGEST_STRING: usize = 128 * 1024 - 1;
/// What the Job's deadline allows at least for scheduling and pulling, in seconds; the pod's own is the real one.
const BACKSTOP_SECS: u64 = 3600;

/// The objects of one run.
#[derive(Clone, Debug)]
pub(crate) struct Manifests {
    pub(crate) job: Value,
    /// The Job as it is sent.
    pub(crate) text: Vec<u8>,
    /// Whether the Job's environment names a Secret, to be made right after it.
    pub(crate) has_secret: bool,
}

/// How the secret values of the environment reach the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretMode {
    /// By reference to a Secret of the Job's name.
    Reference,
    /// In plain, where the manager may not make Secrets and the settings allow it.
    Plain,
}

/// Builds the Job of a run.
pub(crate) fn job(
    request: &RunRequest,
    run: &RunId,
    settings: &KubernetesSettings,
    restriction: Restriction,
    secrets: SecretMode,
    messages: &[Message],
    submitted: Option<Timestamp>,
) -> Result<Manifests> {
    let workload = &request.workload;
    let name = names::job(run);
    check_strings(request, &name)?;
    let environment = environment(request, &name, secrets);
    let has_secret = secrets == SecretMode::Reference
        && workload.environment().values().any(wm_core::EnvironmentValue::is_secret);

    let mut container = Map::new();
    container.insert("name".to_owned(), json!(names::container(run.kind)));
    container.insert("image".to_owned(), json!(request.image));
    set(&mut container, "imagePullPolicy", settings.image_pull_policy.as_ref());
    set_list(&mut container, "command", workload.command().iter().map(|word| literal(word)).collect());
    set_list(&mut container, "args", workload.arguments().iter().map(|word| literal(word)).collect());
    set_list(&mut container, "env", environment);
    set(&mut container, "resources", settings.pod_resources.as_ref());
    set(&mut container, "securityContext", security::container(restriction).as_ref());
    container.insert("terminationMessagePolicy".to_owned(), json!("FallbackToLogsOnError"));

    let mut pod = Map::new();
    pod.insert("restartPolicy".to_owned(), json!("Never"));
    pod.insert("serviceAccountName".to_owned(), json!(settings.service_account));
    // A service of the namespace must not change a runner's environment.
    pod.insert("enableServiceLinks".to_owned(), json!(false));
    pod.insert("terminationGracePeriodSeconds".to_owned(), json!(settings.termination_grace_period_seconds));
    set(&mut pod, "activeDeadlineSeconds", workload.timeout().map(|timeout| timeout.as_secs()).as_ref());
    set(&mut pod, "securityContext", security::pod(restriction).as_ref());
    if !settings.node_selector.is_empty() {
        pod.insert("nodeSelector".to_owned(), json!(settings.node_selector));
    }
    set(&mut pod, "tolerations", settings.tolerations.as_ref());
    let pull_secrets = settings.image_pull_secrets.iter().map(|name| json!({ "name": name })).collect();
    set_list(&mut pod, "imagePullSecrets", pull_secrets);
    pod.insert("containers".to_owned(), json!([container]));

    let mut template = json!({
        "metadata": {
            "labels": names::pod_labels(run, workload),
            "annotations": { "cluster-autoscaler.kubernetes.io/safe-to-evict": "false" },
        },
        "spec": pod,
    });
    if let Some(patch) = &settings.pod_template_patch {
        template = template_patch::apply(&template, patch).map_err(|problems| {
            let problems: Vec<_> =
                problems.iter().map(|problem| format!("{}: {}", problem.field, problem.detail)).collect();
            Error::new(
                ErrorKind::InvalidConfig,
                format!("the pod template patch can't be applied: {}", problems.join("; ")),
            )
        })?;
    }

    let mut spec = Map::new();
    spec.insert("backoffLimit".to_owned(), json!(settings.job_backoff_limit));
    spec.insert("ttlSecondsAfterFinished".to_owned(), json!(settings.ttl_seconds_after_finished));
    if let Some(timeout) = workload.timeout() {
        let one = timeout.as_secs() + u64::from(settings.termination_grace_period_seconds);
        let all = one.saturating_mul(u64::from(settings.job_backoff_limit) + 1);
        if let Some(waiting) = longest_wait(settings) {
            let all = all.saturating_add(waiting.max(BACKSTOP_SECS));
            spec.insert("activeDeadlineSeconds".to_owned(), json!(all.min(i32::MAX as u64)));
        }
    }
    set(&mut spec, "podFailurePolicy", settings.pod_failure_policy.as_ref());
    if request.held {
        spec.insert("suspend".to_owned(), json!(true));
    }
    spec.insert("template".to_owned(), template);

    let labels = json!(names::job_labels(run, workload));
    let metadata = metadata(&name, settings, labels, messages, submitted);
    let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec });
    let text = serialize(&job, &name)?;
    Ok(Manifests { job, text, has_secret })
}

/// The metadata of a Job.
fn metadata(
    name: &str,
    settings: &KubernetesSettings,
    labels: Value,
    messages: &[Message],
    submitted: Option<Timestamp>,
) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(settings.namespace));
    metadata.insert("labels".to_owned(), labels);
    let mut annotations = Map::new();
    set(&mut annotations, names::SUBMITTED, submitted.map(|time| time.to_string()).as_ref());
    if !messages.is_empty() {
        let messages = Messages { dropped: 0, kept: messages.to_vec() };
        annotations.insert(names::MESSAGES.to_owned(), json!(messages.encode()));
    }
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), json!(annotations));
    }
    metadata
}

/// How long a run may wait before its program begins, in seconds, with a scale-up; `None` is without end.
fn longest_wait(settings: &KubernetesSettings) -> Option<u64> {
    let limits = [settings.schedule_timeout_seconds, settings.start_timeout_seconds];
    let [schedule, start] = limits.map(u64::from);
    (!limits.contains(&0)).then(|| schedule * 2 + start)
}

/// Builds the Secret of a run, owned by its Job so that it goes with it.
pub(crate) fn secret(order: Order<'_>, run: &RunId, namespace: &str, job_uid: &str) -> Value {
    let name = names::job(run);
    let values: BTreeMap<_, _> =
        order.secrets().into_iter().map(|(key, value)| (key, value.expose())).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": names::own_labels(run),
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job_uid,
                "controller": true, "blockOwnerDeletion": false,
            }],
        },
        "type": "Opaque",
        "immutable": true,
        "stringData": values,
    })
}

fn environment(request: &RunRequest, secret: &str, mode: SecretMode) -> Vec<Value> {
    request
        .workload
        .environment()
        .iter()
        .map(|(name, value)| {
            if value.is_secret() && mode == SecretMode::Reference {
                json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": secret, "key": name } } })
            } else {
                json!({ "name": name, "value": literal(value.expose()) })
            }
        })
        .collect()
}

/// Kubernetes expands `$(NAME)` and `$$` in commands, arguments and values; ours are meant as they are written.
fn literal(text: &str) -> Value {
    if !text.contains("$$") && !text.contains("$(") {
        return json!(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        escaped.push(character);
        if character == '$' && matches!(characters.peek(), Some('$' | '(')) {
            escaped.push('$');
        }
    }
    json!(escaped)
}

fn set<T: serde::Serialize>(map: &mut Map<String, Value>, key: &str, value: Option<&T>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), json!(value));
    }
}

fn set_list(map: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        map.insert(key.to_owned(), Value::Array(list));
    }
}

fn check_strings(request: &RunRequest, job: &str) -> Result<()> {
    let refuse = |message: String| {
        Err(Error::new(ErrorKind::InvalidRequest, message).with_context("job", job.to_owned()))
    };
    for (name, value) in request.workload.environment() {
        if !is_portable_name(name) {
            return refuse(format!(
                "{name:?} is no name for an environment variable on Kubernetes: use letters, digits, '_', '-' and '.', not beginning with a digit"
            ));
        }
        if name.len() + 1 + value.expose().len() > LONGEST_STRING {
            return refuse(format!(
                "the environment variable {name} is longer than the 128 KiB that Linux takes; put it in a file or a store and pass its place"
            ));
        }
    }
    for (index, word) in request.workload.command().iter().chain(request.workload.arguments()).enumerate() {
        if word.len() > LONGEST_STRING {
            return refuse(format!(
                "word {index} of command and arguments is longer than the 128 KiB that Linux takes; put it in a file or a store and pass its place"
            ));
        }
    }
    Ok(())
}

/// All versions from 1.24 on take these; later ones take more.
fn is_portable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name != "."
        && !name.starts_with("..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn serialize(job: &Value, name: &str) -> Result<Vec<u8>> {
    let text = serde_json::to_vec(job).map_err(|error| {
        Error::new(ErrorKind::Unexpected, "the Job can't be written as JSON").with_source(error)
    })?;
    let size = text.len();
    if size <= LARGEST_JOB {
        return Ok(text);
    }
    Err(Error::new(
        ErrorKind::InvalidRequest,
        format!(
            "the Job would have {size} bytes, more than the {LARGEST_JOB} that a cluster surely takes; pass less in command, arguments and environment"
        ),
    )
    .with_context("job", name.to_owned()))
}
