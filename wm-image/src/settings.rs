use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wm_core::{Error, ErrorKind, ImageReference, Result};

/// How images are built, and where they are pushed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuilderSettings {
    /// Where images are pushed: `host[:port][/path]`.
    pub registry: String,
    /// What builds.
    #[serde(default)]
    pub engine: EngineName,
    /// The image of the builder; the engine's own if unset.
    #[serde(default)]
    pub image: Option<ImageReference>,
    /// The builder's `resources`, in Kubernetes' own form; what most builds need if unset.
    #[serde(default)]
    pub resources: Option<Value>,
    /// How long a build may run, in seconds.
    #[serde(default = "an_hour")]
    pub timeout_seconds: u32,
    /// The service account of the builder's pod; that of all pods if unset.
    #[serde(default)]
    pub service_account: Option<String>,
    /// A repository, with its registry, that keeps the layers of builds for later ones.
    #[serde(default)]
    pub cache_repository: Option<ImageReference>,
    /// The platform to build for, on a node of its architecture.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// A `ConfigMap` with certificates that the builder trusts besides the usual ones; every key is a PEM file.
    #[serde(default)]
    pub ca_bundle_config_map: Option<String>,
    /// Where images come from instead of their own registries.
    #[serde(default)]
    pub mirrors: Vec<Mirror>,
    /// The registries, `host[:port]`, that are asked over plain HTTP. No other is.
    #[serde(default)]
    pub plain_http_registries: Vec<String>,
    /// A Secret of the type `kubernetes.io/dockerconfigjson` with the builder's credentials.
    #[serde(default)]
    pub docker_config_secret: Option<String>,
    /// Changes the names of all images, so that they are built anew.
    #[serde(default)]
    pub rebuild_salt: Option<String>,
    /// How old an image may get before it is built anew, in seconds.
    #[serde(default)]
    pub maximum_age_seconds: Option<u64>,
}

const fn an_hour() -> u32 {
    3600
}

impl BuilderSettings {
    /// Makes settings that push to a registry and leave the rest as it is.
    pub fn new(registry: impl Into<String>) -> Self {
        Self {
            registry: registry.into(),
            engine: EngineName::default(),
            image: None,
            resources: None,
            timeout_seconds: an_hour(),
            service_account: None,
            cache_repository: None,
            platform: None,
            ca_bundle_config_map: None,
            mirrors: Vec::new(),
            plain_http_registries: Vec::new(),
            docker_config_secret: None,
            rebuild_salt: None,
            maximum_age_seconds: None,
        }
    }

    /// The registries that are not asked as all others are: those with mirrors and those without TLS, in order.
    pub(crate) fn special_registries(&self) -> BTreeSet<&str> {
        let mirrored = self.mirrors.iter().map(|mirror| mirror.registry.as_str());
        mirrored.chain(self.plain_http_registries.iter().map(String::as_str)).collect()
    }

    /// Checks what needs no cluster and no registry.
    ///
    /// # Errors
    /// `InvalidConfig`, naming the setting.
    pub fn check(&self) -> Result<()> {
        self.image_of("zenml-runner:0").map_err(|error| {
            refused("registry", "is no host[:port][/path] that an image can be pushed to", &self.registry)
                .with_source(error)
        })?;
        if self.timeout_seconds == 0 {
            return Err(refused("timeout_seconds", "must be at least 1", "0"));
        }
        if self.maximum_age_seconds.is_some_and(|age| age < 3600) {
            return Err(refused(
                "maximum_age_seconds",
                "must be an hour at least, or all images are built again and again",
                "",
            ));
        }
        if let Some(cache) =
            self.cache_repository.as_ref().filter(|cache| cache.tag().or(cache.digest()).is_some())
        {
            return Err(refused("cache_repository", "is a repository, without a tag", cache.as_str()));
        }
        for registry in &self.plain_http_registries {
            check_host("plain_http_registries", registry)?;
        }
        for Mirror { registry, location } in &self.mirrors {
            check_host("mirrors", registry)?;
            let (host, path) = location.split_once('/').unwrap_or((location, "x"));
            check_host("mirrors", host)?;
            format!("{host}/{path}").parse::<ImageReference>().map_err(|error| {
                refused("mirrors", "is no host[:port][/path]", location).with_source(error)
            })?;
        }
        Ok(())
    }

    /// The name that an image has in the registry.
    pub(crate) fn image_of(&self, name: &str) -> Result<ImageReference> {
        let image: ImageReference = format!("{}/{name}", self.registry).parse()?;
        if image.registry().is_none() {
            return Err(Error::new(ErrorKind::InvalidConfig, "the registry has no host"));
        }
        Ok(image)
    }

    /// Whether a registry is asked over plain HTTP.
    pub(crate) fn is_plain(&self, registry: &str) -> bool {
        self.plain_http_registries.iter().any(|plain| plain == registry)
    }
}

fn check_host(setting: &'static str, host: &str) -> Result<()> {
    let image = format!("{host}/a").parse::<ImageReference>();
    if image.is_ok_and(|image| image.registry() == Some(host)) {
        return Ok(());
    }
    Err(refused(setting, "is no host[:port] of a registry", host))
}

fn refused(setting: &'static str, why: &str, value: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("the builder's {setting} {why}"))
        .with_context("value", value.to_owned())
}

/// Which engine builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// kaniko, the community's fork: the only one that a namespace of the Pod Security level *baseline* admits.
    #[default]
    Kaniko,
    /// `BuildKit` without root and without a daemon.
    BuildKit,
    /// buildah with chroot isolation.
    Buildah,
}

impl EngineName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kaniko, Self::BuildKit, Self::Buildah];

    /// As it is written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kaniko => "kaniko",
            Self::BuildKit => "buildkit",
            Self::Buildah => "buildah",
        }
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the images of a registry come from instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The registry that images name, `docker.io` for Docker Hub.
    pub registry: String,
    /// Who has them: `host[:port][/path]`.
    pub location: String,
}

/// An operating system and an architecture, such as `linux/arm64`.
///
/// Invariant: `linux`, a slash, an architecture in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform(String);

impl Platform {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The architecture, as in the label `kubernetes.io/arch`.
    pub fn architecture(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if matches!(parts[..], ["linux", _] | ["linux", _, _]) && parts.iter().all(is_word) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(
            ErrorKind::InvalidConfig,
            "a platform is linux/<architecture>, for example linux/arm64",
        )
        .with_context("platform", text))
    }
}

impl TryFrom<String> for Platform {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.0
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut BuilderSettings);

    fn mirror(registry: &str, location: &str) -> Mirror {
        Mirror { registry: registry.to_owned(), location: location.to_owned() }
    }

    fn settings() -> BuilderSettings {
        BuilderSettings::new("registry.example.com/team")
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |change: Change| {
            let mut settings = settings();
            change(&mut settings);
            settings.check().map_err(|error| error.to_string())
        };
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(
            check(|s| s.plain_http_registries = vec!["r.io:5000".to_owned(), "localhost".to_owned()]),
            Ok(())
        );
        assert_eq!(check(|s| s.mirrors = vec![mirror("docker.io", "m.example.com:5000/hub")]), Ok(()));
        let wrong: [(&str, Change); 10] = [
            ("registry", |s| s.registry = "https://r.io".to_owned()),
            ("registry", |s| s.registry = "r.io/".to_owned()),
            ("registry", |s| s.registry = "team".to_owned()),
            ("registry", |s| s.registry = "r.io/Team".to_owned()),
            ("timeout_seconds", |s| s.timeout_seconds = 0),
            ("maximum_age_seconds", |s| s.maximum_age_seconds = Some(60)),
            ("cache_repository", |s| s.cache_repository = Some("r.io/cache:1".parse().unwrap())),
            ("plain_http_registries", |s| s.plain_http_registries = vec!["http://r.io".to_owned()]),
            ("mirrors", |s| s.mirrors = vec![mirror("docker.io/library", "r.io")]),
            ("mirrors", |s| s.mirrors = vec![mirror("docker.io", "https://r.io")]),
        ];
        for (setting, change) in wrong {
            let error = check(change).unwrap_err();
            assert!(error.contains(setting), "{error}");
        }
    }

    #[test]
    fn a_platform_is_an_architecture_of_linux() {
        let platform: Platform = "linux/arm64".parse().unwrap();
        assert_eq!(platform.architecture(), "arm64");
        assert_eq!("linux/arm/v7".parse::<Platform>().unwrap().architecture(), "arm");
        for text in ["", "linux", "arm64", "windows/amd64", "linux/", "linux/arm 64", "linux/a/b/c"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
