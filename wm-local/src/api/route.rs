//! From the path of a request to what it names.

use crate::kind::{Key, Kind};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/healthz`, `/livez`, `/readyz` and what is below.
    Health,
    Version,
    /// A document about the API itself; the path without slashes at its ends.
    Discovery(String),
    Collection {
        kind: Kind,
        /// `None` means all namespaces, or a cluster-wide kind.
        namespace: Option<String>,
        /// The old `/watch/` paths watch whatever the parameters say.
        watch: bool,
        /// An old watch path may name one object.
        name: Option<String>,
    },
    Object {
        key: Key,
        subresource: Subresource,
    },
    /// A question about the caller's own rights, such as `selfsubjectaccessreviews`.
    Review(Review),
    /// A group version that is served, but not this resource.
    UnknownResource,
    NotFound,
}

/// What an object's path ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subresource {
    None,
    Status,
    Log,
    /// One that a real cluster has and this one has not.
    Unsupported,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Review {
    Access,
    Rules,
    Subject,
}

impl Route {
    pub(crate) fn parse(path: &str) -> Self {
        let Some(segments) = segments(path) else { return Self::NotFound };
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => Self::Health,
            ["version"] => Self::Version,
            [] | ["api" | "apis"] | ["api", "v1"] | ["apis", _] | ["openapi", ..] => {
                Self::Discovery(parts.join("/"))
            }
            ["apis", "batch" | "authorization.k8s.io" | "authentication.k8s.io", "v1"] => {
                Self::Discovery(parts.join("/"))
            }
            ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => {
                Self::Review(Review::Access)
            }
            ["apis", "authorization.k8s.io", "v1", "selfsubjectrulesreviews"] => Self::Review(Review::Rules),
            ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"] => Self::Review(Review::Subject),
            ["api", "v1", rest @ ..] => in_group("", rest),
            ["apis", "batch", "v1", rest @ ..] => in_group("batch", rest),
            ["apis", "authorization.k8s.io" | "authentication.k8s.io", "v1", ..] => Self::UnknownResource,
            _ => Self::NotFound,
        }
    }
}

fn in_group(group: &str, parts: &[&str]) -> Route {
    let (watch, parts) = match parts {
        ["watch", rest @ ..] => (true, rest),
        parts => (false, parts),
    };
    let find = |resource: &str| {
        Kind::ALL.into_iter().find(|kind| kind.group() == group && kind.resource() == resource)
    };
    let (namespace, resource, rest) = match parts {
        ["namespaces", namespace, resource, rest @ ..] if find(resource).is_some_and(Kind::is_namespaced) => {
            (Some(*namespace), *resource, rest)
        }
        [resource, rest @ ..] => (None, *resource, rest),
        [] => return Route::UnknownResource,
    };
    let Some(kind) = find(resource) else { return Route::UnknownResource };
    match rest {
        [] => Route::Collection { kind, namespace: namespace.map(ToOwned::to_owned), watch, name: None },
        [name] if watch => Route::Collection {
            kind,
            namespace: namespace.map(ToOwned::to_owned),
            watch,
            name: Some((*name).to_owned()),
        },
        // An object of a namespaced kind has no path without its namespace.
        [name, rest @ ..] if !watch && kind.is_namespaced() == namespace.is_some() => {
            let subresource = match (kind, rest) {
                (_, []) => Subresource::None,
                (Kind::Job | Kind::Pod | Kind::Namespace | Kind::Node | Kind::ResourceQuota, ["status"]) => {
                    Subresource::Status
                }
                (Kind::Pod, ["log"]) => Subresource::Log,
                (
                    Kind::Pod,
                    [
                        "attach"
                        | "binding"
                        | "ephemeralcontainers"
                        | "eviction"
                        | "exec"
                        | "portforward"
                        | "proxy"
                        | "resize",
                        ..,
                    ],
                )
                | (Kind::Namespace, ["finalize"])
                | (Kind::Node, ["proxy", ..])
                | (Kind::ServiceAccount, ["token"]) => Subresource::Unsupported,
                _ => return Route::UnknownResource,
            };
            Route::Object { key: Key::new(kind, namespace.unwrap_or_default(), *name), subresource }
        }
        _ => Route::UnknownResource,
    }
}

/// The decoded segments of a path; `None` if an escape in it is none.
fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: Kind, namespace: &str, name: &str, subresource: Subresource) -> Route {
        Route::Object { key: Key::new(kind, namespace, name), subresource }
    }

    fn collection(kind: Kind, namespace: Option<&str>) -> Route {
        Route::Collection { kind, namespace: namespace.map(ToOwned::to_owned), watch: false, name: None }
    }

    #[test]
    fn paths_name_collections_and_objects() {
        assert_eq!(Route::parse("/apis/batch/v1/jobs"), collection(Kind::Job, None));
        assert_eq!(Route::parse("/apis/batch/v1/namespaces/a/jobs"), collection(Kind::Job, Some("a")));
        assert_eq!(
            Route::parse("/apis/batch/v1/namespaces/a/jobs/b"),
            object(Kind::Job, "a", "b", Subresource::None)
        );
        assert_eq!(
            Route::parse("/api/v1/namespaces/a/pods/b/log"),
            object(Kind::Pod, "a", "b", Subresource::Log)
        );
        assert_eq!(
            Route::parse("/api/v1/namespaces/a/pods/b/exec"),
            object(Kind::Pod, "a", "b", Subresource::Unsupported)
        );
        assert_eq!(Route::parse("/api/v1/namespaces"), collection(Kind::Namespace, None));
        assert_eq!(
            Route::parse("/api/v1/namespaces/a/status"),
            object(Kind::Namespace, "", "a", Subresource::Status)
        );
        assert_eq!(Route::parse("/api/v1/nodes/local"), object(Kind::Node, "", "local", Subresource::None));
        assert_eq!(
            Route::parse("/api/v1/namespaces/a/secrets/b%2Ec"),
            object(Kind::Secret, "a", "b.c", Subresource::None)
        );
    }

    #[test]
    fn unknown_paths_are_told_from_unknown_resources() {
        for path in ["/nope", "/apis/nope.example/v1", "/apis/batch/v2/jobs", "/api/v2", "/api/v1/%zz"] {
            assert_eq!(Route::parse(path), Route::NotFound, "{path}");
        }
        for path in [
            "/apis/batch/v1/namespaces/a/nope",
            "/api/v1/jobs",
            "/api/v1/pods/b",
            "/apis/batch/v1/namespaces/a/jobs/b/log",
        ] {
            assert_eq!(Route::parse(path), Route::UnknownResource, "{path}");
        }
    }

    #[test]
    fn old_watch_paths_are_known() {
        let one = Route::Collection {
            kind: Kind::Job,
            namespace: Some("a".to_owned()),
            watch: true,
            name: Some("b".to_owned()),
        };
        assert_eq!(Route::parse("/apis/batch/v1/watch/namespaces/a/jobs/b"), one);
    }
}
