//! The names of the variables, for those who inject checks or set one.

/// Which implementation runs the workloads.
pub const IMPLEMENTATION_SOURCE: &str = "ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE";
/// How many runs are in progress at once.
pub const MAX_CONCURRENT_SNAPSHOT_RUNS: &str = "ZENML_SERVER_MAX_CONCURRENT_SNAPSHOT_RUNS";
/// The older name of [`MAX_CONCURRENT_SNAPSHOT_RUNS`].
pub const MAX_CONCURRENT_TEMPLATE_RUNS: &str = "ZENML_SERVER_MAX_CONCURRENT_TEMPLATE_RUNS";
/// How many runs may wait for their turn.
pub const MAX_QUEUED_SNAPSHOT_RUNS: &str = "ZENML_SERVER_MAX_QUEUED_SNAPSHOT_RUNS";

/// The namespace of the runner Jobs.
pub const NAMESPACE: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE";
/// The service account of the runner pods.
pub const SERVICE_ACCOUNT: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT";
/// Whether runner images are built on demand.
pub const BUILD_RUNNER_IMAGE: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILD_RUNNER_IMAGE";
/// The registry that built images are pushed to.
pub const DOCKER_REGISTRY: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_DOCKER_REGISTRY";
/// One prebuilt image for all runs.
pub const RUNNER_IMAGE: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_RUNNER_IMAGE";
/// Whether logs are stored outside the pods.
pub const ENABLE_EXTERNAL_LOGS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_ENABLE_EXTERNAL_LOGS";
/// Where logs are kept beside the pods, on this machine.
pub const LOG_ARCHIVE: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_LOG_ARCHIVE";
/// Requests and limits of the pods.
pub const POD_RESOURCES: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_RESOURCES";
/// How long a finished Job is kept.
pub const TTL_SECONDS_AFTER_FINISHED: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_TTL_SECONDS_AFTER_FINISHED";
/// Labels of the nodes that pods may run on.
pub const NODE_SELECTOR: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_NODE_SELECTOR";
/// Taints that the pods tolerate.
pub const TOLERATIONS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_TOLERATIONS";
/// How often a failed pod is replaced.
pub const JOB_BACKOFF_LIMIT: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_JOB_BACKOFF_LIMIT";
/// Which pod failures count.
pub const POD_FAILURE_POLICY: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_FAILURE_POLICY";

/// When the kubelet pulls the image.
pub const IMAGE_PULL_POLICY: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_IMAGE_PULL_POLICY";
/// Secrets with the registries' credentials.
pub const IMAGE_PULL_SECRETS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_IMAGE_PULL_SECRETS";
/// How far the pods' security context is locked down.
pub const POD_SECURITY: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_SECURITY";
/// A patch of the pod template, applied last.
pub const POD_TEMPLATE_PATCH: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_TEMPLATE_PATCH";
/// How long a stopped pod may take to end by itself.
pub const TERMINATION_GRACE_PERIOD_SECONDS: &str =
    "ZENML_KUBERNETES_WORKLOAD_MANAGER_TERMINATION_GRACE_PERIOD_SECONDS";
/// How long a run may wait for a node.
pub const SCHEDULE_TIMEOUT_SECONDS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_SCHEDULE_TIMEOUT_SECONDS";
/// How often in a row a run is tried again whose program never began.
pub const START_RETRIES: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_START_RETRIES";
/// How long the program of a run may take to begin.
pub const START_TIMEOUT_SECONDS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_START_TIMEOUT_SECONDS";
/// How long the pull of an image may fail.
pub const IMAGE_PULL_GRACE_SECONDS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_IMAGE_PULL_GRACE_SECONDS";
/// Whether secret values may be written into a Job.
pub const PLAIN_SECRETS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_PLAIN_SECRETS";
/// The context of the kubeconfig to use.
pub const KUBECONFIG_CONTEXT: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_KUBECONFIG_CONTEXT";

/// What builds images.
pub const BUILDER_ENGINE: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_ENGINE";
/// The image of the builder.
pub const BUILDER_IMAGE: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_IMAGE";
/// Requests and limits of the builder.
pub const BUILDER_RESOURCES: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_RESOURCES";
/// How long a build may run.
pub const BUILDER_TIMEOUT_SECONDS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_TIMEOUT_SECONDS";
/// The service account of the builder.
pub const BUILDER_SERVICE_ACCOUNT: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_SERVICE_ACCOUNT";
/// The Secret with the builder's credentials.
pub const BUILDER_DOCKER_CONFIG_SECRET: &str =
    "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_DOCKER_CONFIG_SECRET";
/// Where the layers of builds are kept.
pub const BUILDER_CACHE_REPOSITORY: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_CACHE_REPOSITORY";
/// The platform that images are built for.
pub const BUILDER_PLATFORM: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_PLATFORM";
/// The certificates that the builder trusts.
pub const BUILDER_CA_BUNDLE_CONFIG_MAP: &str =
    "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_CA_BUNDLE_CONFIG_MAP";
/// Where images come from instead of their registries.
pub const BUILDER_MIRRORS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_MIRRORS";
/// A text that changes the names of all images.
pub const BUILDER_REBUILD_SALT: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_REBUILD_SALT";
/// How old an image may get.
pub const BUILDER_MAXIMUM_AGE_SECONDS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILDER_MAXIMUM_AGE_SECONDS";
/// The registries that are asked over plain HTTP.
pub const PLAIN_HTTP_REGISTRIES: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_PLAIN_HTTP_REGISTRIES";
/// The manager's own credentials for registries.
pub const DOCKER_CONFIG_FILE: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_DOCKER_CONFIG_FILE";
/// Whether runs name their images by digest.
pub const PIN_IMAGE_DIGESTS: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_PIN_IMAGE_DIGESTS";

/// The S3 bucket of the external logs.
pub const BUCKET: &str = "ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_BUCKET";
/// The AWS region of registry and bucket.
pub const REGION: &str = "ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_REGION";
/// The address of a store that speaks S3 and is not AWS'.
pub const S3_ENDPOINT: &str = "ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_S3_ENDPOINT";
/// How the objects of the external logs are encrypted.
pub const S3_ENCRYPTION: &str = "ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_S3_ENCRYPTION";
/// Whether repositories that are missing in ECR are made.
pub const CREATE_REPOSITORIES: &str = "ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_CREATE_REPOSITORIES";

/// What the names of the Kubernetes implementation's variables begin with.
pub const KUBERNETES_PREFIX: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_";
/// What the names of the AWS implementation's variables begin with.
pub const AWS_PREFIX: &str = "ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_";
/// What the names of the server's variables begin with.
pub const SERVER_PREFIX: &str = "ZENML_SERVER_";
