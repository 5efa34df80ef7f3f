use std::{fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Capabilities, Error, ErrorKind, Result, WorkloadId, WorkloadKind};

/// The name of a container image: `[registry/]repository[:tag][@digest]`, after the grammar of the OCI distribution
/// specification and its reference implementation.
///
/// Invariant: it parses; what was written is kept as it was written.
///
/// ```
/// use wm_core::ImageReference;
///
/// let image: ImageReference = "registry.example.com:5000/team/app:1.2".parse()?;
/// assert_eq!(image.registry(), Some("registry.example.com:5000"));
/// assert_eq!(image.repository(), "team/app");
/// assert_eq!(image.tag(), Some("1.2"));
/// # Ok::<(), wm_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    text: String,
    /// Where the repository begins in `text`: behind the registry and its slash.
    repository_start: usize,
    repository_end: usize,
    tag_end: usize,
}

impl ImageReference {
    /// The registry's host and port; `None` means Docker Hub.
    pub fn registry(&self) -> Option<&str> {
        self.repository_start.checked_sub(1).map(|end| &self.text[..end])
    }

    /// The repository, as written.
    pub fn repository(&self) -> &str {
        &self.text[self.repository_start..self.repository_end]
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        (self.tag_end > self.repository_end).then(|| &self.text[self.repository_end + 1..self.tag_end])
    }

    /// The digest, with its algorithm.
    pub fn digest(&self) -> Option<&str> {
        (self.text.len() > self.tag_end).then(|| &self.text[self.tag_end + 1..])
    }

    /// The reference as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same repository with another tag, and no digest.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        format!("{}:{tag}", self.name()).parse()
    }

    /// The image of a digest in the same repository; the tag goes, as the digest says more.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no digest.
    pub fn with_digest(&self, digest: &str) -> Result<Self> {
        format!("{}@{digest}", self.name()).parse()
    }

    /// When a node pulls the image, if nobody says: a digest never changes, `latest` and no tag at all always may.
    pub fn pull_policy(&self) -> PullPolicy {
        match (self.digest(), self.tag()) {
            (Some(_), _) => PullPolicy::IfNotPresent,
            (None, None | Some("latest")) => PullPolicy::Always,
            (None, Some(_)) => PullPolicy::IfNotPresent,
        }
    }

    /// Registry and repository.
    fn name(&self) -> &str {
        &self.text[..self.repository_end]
    }
}

/// When a node pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PullPolicy {
    /// Each time that a container starts.
    Always,
    /// When the node doesn't have it.
    IfNotPresent,
}

impl PullPolicy {
    /// As Kubernetes spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
        }
    }
}

impl FromStr for ImageReference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: String| {
            Err(Error::new(
                ErrorKind::InvalidRequest,
                format!("{why}; an image is [registry/]repository[:tag][@digest]"),
            )
            .with_context("image", text.chars().take(200).collect::<String>()))
        };
        let (name_and_tag, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let repository_start = match name_and_tag.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" || has_upper(first) => {
                first.len() + 1
            }
            _ => 0,
        };
        let rest = &name_and_tag[repository_start..];
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if text.contains("://") {
            return refuse("an image has no scheme such as https://".to_owned());
        }
        if repository_start > 0 && !is_registry(&text[..repository_start - 1]) {
            return refuse(format!("{:?} is no host[:port]", &text[..repository_start - 1]));
        }
        if repository.is_empty() {
            return refuse("the repository is missing".to_owned());
        }
        if repository_start + repository.len() > 255 {
            return refuse("registry and repository have more than 255 characters".to_owned());
        }
        if !repository.split('/').all(is_path_component) {
            return refuse(format!(
                "{repository:?} is no repository: lower-case letters and digits, joined by '.', '_', '__' or dashes, parted by '/'"
            ));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return refuse(format!("{:?} is no tag", tag.unwrap_or_default()));
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return refuse(format!(
                "{:?} is no digest such as sha256:<64 hex digits>",
                digest.unwrap_or_default()
            ));
        }
        Ok(Self {
            repository_end: repository_start + repository.len(),
            tag_end: name_and_tag.len(),
            repository_start,
            text: text.to_owned(),
        })
    }
}

fn has_upper(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<std::net::Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port));
    }
    let (host, port) = text.find(':').map_or((text, ""), |at| text.split_at(at));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && (port.is_empty() || is_port(port))
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    })
}

fn is_path_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alphanumeric(*first) || !alphanumeric(*last) {
        return false;
    }
    // Between alphanumerics stand one dot, one or two underscores, or any number of dashes.
    text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    })
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match algorithm {
        "sha256" => hex.len() == 64 && hex.bytes().all(lower_hex),
        "sha384" => hex.len() == 96 && hex.bytes().all(lower_hex),
        "sha512" => hex.len() == 128 && hex.bytes().all(lower_hex),
        _ => {
            !algorithm.is_empty()
                && algorithm.split(['+', '.', '_', '-']).all(|part| {
                    part.starts_with(|c: char| c.is_ascii_alphabetic())
                        && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
                })
                && hex.len() >= 32
                && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for ImageReference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ImageReference> for String {
    fn from(image: ImageReference) -> Self {
        image.text
    }
}

/// Asks for the image of a runner.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageRequest {
    /// For which workload.
    pub workload: WorkloadId,
    /// What the workload's id names.
    pub kind: WorkloadKind,
    /// The image that the workload's snapshot was built with.
    pub snapshot_image: Option<ImageReference>,
    /// The Dockerfile of the image, as text; it has no build context.
    pub dockerfile: Option<String>,
    /// What a built image is called, `repository:tag` without a registry; the tag is a hash of the Dockerfile.
    pub image_name: Option<String>,
    /// What a generated Dockerfile installs, for callers that bring none.
    pub requirements: Option<ImageRequirements>,
}

impl ImageRequest {
    /// Asks for the image of a workload.
    pub fn new(workload: WorkloadId, kind: WorkloadKind, snapshot_image: Option<ImageReference>) -> Self {
        Self { workload, kind, snapshot_image, dockerfile: None, image_name: None, requirements: None }
    }

    /// Sets the Dockerfile, for strategies that build.
    #[must_use]
    pub fn with_dockerfile(mut self, dockerfile: impl Into<String>) -> Self {
        self.dockerfile = Some(dockerfile.into());
        self
    }

    /// Sets what the built image is called.
    #[must_use]
    pub fn with_image_name(mut self, name: impl Into<String>) -> Self {
        self.image_name = Some(name.into());
        self
    }

    /// Sets what a generated Dockerfile installs.
    #[must_use]
    pub fn with_requirements(mut self, requirements: ImageRequirements) -> Self {
        self.requirements = Some(requirements);
        self
    }
}

/// What an image is made of, for a Dockerfile that is generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRequirements {
    /// The image that it is built on.
    pub parent: ImageReference,
    /// Packages for `apt-get`.
    #[serde(default)]
    pub apt_packages: Vec<String>,
    /// Requirements for pip, as in a requirements file.
    #[serde(default)]
    pub pip_requirements: Vec<String>,
    /// What installs the requirements for pip.
    #[serde(default)]
    pub installer: PythonInstaller,
}

impl ImageRequirements {
    /// Asks for an image that adds nothing to its parent.
    pub fn new(parent: ImageReference) -> Self {
        let installer = PythonInstaller::default();
        Self { parent, apt_packages: Vec::new(), pip_requirements: Vec::new(), installer }
    }
}

/// What installs Python packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PythonInstaller {
    /// uv, which is much faster and is installed first.
    #[default]
    Uv,
    /// pip itself.
    Pip,
}

/// The image that a runner starts from, and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ResolvedImage {
    /// The image.
    pub image: ImageReference,
    /// Why it is that one, as one sentence for the workload's log.
    pub explanation: String,
}

impl ResolvedImage {
    /// Names an image and says why.
    pub fn new(image: ImageReference, explanation: impl Into<String>) -> Self {
        Self { image, explanation: explanation.into() }
    }
}

/// Chooses the image that a runner starts from.
#[async_trait]
pub trait ImageStrategy: fmt::Debug + Send + Sync + 'static {
    /// The strategy's name, as in the settings: `reuse`, `prebuilt`, `build`.
    fn name(&self) -> &'static str;

    /// What it adds to a manager's capabilities; only the fields about images count.
    fn capabilities(&self) -> Capabilities;

    /// Finds the image for a workload, and makes it where the strategy makes images.
    ///
    /// The same request gives the same image. Dropping the future stops the waiting, never a build that others share.
    ///
    /// # Errors
    /// `InvalidRequest` when the workload lacks what the strategy needs.
    async fn resolve(&self, request: &ImageRequest) -> Result<ResolvedImage>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ImageStrategy + ?Sized> ImageStrategy for Arc<S> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn resolve(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        (**self).resolve(request).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> (Option<String>, String, Option<String>, Option<String>) {
        let image: ImageReference = text.parse().unwrap();
        assert_eq!(image.to_string(), text);
        let own = |part: Option<&str>| part.map(str::to_owned);
        (own(image.registry()), image.repository().to_owned(), own(image.tag()), own(image.digest()))
    }

    #[test]
    fn references_are_taken_apart_as_a_registry_client_does() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("busybox"), (None, "busybox".to_owned(), None, None));
        assert_eq!(parts("library/busybox:1.36"), (None, "library/busybox".to_owned(), some("1.36"), None));
        assert_eq!(parts("localhost/a:b"), (some("localhost"), "a".to_owned(), some("b"), None));
        assert_eq!(parts("r.io:5000/a/b__c"), (some("r.io:5000"), "a/b__c".to_owned(), None, None));
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(
            parts(&format!("r.io/a:t@{digest}")),
            (some("r.io"), "a".to_owned(), some("t"), some(&digest))
        );
        assert_eq!(parts(&format!("a@{digest}")), (None, "a".to_owned(), None, some(&digest)));
        assert_eq!(parts("[::1]:5000/a"), (some("[::1]:5000"), "a".to_owned(), None, None));
    }

    #[test]
    fn what_no_registry_serves_is_refused() {
        for text in [
            "",
            " ",
            "a b",
            "A",
            "r.io/",
            "r.io//a",
            "a:",
            "a:-x",
            "a@sha256:123",
            "a@",
            "https://r.io/a",
            "r.io:port/a",
            "r.io:70000/a",
            "a___b",
            "a..b",
            "-a",
            "a-",
            "r_x.io/a",
            "<nothing>",
            "a:b:c",
            "r.io/a/",
        ] {
            let error = text.parse::<ImageReference>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in "[a-zA-Z0-9./:@_\\[\\]-]{0,40}") {
            if let Ok(image) = text.parse::<ImageReference>() {
                let mut again = String::new();
                if let Some(registry) = image.registry() { again += registry; again += "/"; }
                again += image.repository();
                if let Some(tag) = image.tag() { again += ":"; again += tag; }
                if let Some(digest) = image.digest() { again += "@"; again += digest; }
                prop_assert_eq!(again, text);
            }
        }
    }
}
