//! What the pods of all engines have in common.

use serde_json::{Map, Value, json};

use super::Work;
use crate::plan::BuildPlan;

/// The Dockerfile, which the pod reads as a file: this needs no further object and no further right.
const DOCKERFILE: &str = "workload-manager/dockerfile";
/// The engine's own file about registries.
const REGISTRIES: &str = "workload-manager/registries";
const UNCONFINED: &str = "container.apparmor.security.beta.kubernetes.io/builder";

/// Where the Dockerfile is.
pub(super) const INPUT: &str = "/wm";
/// An empty directory: Dockerfiles here have no build context.
pub(super) const CONTEXT: &str = "/wm-context";
/// Where certificates are.
pub(super) const CERTIFICATES: &str = "/wm-certificates";
/// The variable in which credentials come that are made for one build.
pub(crate) const CREDENTIALS: &str = "DOCKER_AUTH_CONFIG";
/// What the container writes the digest into.
pub(super) const TERMINATION: &str = "/dev/termination-log";

/// What is a build's own; the rest is the same for all engines.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) image: &'static str,
    /// Empty for the image's entrypoint.
    pub(super) command: Vec<String>,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// The container's security context.
    pub(super) security: Value,
    /// The pod's security context.
    pub(super) pod_security: Value,
    /// Directories that the engine writes much into.
    pub(super) scratch: Vec<(&'static str, &'static str)>,
    /// Where the docker config Secret is mounted.
    pub(super) docker_config: &'static str,
    /// A file about registries: its name beside the Dockerfile and its text.
    pub(super) registries: Option<(&'static str, String)>,
}

/// Puts the pod together.
pub(super) fn template(work: &Work<'_>, builder: Builder) -> Value {
    let settings = work.settings;
    let mut annotations = json!({
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
        DOCKERFILE: work.dockerfile,
    });
    if builder.security["appArmorProfile"]["type"] == "Unconfined" {
        // Clusters before 1.30 know no such field.
        annotations[UNCONFINED] = json!("unconfined");
    }
    let mut files = vec![file("Dockerfile", DOCKERFILE)];
    if let Some((name, text)) = builder.registries {
        annotations[REGISTRIES] = json!(text);
        files.push(file(name, REGISTRIES));
    }
    let mut volumes = vec![
        json!({ "name": "input", "downwardAPI": { "items": files } }),
        json!({ "name": "context", "emptyDir": {} }),
    ];
    let mut mounts = vec![mount("input", INPUT, true), mount("context", CONTEXT, false)];
    for (name, path) in builder.scratch {
        volumes.push(json!({ "name": name, "emptyDir": {} }));
        mounts.push(mount(name, path, false));
    }
    if let Some(secret) = &settings.docker_config_secret {
        let items = json!([{ "key": ".dockerconfigjson", "path": "config.json" }]);
        volumes.push(json!({ "name": "docker-config", "secret": { "secretName": secret, "items": items } }));
        mounts.push(mount("docker-config", builder.docker_config, true));
    }
    if let Some(name) = &settings.ca_bundle_config_map {
        volumes.push(json!({ "name": "certificates", "configMap": { "name": name } }));
        mounts.push(mount("certificates", CERTIFICATES, true));
    }

    let image = settings.image.as_ref().map_or(builder.image, |image| image.as_str());
    let mut container = Map::new();
    let mut set = |key: &str, value: Value| container.insert(key.to_owned(), value);
    set("name", json!(BuildPlan::CONTAINER));
    set("image", json!(image));
    if let Some(image) = &settings.image {
        set("imagePullPolicy", json!(image.pull_policy().as_str()));
    } else {
        set("imagePullPolicy", json!("IfNotPresent"));
    }
    if !builder.command.is_empty() {
        set("command", json!(builder.command));
    }
    set("args", json!(builder.arguments.iter().map(|word| literal(word)).collect::<Vec<_>>()));
    let own = builder.environment.iter().map(|(name, value)| (*name, value.as_str()));
    let given = work.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let environment: Vec<_> =
        own.chain(given).map(|(name, value)| json!({ "name": name, "value": literal(value) })).collect();
    if !environment.is_empty() {
        set("env", json!(environment));
    }
    set("resources", settings.resources.clone().unwrap_or_else(usual_resources));
    set("securityContext", builder.security);
    // The digest after a success; the end of the log after a failure, if the file is still empty.
    set("terminationMessagePath", json!(TERMINATION));
    set("terminationMessagePolicy", json!("FallbackToLogsOnError"));
    set("volumeMounts", json!(mounts));

    let mut spec = json!({
        "restartPolicy": "Never",
        // A RUN instruction is no client of the cluster. Cloud identities bring volumes of their own.
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        // A build that is ended has nothing to bring to safety.
        "terminationGracePeriodSeconds": 5,
        "securityContext": builder.pod_security,
        "containers": [container],
        "volumes": volumes,
    });
    if let Some(account) = &settings.service_account {
        spec["serviceAccountName"] = json!(account);
    }
    if let Some(platform) = &settings.platform {
        spec["nodeSelector"] = json!({ "kubernetes.io/arch": platform.architecture() });
    }
    json!({ "metadata": { "annotations": annotations }, "spec": spec })
}

/// A base image is unpacked and a new one packed in the container's own file system.
fn usual_resources() -> Value {
    json!({ "requests": { "cpu": "500m", "memory": "2Gi", "ephemeral-storage": "8Gi" } })
}

fn file(path: &str, annotation: &str) -> Value {
    json!({ "path": path, "fieldRef": { "fieldPath": format!("metadata.annotations['{annotation}']") } })
}

fn mount(name: &str, path: &str, read_only: bool) -> Value {
    let mut mount = json!({ "name": name, "mountPath": path });
    if read_only {
        mount["readOnly"] = json!(true);
    }
    mount
}

/// Kubernetes expands `$(NAME)` and takes `$$` for `$`; ours are meant as they are written.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// Wraps the script of an engine that runs in a shell: its arguments are `$@`.
pub(super) fn shell(script: &str) -> Vec<String> {
    ["sh", "-euc", script, BuildPlan::CONTAINER].map(str::to_owned).to_vec()
}

/// Writes the credentials of one build where the engine looks, and takes them out of the environment.
pub(super) fn keep_credentials(directory: &str) -> String {
    format!(
        "mkdir -p {directory}\n(umask 077; printf %s \"${CREDENTIALS}\" > {directory}/config.json)\nunset {CREDENTIALS}\n"
    )
}
