//! A client that counts the requests that go through it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{Method, Request};
use kube::{Client, client::Body};
use serde::{Deserialize, Serialize};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    Create,
    Update,
    Patch,
    Delete,
    Get,
    List,
    Watch,
    /// A container's log.
    Log,
    /// Whether something is allowed, and other questions that are asked by POST.
    Review,
}

impl Verb {
    const ALL: [Self; 9] = [
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Log,
        Self::Review,
    ];

    /// Whether it changes something.
    pub(crate) fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Patch | Self::Delete)
    }

    fn of(method: &Method, path: &str, query: &str) -> Self {
        match *method {
            Method::POST if path.ends_with("reviews") => Self::Review,
            Method::POST => Self::Create,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ if query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1")) => Self::Watch,
            _ if path.ends_with("/log") => Self::Log,
            _ if names_one(path) => Self::Get,
            _ => Self::List,
        }
    }
}

/// Whether a path is that of one object, not of a collection.
fn names_one(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    // `/api/VERSION` and `/apis/GROUP/VERSION` come before the resource.
    let group = usize::from(segments.next() == Some("apis"));
    let rest: Vec<_> = segments.skip(group + 1).collect();
    match rest.as_slice() {
        ["namespaces", _] => true,
        ["namespaces", _, resource @ ..] | resource => resource.len() != 1,
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Log => "log",
            Self::Review => "review",
        })
    }
}

/// Requests by verb; a verb without one is not there.
pub(crate) type Counts = BTreeMap<Verb, u64>;

/// Counts requests by verb.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    counts: Arc<[AtomicU64; Verb::ALL.len()]>,
}

impl Counter {
    /// Wraps a client.
    pub(crate) fn count(&self, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let counter = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            counter.add(&request);
            let client = client.clone();
            async move { client.send(request).await }
        });
        Client::new(service, namespace)
    }

    /// What was counted up to now.
    pub(crate) fn counts(&self) -> Counts {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Verb::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }

    fn add(&self, request: &Request<Body>) {
        let uri = request.uri();
        let verb = Verb::of(request.method(), uri.path(), uri.query().unwrap_or_default());
        for (each, count) in Verb::ALL.iter().zip(self.counts.iter()) {
            if *each == verb {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What was counted between two moments.
pub(crate) fn since(before: &Counts, now: &Counts) -> Counts {
    now.iter()
        .map(|(verb, count)| (*verb, count - before.get(verb).copied().unwrap_or_default()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, query: &str) -> Verb {
        Verb::of(&Method::GET, path, query)
    }

    #[test]
    fn reads_are_told_apart() {
        let jobs = "/apis/batch/v1/namespaces/runs/jobs";
        assert_eq!(get(jobs, ""), Verb::List);
        assert_eq!(get(jobs, "labelSelector=watch&limit=500"), Verb::List);
        assert_eq!(get(jobs, "labelSelector=a&watch=true"), Verb::Watch);
        assert_eq!(get("/apis/batch/v1/namespaces/runs/jobs/runner-1", ""), Verb::Get);
        assert_eq!(get("/api/v1/namespaces/runs/pods", ""), Verb::List);
        assert_eq!(get("/api/v1/namespaces/runs/pods/p", ""), Verb::Get);
        assert_eq!(get("/api/v1/namespaces/runs/pods/p/log", "follow=true"), Verb::Log);
        assert_eq!(get("/api/v1/namespaces/runs", ""), Verb::Get);
        assert_eq!(get("/api/v1/namespaces", ""), Verb::List);
        assert_eq!(get("/api/v1/nodes", ""), Verb::List);
        assert_eq!(get("/api/v1/nodes/local", ""), Verb::Get);
    }

    #[test]
    fn a_review_is_no_write() {
        let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        assert_eq!(Verb::of(&Method::POST, reviews, ""), Verb::Review);
        assert!(!Verb::Review.is_write());
        assert_eq!(Verb::of(&Method::POST, "/api/v1/namespaces/runs/secrets", ""), Verb::Create);
    }

    #[test]
    fn only_what_came_after_counts() {
        let before = Counts::from([(Verb::List, 2), (Verb::Review, 13)]);
        let now = Counts::from([(Verb::Create, 5), (Verb::List, 3), (Verb::Review, 13)]);
        assert_eq!(since(&before, &now), Counts::from([(Verb::Create, 5), (Verb::List, 1)]));
    }
}
