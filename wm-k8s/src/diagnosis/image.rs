//! Why an image can't be pulled, and whether trying again can help: by the texts of kubelets and container runtimes.

use wm_core::Reason;

use super::{Finding, Hindrance, Outlook, sentence};

/// What these words say in a kubelet's message comes from registries under load, networks and proxies: it may pass.
const PASSING: &[&str] = &[
    "429 too many requests",
    "toomanyrequests",
    "rate limit",
    "500 internal server error",
    "502 bad gateway",
    "503 service unavailable",
    "504 gateway",
    "status: 500",
    "status: 502",
    "status: 503",
    "status: 504",
    "connection refused",
    "connection reset",
    "i/o timeout",
    "timeout exceeded",
    "deadline exceeded",
    "tls handshake timeout",
    "no such host",
    "server misbehaving",
    "no route to host",
    "network is unreachable",
    "unexpected eof",
    "no space left on device",
    "qps exceeded",
];

const REFUSED: &[&str] = &[
    "401 unauthorized",
    "403 forbidden",
    "unauthorized:",
    "authorization failed",
    "authentication required",
    "no basic auth credentials",
    "access denied",
    "denied:",
    "is denied",
    "failed to authorize",
    "code = unauthenticated",
    "code = permissiondenied",
];

const ABSENT: &[&str] = &[
    "not found",
    "manifest unknown",
    "name unknown",
    "name_unknown",
    "manifest_unknown",
    "does not exist",
    "code = notfound",
];

const OTHER_PLATFORM: &[&str] = &[
    "no match for platform",
    "no matching manifest for",
    "no image found in manifest list for architecture",
    "no image found in image index for architecture",
];

const NO_IMAGE: &[&str] =
    &["invalid reference format", "unsupported media type", "mediatype is not supported"];

/// What a container waits for whose state has this reason and message; `None` if it is not its image.
pub(super) fn hindrance(reason: &str, message: &str, image: &str) -> Option<Hindrance> {
    if !matches!(
        reason,
        "InvalidImageName"
            | "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed"
    ) {
        return None;
    }
    let text = message.to_lowercase();
    let has = |known: &[&str]| known.iter().any(|words| text.contains(words));
    let hopeless = |reason, words: String, advice: &str| Hindrance {
        finding: Finding::new(reason, words, advice),
        outlook: Outlook::Hopeless,
    };
    Some(match reason {
        "InvalidImageName" => hopeless(
            Reason::InvalidImage,
            sentence(&format!("{image} is no name for an image"), last(message)),
            "mend the image's name; `wm config` shows where it comes from",
        ),
        "ErrImageNeverPull" => hopeless(
            Reason::ImagePull,
            format!("the image {image} is not on the node, and the pull policy Never forbids to pull it"),
            "have it pulled (…_IMAGE_PULL_POLICY), or put the image on the nodes",
        ),
        "SignatureValidationFailed" => hopeless(
            Reason::ImagePull,
            sentence(&format!("the signature of the image {image} is not accepted"), cause(message)),
            "sign the image as the node's policy demands",
        ),
        _ if has(PASSING) => passing(image, message),
        _ if has(OTHER_PLATFORM) => hopeless(
            Reason::ImagePull,
            format!("the image {image} has no version for the platform of the node"),
            "build it for that platform too, or choose nodes of its own (…_NODE_SELECTOR, kubernetes.io/arch)",
        ),
        _ if has(REFUSED) => hopeless(
            Reason::ImagePull,
            sentence(&format!("the registry does not let the node pull the image {image}"), cause(message)),
            "check that the image exists, and give the pods credentials (…_IMAGE_PULL_SECRETS, or the service account's)",
        ),
        _ if has(ABSENT) => hopeless(
            Reason::ImagePull,
            format!("the image {image} does not exist in its registry"),
            "check its name and tag; `wm config` shows where it comes from",
        ),
        _ if has(NO_IMAGE) => hopeless(
            Reason::InvalidImage,
            sentence(&format!("{image} is no image that the node can use"), cause(message)),
            "check its name, and what was pushed under it",
        ),
        _ => passing(image, message),
    })
}

fn passing(image: &str, message: &str) -> Hindrance {
    let cause = cause(message);
    // Before 1.32 a kubelet that waits for its next try does not repeat why.
    let cause = if cause.starts_with("Back-off pulling image") { "" } else { cause };
    Hindrance {
        finding: Finding::new(
            Reason::ImagePull,
            sentence(&format!("the image {image} can't be pulled for now"), cause),
            "the node tries again by itself; see whether its registry can be reached from the nodes",
        ),
        outlook: Outlook::Passing,
    }
}

/// The innermost of the errors that a message strings together.
fn last(message: &str) -> &str {
    message.rfind("\": ").map_or(message, |at| &message[at + 3..])
}

/// What a message says at its end: it wraps the cause again and again, differently each time.
fn cause(message: &str) -> &str {
    let message = message.trim();
    let end = |marker: &str| message.rfind(marker).map(|at| &message[at + marker.len()..]);
    let mut cause = end("failed to resolve reference \"")
        .and_then(|rest| rest.split_once("\": "))
        .map_or(message, |(_, rest)| rest);
    for wrapping in ["ErrImagePull: ", "desc = "] {
        if let Some(at) = cause.rfind(wrapping) {
            cause = &cause[at + wrapping.len()..];
        }
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(text: &str) -> Outlook {
        hindrance("ErrImagePull", text, "app:1").unwrap().outlook
    }

    /// The first is containerd's text, which the recordings have; the others those of its kin.
    #[test]
    fn what_trying_again_can_mend_is_told_from_what_it_can_not() {
        for text in [
            "pulling from host registry.example:5603 failed with status code [manifests 1]: 429 Too Many Requests",
            "toomanyrequests: You have reached your unauthenticated pull rate limit.",
            "unexpected status from HEAD request to https://r/v2/a/manifests/1: 503 Service Unavailable",
            "failed to authorize: failed to fetch oauth token: unexpected status: 503",
            "dial tcp 192.0.2.1:5609: connect: connection refused",
            "dial tcp: lookup registry.example: no such host",
            "net/http: TLS handshake timeout",
            "read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer",
            "failed to copy: httpReadSeeker: failed open: unexpected EOF",
            "write /var/lib/containerd/x: no space left on device",
            "pull QPS exceeded",
            "something that nobody has said before",
            "",
        ] {
            assert_eq!(outlook(text), Outlook::Passing, "{text}");
        }
        for text in [
            "rpc error: code = NotFound desc = failed to pull: r/nope:1: not found",
            "manifest for r/a:1 not found: manifest unknown: manifest unknown",
            "reading manifest 1 in r/a: name unknown: repository not found",
            "pulling from host r failed with status code [manifests 1]: 401 Unauthorized",
            "pulling from host r failed with status code [manifests 1]: 403 Forbidden",
            "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
            "no basic auth credentials",
            "Error response from daemon: unauthorized: authentication required",
            "denied: Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource",
            "no match for platform in manifest: not found",
            "no matching manifest for linux/arm64/v8 in the manifest list entries",
            "choosing an image from manifest list: no image found in manifest list for architecture arm64, OS linux",
        ] {
            assert_eq!(outlook(text), Outlook::Hopeless, "{text}");
        }
    }

    #[test]
    fn words_are_the_same_whether_the_kubelet_pulls_or_waits() {
        let failed = "failed to pull and unpack image \"r/a:1\": failed to resolve reference \"r/a:1\": pulling from host r failed with status code [manifests 1]: 401 Unauthorized";
        let waits = format!("Back-off pulling image \"r/a:1\": ErrImagePull: {failed}");
        let words = |reason, text: &str| hindrance(reason, text, "r/a:1").unwrap().finding;
        assert_eq!(words("ErrImagePull", failed), words("ImagePullBackOff", &waits));
        assert_eq!(
            words("ErrImagePull", failed).words,
            "the registry does not let the node pull the image r/a:1: pulling from host r failed with status code [manifests 1]: 401 Unauthorized"
        );
    }
}
