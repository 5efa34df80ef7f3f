//! What a request asks for, in the terms of the rules: a verb and a resource, or a path.
//!
//! The API server reads this from method and path alone, before it looks whether the path leads anywhere.

use axum::extract::Query;
use http::{Method, Uri};
use serde_json::{Value, json};

use crate::error::{ApiError, details};

/// Whether something is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Permission {
    Denied,
    Allowed {
        /// The role that allows it; an administrator needs none.
        reason: Option<String>,
    },
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) target: Target,
}

/// What it is asked for on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Path(String),
    Resource {
        group: String,
        resource: String,
        subresource: String,
        /// Empty for what is in no namespace, or in all.
        namespace: String,
        /// Empty for a collection.
        name: String,
    },
}

impl Attributes {
    /// Reads them from a request.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Self {
        resource(method, uri).unwrap_or_else(|| Self {
            verb: method.as_str().to_ascii_lowercase(),
            target: Target::Path(uri.path().to_owned()),
        })
    }

    /// Reads them from the `spec` of an access review; `None` unless it names one target.
    pub(crate) fn from_review(spec: &Value) -> Option<Self> {
        let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        let text = |from: &Value, member: &str| from[member].as_str().unwrap_or_default().to_owned();
        match (resource.is_object(), path.is_object()) {
            (true, false) => Some(Self {
                verb: text(resource, "verb"),
                target: Target::Resource {
                    group: text(resource, "group"),
                    resource: text(resource, "resource"),
                    subresource: text(resource, "subresource"),
                    namespace: text(resource, "namespace"),
                    name: text(resource, "name"),
                },
            }),
            (false, true) => {
                Some(Self { verb: text(path, "verb"), target: Target::Path(text(path, "path")) })
            }
            _ => None,
        }
    }

    /// The resource with its subresource, such as `pods/log`; empty for a path.
    pub(crate) fn combined_resource(&self) -> String {
        match &self.target {
            Target::Path(_) => String::new(),
            Target::Resource { resource, subresource, .. } if subresource.is_empty() => resource.clone(),
            Target::Resource { resource, subresource, .. } => format!("{resource}/{subresource}"),
        }
    }

    /// The refusal, in a real server's words.
    pub(crate) fn refusal(&self, user: &str) -> ApiError {
        let verb = &self.verb;
        match &self.target {
            Target::Path(path) => {
                let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
                ApiError::new(403, "Forbidden", message).with_details(json!({}))
            }
            Target::Resource { group, resource, namespace, name, .. } => {
                let mut what = resource.clone();
                if !group.is_empty() {
                    what = format!("{what}.{group}");
                }
                if !name.is_empty() {
                    what = format!("{what} {name:?}");
                }
                let place = match namespace.as_str() {
                    "" => "at the cluster scope".to_owned(),
                    namespace => format!("in the namespace {namespace:?}"),
                };
                let message = format!(
                    "{what} is forbidden: User {user:?} cannot {verb} resource {:?} in API group {group:?} {place}",
                    self.combined_resource()
                );
                ApiError::new(403, "Forbidden", message).with_details(details(name, group, resource))
            }
        }
    }
}

fn resource(method: &Method, uri: &Uri) -> Option<Attributes> {
    let segments: Vec<String> =
        uri.path().split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (group, mut parts) = match parts.as_slice() {
        ["api", _version, rest @ ..] => ("", rest),
        ["apis", group, _version, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let mut verb = match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    };
    // The old paths of watches and proxies, whatever their method.
    let special = match parts {
        [first @ ("watch" | "proxy"), rest @ ..] => {
            (verb, parts) = (*first, rest);
            true
        }
        _ => false,
    };
    let mut namespace = "";
    if let ["namespaces", named, rest @ ..] = parts {
        namespace = named;
        if let [first, ..] = rest
            && !matches!(*first, "status" | "finalize")
        {
            parts = rest;
        }
    }
    let (resource, rest) = parts.split_first()?;
    let mut name = rest.first().map_or_else(String::new, |name| (*name).to_owned());
    let subresource = rest.get(1).filter(|_| !special).copied().unwrap_or_default();
    if name.is_empty() && verb == "get" {
        let query =
            Query::<Vec<(String, String)>>::try_from_uri(uri).map_or_else(|_| Vec::new(), |query| query.0);
        let given =
            |wanted: &str| query.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        let watch = given("watch").is_some_and(|value| !matches!(value, "0" | "false" | "False" | "FALSE"));
        verb = if watch { "watch" } else { "list" };
        // A selector of one name is as good as the name.
        if let Some(selected) = given("fieldSelector").and_then(selected_name) {
            selected.clone_into(&mut name);
        }
    }
    if name.is_empty() && verb == "delete" {
        verb = "deletecollection";
    }
    Some(Attributes {
        verb: verb.to_owned(),
        target: Target::Resource {
            group: group.to_owned(),
            resource: (*resource).to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name,
        },
    })
}

fn selected_name(selector: &str) -> Option<&str> {
    selector.split(',').find_map(|term| {
        let value = term.trim().strip_prefix("metadata.name=")?;
        Some(value.strip_prefix('=').unwrap_or(value))
    })
}

fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escape = (*first == b'%').then(|| tail.split_at_checked(2)).flatten();
        let escaped = escape.and_then(|(digits, tail)| {
            Some((u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, tail))
        });
        let (byte, tail) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, uri: &str) -> String {
        let attributes = Attributes::of(method, &uri.parse().unwrap());
        let verb = &attributes.verb;
        match &attributes.target {
            Target::Path(path) => format!("{verb} {path}"),
            Target::Resource { group, namespace, name, .. } => {
                format!("{verb} {group}|{}|{namespace}|{name}", attributes.combined_resource())
            }
        }
    }

    #[test]
    fn verbs_are_read_as_the_api_server_reads_them() {
        let jobs = "/apis/batch/v1/namespaces/a/jobs";
        let pod = "/api/v1/namespaces/a/pods/p";
        for (method, uri, expected) in [
            (Method::GET, jobs.to_owned(), "list batch|jobs|a|"),
            (Method::HEAD, jobs.to_owned(), "list batch|jobs|a|"),
            (Method::GET, format!("{jobs}?watch=true"), "watch batch|jobs|a|"),
            (Method::GET, format!("{jobs}?watch"), "watch batch|jobs|a|"),
            (Method::GET, format!("{jobs}?watch=0"), "list batch|jobs|a|"),
            (Method::GET, format!("{jobs}?fieldSelector=metadata.name%3D%3Dx"), "list batch|jobs|a|x"),
            (Method::GET, "/apis/batch/v1/watch/namespaces/a/jobs/x".to_owned(), "watch batch|jobs|a|x"),
            (Method::GET, "/apis/batch/v1/watch/jobs".to_owned(), "watch batch|jobs||"),
            (Method::GET, format!("{jobs}/x?watch=true"), "get batch|jobs|a|x"),
            (Method::POST, jobs.to_owned(), "create batch|jobs|a|"),
            (Method::PUT, format!("{jobs}/x/status"), "update batch|jobs/status|a|x"),
            (Method::PATCH, format!("{jobs}/x"), "patch batch|jobs|a|x"),
            (Method::DELETE, format!("{jobs}/x"), "delete batch|jobs|a|x"),
            (Method::DELETE, jobs.to_owned(), "deletecollection batch|jobs|a|"),
            (Method::GET, format!("{pod}/log"), "get |pods/log|a|p"),
            (Method::GET, "/api/v1/namespaces/a".to_owned(), "get |namespaces|a|a"),
            (Method::GET, "/api/v1/namespaces".to_owned(), "list |namespaces||"),
            (Method::PUT, "/api/v1/namespaces/a/finalize".to_owned(), "update |namespaces/finalize|a|a"),
            (Method::GET, "/api/v1/nodes/n%2E1".to_owned(), "get |nodes||n.1"),
            (Method::GET, "/api/v1".to_owned(), "get /api/v1"),
            (Method::GET, "/apis/batch/v1".to_owned(), "get /apis/batch/v1"),
            (Method::HEAD, "/version".to_owned(), "head /version"),
        ] {
            assert_eq!(read(&method, &uri), expected, "{method} {uri}");
        }
    }
}
