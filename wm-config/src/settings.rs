use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::{effective::EffectiveValue, family::Family, sensitive::Sensitive};

/// The configuration, typed and checked.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// The implementation source in effect.
    pub implementation_source: String,
    /// What that implementation needs.
    pub family: Family,
    /// How Jobs are made.
    pub kubernetes: KubernetesSection,
    /// What only AWS needs.
    pub aws: AwsSection,
    /// How many runs are admitted.
    pub launcher: LauncherSection,
    #[serde(skip)]
    pub(crate) effective: Vec<EffectiveValue>,
}

impl Settings {
    /// Lists every variable with the value that took effect and where it came from, in the table's order.
    pub fn effective(&self) -> Vec<EffectiveValue> {
        self.effective.clone()
    }
}

/// How Jobs are made.
#[derive(Clone, Debug, Serialize)]
pub struct KubernetesSection {
    /// The namespace of the runner Jobs.
    pub namespace: String,
    /// The service account of their pods.
    pub service_account: String,
    /// Whether runner images are built on demand.
    pub build_runner_image: bool,
    /// Where built images are pushed: `host[:port][/path]`, without a slash at the end.
    pub docker_registry: Option<String>,
    /// One prebuilt image for all runs, unless images are built.
    pub runner_image: Option<String>,
    /// Whether logs are stored outside the pods.
    pub enable_external_logs: bool,
    /// The directory in which logs are kept, without `file://`.
    pub log_archive: Option<String>,
    /// Requests and limits, as a Kubernetes `ResourceRequirements`.
    pub pod_resources: Option<Value>,
    /// How long a finished Job is kept.
    pub ttl_seconds_after_finished: u32,
    /// Labels of the nodes that pods may run on.
    pub node_selector: BTreeMap<String, String>,
    /// An array of Kubernetes `Toleration`s.
    pub tolerations: Option<Value>,
    /// How often a failed pod is replaced.
    pub job_backoff_limit: u32,
    /// A Kubernetes `PodFailurePolicy`.
    pub pod_failure_policy: Option<Value>,
    /// When the kubelet pulls the image; the cluster's own rule if `None`.
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Names of Secrets with registries' credentials.
    pub image_pull_secrets: Vec<String>,
    /// How far the pods' security context is locked down.
    pub pod_security: PodSecurity,
    /// A strategic merge patch of the pod template. It may carry credentials.
    pub pod_template_patch: Option<Sensitive<Value>>,
    /// How long a stopped pod may take to end by itself.
    pub termination_grace_period_seconds: u32,
    /// How long a run may wait for a node; 0 is without end.
    pub schedule_timeout_seconds: u32,
    /// How long the program may take to begin once there is a node; 0 is without end.
    pub start_timeout_seconds: u32,
    /// How long the pull of an image may fail in a way that may pass.
    pub image_pull_grace_seconds: u32,
    /// Whether secret values may be written into a Job.
    pub plain_secrets: PlainSecrets,
    /// The context of the kubeconfig; its current one if `None`.
    pub kubeconfig_context: Option<String>,
    /// How images are built.
    pub builder: BuilderSection,
    /// The registries, `host[:port]`, that are asked over plain HTTP.
    pub plain_http_registries: Vec<String>,
    /// A docker `config.json` with the manager's own credentials for registries; the usual place if `None`.
    pub docker_config_file: Option<String>,
    /// Whether runs name their images by digest, where they are not built.
    pub pin_image_digests: bool,
}

/// How images are built.
#[derive(Clone, Debug, Serialize)]
pub struct BuilderSection {
    /// What builds.
    pub engine: BuilderEngine,
    /// The image of the builder; the engine's own if `None`.
    pub image: Option<String>,
    /// Requests and limits, as a Kubernetes `ResourceRequirements`; what most builds need if `None`.
    pub resources: Option<Value>,
    /// How long a build may run.
    pub timeout_seconds: u32,
    /// The service account of the builder's pod; that of all pods if `None`.
    pub service_account: Option<String>,
    /// The name of a docker config Secret.
    pub docker_config_secret: Option<String>,
    /// Where the layers of builds are kept.
    pub cache_repository: Option<String>,
    /// The platform that images are built for: `linux/<architecture>`.
    pub platform: Option<String>,
    /// The name of a `ConfigMap` with certificates.
    pub ca_bundle_config_map: Option<String>,
    /// Where images come from instead of their registries.
    pub mirrors: Vec<Mirror>,
    /// A text that changes the names of all images.
    pub rebuild_salt: Option<String>,
    /// How old an image may get.
    pub maximum_age_seconds: Option<u32>,
}

/// What builds images.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BuilderEngine {
    /// kaniko, the community's fork.
    #[default]
    Kaniko,
    /// `BuildKit` without root.
    BuildKit,
    /// buildah.
    Buildah,
}

impl BuilderEngine {
    /// Spells it as the variable does.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kaniko => "kaniko",
            Self::BuildKit => "buildkit",
            Self::Buildah => "buildah",
        }
    }
}

/// Where the images of a registry come from instead.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mirror {
    /// The registry that images name.
    pub registry: String,
    /// Who has them: `host[:port][/path]`.
    pub location: String,
}

/// What only AWS needs.
#[derive(Clone, Debug, Serialize)]
pub struct AwsSection {
    /// Where external logs go.
    pub bucket: Option<S3Location>,
    /// The region of registry and bucket.
    pub region: Option<String>,
    /// The address of a store that speaks S3 and is not AWS'.
    pub s3_endpoint: Option<String>,
    /// How objects are encrypted; as the bucket says if `None`.
    pub s3_encryption: Option<S3Encryption>,
    /// Whether repositories that are missing in ECR are made.
    pub create_repositories: bool,
}

/// How S3 encrypts an object.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum S3Encryption {
    /// With S3's own keys.
    S3,
    /// With a key of KMS.
    Kms {
        /// Its id or ARN; the account's own for S3 if `None`.
        key: Option<String>,
    },
}

/// A place in S3.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct S3Location {
    /// The bucket's name.
    pub bucket: String,
    /// What object keys begin with, without a slash at either end.
    pub prefix: Option<String>,
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prefix {
            Some(prefix) => write!(f, "s3://{}/{prefix}", self.bucket),
            None => write!(f, "s3://{}", self.bucket),
        }
    }
}

/// How many runs are admitted.
#[derive(Clone, Debug, Serialize)]
pub struct LauncherSection {
    /// How many runs are in progress at once.
    pub max_concurrent_runs: u32,
    /// How many runs may wait for their turn.
    pub max_queued_runs: u32,
    /// How often in a row a run is tried again whose program never began.
    pub start_retries: u32,
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum ImagePullPolicy {
    /// At each start.
    Always,
    /// Unless the node has it.
    IfNotPresent,
    /// Not at all: the node must have it.
    Never,
}

impl ImagePullPolicy {
    /// Spells it as Kubernetes does.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// How far the pods' security context is locked down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// The restricted level's settings, with `runAsNonRoot` only where the namespace enforces that level.
    #[default]
    Auto,
    /// What the restricted Pod Security level demands, `runAsNonRoot` included.
    Restricted,
    /// What the baseline level demands.
    Baseline,
    /// No security context at all.
    None,
}

/// Whether secret values may be written into a Job, where the role has no right to make Secrets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlainSecrets {
    /// They are written, as nothing else is possible.
    #[default]
    Allow,
    /// Such a run is refused.
    Refuse,
}
