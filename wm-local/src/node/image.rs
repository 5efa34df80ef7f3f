//! Image references: they are parsed and identified, never pulled.

use sha2::{Digest as _, Sha256};

/// What a container's status says of its image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Image {
    pub(crate) id: String,
}

/// A reference that no registry could serve; `Display` is the kubelet's message.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "Failed to apply default image tag \"{reference}\": couldn't parse image name \"{reference}\": \
     invalid reference format{detail}"
)]
pub(crate) struct InvalidImageName {
    reference: String,
    detail: String,
}

impl Image {
    /// Checks a reference. Its digest is made up from its name, unless the reference brings one.
    pub(crate) fn parse(reference: &str) -> Result<Self, InvalidImageName> {
        let invalid = |detail: String| InvalidImageName { reference: reference.to_owned(), detail };
        let (name, tag, digest) = split(reference);
        let path = repository(name);
        if !path.split('/').all(is_component) {
            let lower = path.to_lowercase();
            return Err(invalid(if lower != path && lower.split('/').all(is_component) {
                format!(": repository name ({path}) must be lowercase")
            } else {
                String::new()
            }));
        }
        if !tag.is_none_or(is_tag) || !digest.is_none_or(is_digest) {
            return Err(invalid(String::new()));
        }
        let digest = digest.map_or_else(|| made_up_digest(reference), str::to_owned);
        Ok(Self { id: format!("{name}@{digest}") })
    }

    /// Where an image is asked for: registry, repository and tag or digest.
    pub(crate) fn location(reference: &str) -> (&str, &str, &str) {
        let (name, tag, digest) = split(reference);
        let path = repository(name);
        let host = name.strip_suffix(path).unwrap_or_default().trim_end_matches('/');
        let host = if host.is_empty() { "registry-1.docker.io" } else { host };
        (host, path, digest.or(tag).unwrap_or("latest"))
    }
}

/// The name, the tag and the digest of a reference, whether or not they are such.
fn split(reference: &str) -> (&str, Option<&str>, Option<&str>) {
    let (named, digest) = match reference.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (reference, None),
    };
    let last_slash = named.rfind('/').map_or(0, |slash| slash + 1);
    match named[last_slash..].rsplit_once(':') {
        Some((last, tag)) => (&named[..last_slash + last.len()], Some(tag), digest),
        None => (named, None, digest),
    }
}

/// The name without the registry's host, which is told from a path component by a dot, a port or `localhost`.
fn repository(name: &str) -> &str {
    match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => name,
    }
}

fn is_component(component: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = component.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| allowed(*byte))
        && !["..", "___", "._", "_.", "-.", ".-", "_-", "-_"].iter().any(|pair| component.contains(pair))
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = tag.as_bytes();
    tag.len() <= 128
        && bytes.first().is_some_and(|byte| word(*byte))
        && bytes.iter().all(|byte| word(*byte) || b".-".contains(byte))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn made_up_digest(reference: &str) -> String {
    let hash = Sha256::digest(reference.as_bytes());
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_gives_a_made_up_digest_that_is_always_the_same() {
        let image = Image::parse("registry.example:5000/team/busybox:1").unwrap();
        assert!(image.id.starts_with("registry.example:5000/team/busybox@sha256:"), "{}", image.id);
        assert_eq!(image.id.rsplit_once(':').unwrap().1.len(), 64);
        assert_eq!(image, Image::parse("registry.example:5000/team/busybox:1").unwrap());
        assert_ne!(image, Image::parse("registry.example:5000/team/busybox:2").unwrap());
    }

    #[test]
    fn a_digest_in_the_reference_is_kept() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let image = Image::parse(&format!("busybox:1@{digest}")).unwrap();
        assert_eq!(image.id, format!("busybox@{digest}"));
    }

    #[test]
    fn capitals_in_the_repository_are_refused_in_the_kubelets_words() {
        let error = Image::parse("registry.example:5000/Not_A_Valid_Name:1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Failed to apply default image tag \"registry.example:5000/Not_A_Valid_Name:1\": couldn't parse \
             image name \"registry.example:5000/Not_A_Valid_Name:1\": invalid reference format: repository \
             name (Not_A_Valid_Name) must be lowercase"
        );
    }

    #[test]
    fn malformed_references_are_refused() {
        for reference in ["", "a b", "busybox:", "busybox:-x", "busybox@sha256:12", "/busybox", "a//b", "-a"]
        {
            assert!(Image::parse(reference).is_err(), "{reference:?}");
        }
    }

    #[test]
    fn ordinary_references_are_accepted() {
        for reference in ["busybox", "localhost/busybox", "localhost:5000/a/b_c/d__e/f-g:V1.2-x_y", "a.b/c:1"]
        {
            assert!(Image::parse(reference).is_ok(), "{reference:?}");
        }
    }
}
