use crate::grammar::{Parsed, fault};

/// What the manager appends to the registry: `/zenml-runner`.
const RESERVED: usize = "/zenml-runner".len();
/// The longest image name without tag and digest.
const NAME_MAX: usize = 255;

/// Where built images are pushed: `host[:port][/path]`. A slash at the end is taken off.
pub(crate) fn registry(text: &str) -> Parsed<String> {
    if let Some(message) = foreign_fault(text) {
        return fault(message);
    }
    if text.contains('@') {
        return fault("contains an @: credentials and digests don't belong into it");
    }
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, path) = match text.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (text, None),
    };
    if let Some(message) = host_fault(host) {
        return fault(message);
    }
    if !is_host(host) {
        return fault(format!(
            "begins with {host:?}, which has no dot and no port: it would be read as a path on Docker Hub \
             (write docker.io/{host} if that is meant)"
        ));
    }
    if let Some(path) = path {
        if let Some((_, last)) = path.rsplit_once(':') {
            return fault(format!("ends with the tag {last:?}: the manager chooses the tags"));
        }
        if let Some(message) = path_fault(path) {
            return fault(message);
        }
    }
    if text.len() > NAME_MAX - RESERVED {
        return fault(format!(
            "is {} characters long: at most {} are allowed",
            text.len(),
            NAME_MAX - RESERVED
        ));
    }
    Ok(text.to_owned())
}

/// Where layers are kept: `host[:port]/path`.
pub(crate) fn repository(text: &str) -> Parsed<String> {
    match registry(text) {
        Ok(name) if !name.contains('/') => fault("has a host, but no repository behind it"),
        parsed => parsed,
    }
}

/// An image: `[host[:port]/]path[:tag][@digest]`.
pub(crate) fn reference(text: &str) -> Parsed<String> {
    if let Some(message) = foreign_fault(text) {
        return fault(message);
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to the host's port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let path = match name.split_once('/') {
        Some((host, path)) if is_host(host) => {
            if let Some(message) = host_fault(host) {
                return fault(message);
            }
            path
        }
        _ => name,
    };
    // The digest comes first: what stands before an @ may be a password, and is not repeated then.
    let message = digest
        .and_then(digest_fault)
        .or_else(|| path_fault(path))
        .or_else(|| {
            (name.len() > NAME_MAX)
                .then(|| format!("has a name of {} characters: at most {NAME_MAX} are allowed", name.len()))
        })
        .or_else(|| tag.and_then(tag_fault));
    match message {
        Some(message) => fault(message),
        None => Ok(text.to_owned()),
    }
}

/// Whether the first part of a name is a host rather than a path on Docker Hub: the rule of every container engine.
fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

/// Things that are neither a registry nor an image, but are often pasted.
fn foreign_fault(text: &str) -> Option<String> {
    if let Some((scheme, _)) = text.split_once("://") {
        return Some(format!("begins with {scheme}://: leave the scheme out"));
    }
    if text.contains(['<', '>', '{', '}', '$']) {
        return Some("contains a placeholder that was not replaced".to_owned());
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("contains white space".to_owned());
    }
    None
}

fn host_fault(host: &str) -> Option<String> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if let Some(port) = port {
        let is_port =
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
        if !is_port {
            return Some(format!("has {port:?} where the host's port is due, which is 1 to 65535"));
        }
    }
    if let Some(address) = name.strip_prefix('[') {
        let is_address =
            address.strip_suffix(']').is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
        return (!is_address).then(|| format!("has the host {name:?}, which is no IPv6 address"));
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    (!name.split('.').all(is_label)).then(|| format!("has the host {name:?}, which is no host name"))
}

fn path_fault(path: &str) -> Option<String> {
    path.split('/').find_map(|part| {
        if part.is_empty() {
            return Some("has an empty part between its slashes".to_owned());
        }
        if part.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Some(format!("has upper-case letters in {part:?}"));
        }
        (!is_path_part(part)).then(|| format!("has the part {part:?}, which is no image name"))
    })
}

/// Letters and digits, with `.`, `_`, `__` or hyphens between them.
fn is_path_part(part: &str) -> bool {
    let is_word = |c: char| matches!(c, 'a'..='z' | '0'..='9');
    part.starts_with(is_word)
        && part.ends_with(is_word)
        && part
            .split(is_word)
            .all(|between| matches!(between, "" | "." | "_" | "__") || between.chars().all(|c| c == '-'))
}

fn tag_fault(tag: &str) -> Option<String> {
    let is_tag = (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    (!is_tag).then(|| format!("has the tag {tag:?}, which is no image tag"))
}

fn digest_fault(digest: &str) -> Option<String> {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_digest = match digest.split_once(':') {
        Some(("sha256", hex)) => hex.len() == 64 && is_hex(hex),
        Some(("sha512", hex)) => hex.len() == 128 && is_hex(hex),
        _ => false,
    };
    (!is_digest).then(|| "has something else than sha256: and 64 hexadecimal digits behind the @".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_and_a_path() {
        for text in [
            "339712793861.dkr.ecr.eu-central-1.amazonaws.com",
            "internal-registry.mycompany.com/zenml",
            "localhost",
            "localhost:5000/a/b",
            "registry:5000",
            "10.0.0.1:5000/x",
            "[::1]:5000/x",
            "docker.io/me",
            "europe-west3-docker.pkg.dev/project/repo__1",
        ] {
            assert_eq!(registry(text).as_deref(), Ok(text));
        }
        assert_eq!(registry("a.b/c/").as_deref(), Ok("a.b/c"));
    }

    #[test]
    fn what_is_no_registry_is_told_why() {
        for (text, word) in [
            ("https://a.b", "scheme"),
            ("a.b/c:latest", "tag"),
            ("mycompany/zenml", "Docker Hub"),
            ("user:secret@a.b", "credentials"),
            ("a.b:0/c", "port"),
            ("a.b:+80/c", "port"),
            ("a.b:99999", "port"),
            ("a.b//c", "empty part"),
            ("a.b/C", "upper-case"),
            ("a.b/c..d", "no image name"),
            ("-a.b", "no host name"),
            ("[::1", "host"),
            ("<account>.dkr.ecr", "placeholder"),
            ("a.b c", "white space"),
        ] {
            let faults = registry(text).unwrap_err();
            assert!(faults[0].contains(word), "{text}: {faults:?}");
        }
        assert!(registry(&format!("a.b/{}", "c".repeat(250))).is_err());
    }

    #[test]
    fn a_repository_has_a_path() {
        assert_eq!(repository("a.b:5000/c").as_deref(), Ok("a.b:5000/c"));
        assert!(repository("a.b:5000").is_err());
        assert!(repository("a.b/c:1").is_err());
    }

    #[test]
    fn an_image_may_have_tag_and_digest() {
        let digest = format!("a.b:5000/c/d:1.10@sha256:{}", "0a".repeat(32));
        for text in ["ubuntu", "zenml/zenml:0.98.0", "a.b:5000/c", "localhost/c:_x", "a-b/c__d:1", &digest] {
            assert_eq!(reference(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_image_is_told_why() {
        for (text, word) in [
            ("a.b/c:<ZENML_OSS_VERSION>", "placeholder"),
            ("docker://a/b", "scheme"),
            ("a/b:", "tag"),
            ("a/b:-x", "tag"),
            ("a/b@sha256:12", "sha256"),
            ("a/b@latest", "sha256"),
            ("Zenml/zenml", "upper-case"),
            ("/a", "empty part"),
            ("a/", "empty part"),
            ("a.b:x/c", "port"),
            (":1", "empty part"),
        ] {
            let faults = reference(text).unwrap_err();
            assert!(faults[0].contains(word), "{text}: {faults:?}");
        }
        assert!(reference(&format!("a/b:{}", "c".repeat(129))).is_err());
        assert!(reference(&"c".repeat(256)).is_err());
    }
}
