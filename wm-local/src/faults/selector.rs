//! To what a fault is done.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::meta;

/// To what a fault is done. An empty list means all; patterns may have `*` for any text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// The verbs of requests, such as `create` or `watch`.
    pub verbs: Vec<String>,
    /// The resources, such as `jobs` or `pods/log`.
    pub resources: Vec<String>,
    /// Patterns of namespaces.
    pub namespaces: Vec<String>,
    /// Patterns of names: of the object of a request, of a pod or of its Job.
    pub names: Vec<String>,
    /// Patterns of user names.
    pub users: Vec<String>,
    /// Patterns of the User-Agent header.
    pub agents: Vec<String>,
    /// Patterns of images.
    pub images: Vec<String>,
}

/// What might be hit: a request, an event of a watch, a pod.
#[derive(Debug, Clone, Default)]
pub(crate) struct Occasion<'a> {
    pub(crate) verb: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) namespace: &'a str,
    /// All names it goes by; the first is told in the journal.
    pub(crate) names: &'a [&'a str],
    pub(crate) user: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) image: &'a str,
}

impl Occasion<'_> {
    /// What decisions about it are numbered by, and what the journal calls it.
    pub(super) fn stream(&self) -> String {
        let name = self.names.first().copied().unwrap_or_default();
        [self.verb, self.resource, self.namespace, name, self.image]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Calls `act` with the occasion on which this happens to a pod.
pub(crate) fn on_pod<T>(
    pod: &Value,
    verb: &str,
    resource: &str,
    image: &str,
    act: impl FnOnce(&Occasion<'_>) -> T,
) -> T {
    act(&Occasion {
        verb,
        resource,
        namespace: meta(pod, "namespace"),
        names: &[subject(pod), meta(pod, "name")],
        image,
        ..Occasion::default()
    })
}

/// The name by which an object is told: a pod's own is generated, so that of its Job, which is the same in each run.
pub(super) fn subject(object: &Value) -> &str {
    let owner = object["metadata"]["ownerReferences"][0]["name"].as_str();
    owner.unwrap_or_else(|| meta(object, "name"))
}

impl Selector {
    pub(super) fn matches(&self, occasion: &Occasion<'_>) -> bool {
        let is_in = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, text))
        };
        is_in(&self.verbs, occasion.verb)
            && is_in(&self.resources, occasion.resource)
            && is_in(&self.namespaces, occasion.namespace)
            && is_in(&self.users, occasion.user)
            && is_in(&self.agents, occasion.agent)
            && is_in(&self.images, occasion.image)
            && (self.names.is_empty() || occasion.names.iter().any(|name| is_in(&self.names, name)))
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    // Each place where the star may end, the empty one first.
    (0..=text.len()).filter(|end| text.is_char_boundary(*end)).any(|end| fits(rest, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [("*", ""), ("a*", "a"), ("*c", "abc"), ("a*c*e", "abcde"), ("x", "x")] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*c", "ab"), ("*b", "abc"), ("", "a")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_not_restricted_matches() {
        let occasion =
            Occasion { verb: "create", resource: "jobs", names: &["p-1", "p"], ..Occasion::default() };
        assert!(Selector::default().matches(&occasion));
        let named = |name: &str| Selector { names: vec![name.to_owned()], ..Selector::default() };
        assert!(named("p").matches(&occasion), "any of its names");
        assert!(!named("q").matches(&occasion));
        let verbs = Selector { verbs: vec!["get".to_owned()], ..Selector::default() };
        assert!(!verbs.matches(&occasion));
    }
}
