use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    BuilderEngine, Work,
    pod::{self, Builder},
};
use crate::settings::{BuilderSettings, EngineName};

const IMAGE: &str = "docker.io/moby/buildkit:v0.32.2-rootless";
/// Where the docker config is.
const DOCKER_CONFIG: &str = "/home/user/.docker";
/// The client renames a file onto its metadata file, which can't be the termination log itself.
const METADATA: &str = "/tmp/metadata.json";

/// `BuildKit`, its daemon and its client in one container of an ordinary user.
///
/// It makes user namespaces, so it needs seccomp and `AppArmor` out of its way: the Pod Security level *privileged*.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BuildKit;

impl BuildKit {
    /// Makes the engine.
    pub fn new() -> Self {
        Self
    }
}

#[deny(clippy::missing_trait_methods)]
impl BuilderEngine for BuildKit {
    fn name(&self) -> EngineName {
        EngineName::BuildKit
    }

    fn default_image(&self) -> &'static str {
        IMAGE
    }

    fn uses_pod_identity(&self) -> bool {
        false
    }

    fn template(&self, work: &Work<'_>) -> Value {
        let settings = work.settings;
        let registries = registries(settings);
        let mut flags = "--oci-worker-no-process-sandbox".to_owned();
        if registries.is_some() {
            _ = write!(flags, " --config={}/buildkitd.toml", pod::INPUT);
        }
        let mut environment = vec![
            ("BUILDKITD_FLAGS", flags),
            ("XDG_RUNTIME_DIR", "/home/user/.local/tmp".to_owned()),
            ("DOCKER_CONFIG", DOCKER_CONFIG.to_owned()),
        ];
        if settings.ca_bundle_config_map.is_some() {
            environment.push(("SSL_CERT_DIR", format!("/etc/ssl/certs:{}", pod::CERTIFICATES)));
        }
        pod::template(
            work,
            Builder {
                image: self.default_image(),
                command: pod::shell(&script(work)),
                arguments: arguments(work),
                environment,
                security: json!({
                    "runAsUser": 1000,
                    "runAsGroup": 1000,
                    "seccompProfile": { "type": "Unconfined" },
                    "appArmorProfile": { "type": "Unconfined" },
                }),
                pod_security: json!({ "fsGroup": 1000 }),
                scratch: vec![
                    ("state", "/home/user/.local/share/buildkit"),
                    ("runtime", "/home/user/.local/tmp"),
                    ("temporary", "/tmp"),
                ],
                docker_config: DOCKER_CONFIG,
                registries: registries.map(|text| ("buildkitd.toml", text)),
            },
        )
    }
}

fn script(work: &Work<'_>) -> String {
    let credentials = if work.has_credentials { pod::keep_credentials(DOCKER_CONFIG) } else { String::new() };
    let termination = pod::TERMINATION;
    format!(
        r#"{credentials}buildctl-daemonless.sh build "$@"
sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' {METADATA} | head -n 1 | tr -d '\n' > {termination}
"#
    )
}

fn arguments(work: &Work<'_>) -> Vec<String> {
    let settings = work.settings;
    let plain = work.image.registry().is_some_and(|registry| settings.is_plain(registry));
    let insecure = if plain { ",registry.insecure=true" } else { "" };
    let mut arguments = vec![
        "--progress=plain".to_owned(),
        "--frontend=dockerfile.v0".to_owned(),
        format!("--local=context={}", pod::CONTEXT),
        format!("--local=dockerfile={}", pod::INPUT),
        format!("--output=type=image,name={},push=true{insecure}", work.image),
        format!("--metadata-file={METADATA}"),
    ];
    if let Some(platform) = &settings.platform {
        arguments.push(format!("--opt=platform={platform}"));
    }
    if let Some(repository) = &settings.cache_repository {
        arguments.push(format!("--import-cache=type=registry,ref={repository}:buildcache"));
        arguments.push(format!(
            "--export-cache=type=registry,ref={repository}:buildcache,mode=max,ignore-error=true"
        ));
    }
    arguments
}

/// The daemon's own file about mirrors and registries without TLS; its strings are JSON's.
fn registries(settings: &BuilderSettings) -> Option<String> {
    let mut text = String::new();
    for name in settings.special_registries() {
        _ = writeln!(text, "[registry.{}]", json!(name));
        let mirrors: Vec<&str> = settings
            .mirrors
            .iter()
            .filter(|mirror| mirror.registry == name)
            .map(|mirror| mirror.location.as_str())
            .collect();
        if !mirrors.is_empty() {
            _ = writeln!(text, "mirrors = {}", json!(mirrors));
        }
        if settings.is_plain(name) {
            _ = writeln!(text, "http = true");
        }
    }
    (!text.is_empty()).then_some(text)
}
