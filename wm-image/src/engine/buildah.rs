use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    BuilderEngine, Work,
    pod::{self, Builder},
};
use crate::settings::{BuilderSettings, EngineName};

const IMAGE: &str = "quay.io/buildah/stable:v1.43.2";
/// Where the docker config is.
const DOCKER_CONFIG: &str = "/wm-docker";
const DIGEST: &str = "/tmp/digest";

/// buildah as root, its instructions isolated by chroot and its layers plain directories.
///
/// It makes namespaces, so it needs seccomp and `AppArmor` out of its way: the Pod Security level *privileged*.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Buildah;

impl Buildah {
    /// Makes the engine.
    pub fn new() -> Self {
        Self
    }
}

#[deny(clippy::missing_trait_methods)]
impl BuilderEngine for Buildah {
    fn name(&self) -> EngineName {
        EngineName::Buildah
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
        let mut environment =
            vec![("BUILDAH_ISOLATION", "chroot".to_owned()), ("STORAGE_DRIVER", "vfs".to_owned())];
        if registries.is_some() {
            environment.push(("CONTAINERS_REGISTRIES_CONF", format!("{}/registries.conf", pod::INPUT)));
        }
        if settings.docker_config_secret.is_some() || work.has_credentials {
            environment.push(("REGISTRY_AUTH_FILE", format!("{DOCKER_CONFIG}/config.json")));
        }
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
                    "runAsUser": 0,
                    "capabilities": { "add": ["SETFCAP"] },
                    "seccompProfile": { "type": "Unconfined" },
                    "appArmorProfile": { "type": "Unconfined" },
                }),
                pod_security: json!({}),
                scratch: vec![("storage", "/var/lib/containers")],
                docker_config: DOCKER_CONFIG,
                registries: registries.map(|text| ("registries.conf", text)),
            },
        )
    }
}

fn script(work: &Work<'_>) -> String {
    let credentials = if work.has_credentials { pod::keep_credentials(DOCKER_CONFIG) } else { String::new() };
    let termination = pod::TERMINATION;
    format!(
        r#"{credentials}image=$1
shift
buildah build "$@"
buildah push --digestfile={DIGEST} "$image" "docker://$image"
cat {DIGEST} > {termination}
"#
    )
}

fn arguments(work: &Work<'_>) -> Vec<String> {
    let settings = work.settings;
    let mut arguments = vec![
        work.image.to_string(),
        format!("--file={}/Dockerfile", pod::INPUT),
        format!("--tag={}", work.image),
    ];
    if let Some(platform) = &settings.platform {
        arguments.push(format!("--platform={platform}"));
    }
    if let Some(repository) = &settings.cache_repository {
        arguments.push("--layers".to_owned());
        arguments.push(format!("--cache-from={repository}"));
        arguments.push(format!("--cache-to={repository}"));
    }
    arguments.push(pod::CONTEXT.to_owned());
    arguments
}

/// Its own file about mirrors and registries without TLS; its strings are JSON's.
fn registries(settings: &BuilderSettings) -> Option<String> {
    let mut text = String::new();
    for name in settings.special_registries() {
        _ = writeln!(text, "[[registry]]\nlocation = {}", json!(name));
        if settings.is_plain(name) {
            _ = writeln!(text, "insecure = true");
        }
        for mirror in settings.mirrors.iter().filter(|mirror| mirror.registry == name) {
            _ = writeln!(text, "[[registry.mirror]]\nlocation = {}", json!(mirror.location));
            let host = mirror.location.split('/').next().unwrap_or_default();
            if settings.is_plain(host) {
                _ = writeln!(text, "insecure = true");
            }
        }
    }
    (!text.is_empty()).then_some(text)
}
