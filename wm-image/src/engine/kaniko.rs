use serde_json::{Value, json};

use super::{
    BuilderEngine, Work,
    pod::{self, Builder},
};
use crate::settings::EngineName;

/// The community's fork, at a version whose every release is kept.
const IMAGE: &str = "ghcr.io/osscontainertools/kaniko:v1.28.3";

const ALWAYS: [&str; 8] = [
    // Another cluster may have pushed the same image meanwhile.
    "--push-ignore-immutable-tag-errors",
    "--push-retry=3",
    "--image-fs-extract-retry=3",
    "--image-download-retry=3",
    "--compressed-caching=false",
    "--snapshot-mode=redo",
    "--ignore-path=/product_uuid",
    "--log-format=text",
];

/// kaniko unpacks the base image over its own container and runs the instructions there, as root but without any
/// privilege: a namespace of the Pod Security level *baseline* admits it.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Kaniko;

impl Kaniko {
    /// Makes the engine.
    pub fn new() -> Self {
        Self
    }
}

#[deny(clippy::missing_trait_methods)]
impl BuilderEngine for Kaniko {
    fn name(&self) -> EngineName {
        EngineName::Kaniko
    }

    fn default_image(&self) -> &'static str {
        IMAGE
    }

    fn uses_pod_identity(&self) -> bool {
        true
    }

    fn template(&self, work: &Work<'_>) -> Value {
        let settings = work.settings;
        let mut environment = Vec::new();
        if settings.ca_bundle_config_map.is_some() {
            environment.push(("SSL_CERT_DIR", format!("/kaniko/ssl/certs:{}", pod::CERTIFICATES)));
        }
        pod::template(
            work,
            Builder {
                image: self.default_image(),
                arguments: arguments(work),
                environment,
                security: json!({
                    "runAsUser": 0,
                    "allowPrivilegeEscalation": false,
                    "capabilities": {
                        "drop": ["ALL"],
                        "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "SETFCAP", "KILL"],
                    },
                    "seccompProfile": { "type": "RuntimeDefault" },
                }),
                pod_security: json!({}),
                docker_config: "/kaniko/.docker",
                ..Builder::default()
            },
        )
    }
}

fn arguments(work: &Work<'_>) -> Vec<String> {
    let settings = work.settings;
    let mut arguments = vec![
        format!("--dockerfile={}/Dockerfile", pod::INPUT),
        format!("--context=dir://{}", pod::CONTEXT),
        format!("--destination={}", work.image),
        format!("--digest-file={}", pod::TERMINATION),
    ];
    arguments.extend(ALWAYS.map(str::to_owned));
    let mut add = |argument: String| arguments.push(argument);
    match &settings.cache_repository {
        Some(repository) => {
            add("--cache=true".to_owned());
            add(format!("--cache-repo={repository}"));
        }
        None => add("--single-snapshot".to_owned()),
    }
    if let Some(platform) = &settings.platform {
        add(format!("--custom-platform={platform}"));
    }
    for registry in &settings.plain_http_registries {
        add(format!("--insecure-registry={registry}"));
    }
    for mirror in &settings.mirrors {
        // It knows Docker Hub by its oldest name.
        let registry = if mirror.registry == "docker.io" { "index.docker.io" } else { &mirror.registry };
        add(format!("--registry-map={registry}={}", mirror.location));
    }
    arguments
}
