use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wm_core::{Error, ErrorKind, Result};

use crate::rules::{self, FieldProblem};

/// How runs are made on a cluster.
///
/// The JSON-valued settings are in Kubernetes' own form and go into the Job as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSettings {
    /// The namespace of the Jobs.
    pub namespace: String,
    /// The service account of the pods.
    pub service_account: String,
    /// The container's `resources`.
    #[serde(default)]
    pub pod_resources: Option<Value>,
    /// How long a finished Job is kept, in seconds.
    #[serde(default = "two_days")]
    pub ttl_seconds_after_finished: u32,
    /// The pods' `nodeSelector`.
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    /// The pods' `tolerations`.
    #[serde(default)]
    pub tolerations: Option<Value>,
    /// How often a failed pod is replaced.
    #[serde(default)]
    pub job_backoff_limit: u32,
    /// The Job's `podFailurePolicy`.
    #[serde(default)]
    pub pod_failure_policy: Option<Value>,
    /// The container's `imagePullPolicy`; the cluster's own rule if unset.
    #[serde(default)]
    pub image_pull_policy: Option<String>,
    /// The names of the pods' `imagePullSecrets`.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// How much the container gives up of its rights.
    #[serde(default)]
    pub pod_security: PodSecurity,
    /// A strategic merge patch of the pod template, applied last.
    #[serde(default)]
    pub pod_template_patch: Option<Value>,
    /// How long a stopped program may take to end, in seconds.
    #[serde(default = "half_a_minute")]
    pub termination_grace_period_seconds: u32,
    /// How long a run may wait for a machine, in seconds; 0 is without end.
    #[serde(default = "a_quarter_of_an_hour")]
    pub schedule_timeout_seconds: u32,
    /// How long the program may take to begin once there is a machine, in seconds; 0 is without end.
    #[serde(default = "a_quarter_of_an_hour")]
    pub start_timeout_seconds: u32,
    /// How long the pull of an image may fail in a way that may pass, in seconds.
    #[serde(default = "two_minutes")]
    pub image_pull_grace_seconds: u32,
    /// What happens to secret values where Secrets can't be made.
    #[serde(default)]
    pub plain_secrets: PlainSecrets,
}

const fn two_days() -> u32 {
    172_800
}

const fn half_a_minute() -> u32 {
    30
}

const fn a_quarter_of_an_hour() -> u32 {
    900
}

const fn two_minutes() -> u32 {
    120
}

/// How much a runner's container gives up of its rights, by the levels of Pod Security.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// As `restricted`, but the image's root user is refused only in a namespace that enforces that level.
    #[default]
    Auto,
    /// All that the `restricted` level asks for; an image whose user is root does not start.
    Restricted,
    /// What the `baseline` level asks for: nothing beyond the defaults but the seccomp profile.
    Baseline,
    /// No security context at all.
    None,
}

/// What happens to secret values where the manager may not make Secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlainSecrets {
    /// They go into the Job, where all who may read Jobs can read them.
    #[default]
    Allow,
    /// The run is refused.
    Refuse,
}

impl KubernetesSettings {
    /// The settings that the guide's minimal configuration gives.
    pub fn new(namespace: impl Into<String>, service_account: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            service_account: service_account.into(),
            pod_resources: None,
            ttl_seconds_after_finished: two_days(),
            node_selector: BTreeMap::new(),
            tolerations: None,
            job_backoff_limit: 0,
            pod_failure_policy: None,
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            pod_security: PodSecurity::Auto,
            pod_template_patch: None,
            termination_grace_period_seconds: half_a_minute(),
            schedule_timeout_seconds: a_quarter_of_an_hour(),
            start_timeout_seconds: a_quarter_of_an_hour(),
            image_pull_grace_seconds: two_minutes(),
            plain_secrets: PlainSecrets::Allow,
        }
    }

    /// Checks the JSON-valued settings by the API server's rules.
    ///
    /// # Errors
    /// `InvalidConfig` that names every problem.
    pub fn check(&self) -> Result<()> {
        let mut problems: Vec<String> = Vec::new();
        let mut add = |setting: &str, found: Vec<FieldProblem>| {
            problems.extend(
                found.into_iter().map(|problem| format!("{setting}.{}: {}", problem.field, problem.detail)),
            );
        };
        if let Some(value) = &self.pod_resources {
            add("pod_resources", rules::resources(value));
        }
        if let Some(value) = &self.tolerations {
            add("tolerations", rules::tolerations(value));
        }
        if let Some(value) = &self.pod_failure_policy {
            add("pod_failure_policy", rules::pod_failure_policy(value));
        }
        if let Some(value) = &self.pod_template_patch {
            add("pod_template_patch", rules::pod_template_patch(value));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidConfig, problems.join("; ")))
    }
}
