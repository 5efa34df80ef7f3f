//! Rules, in the shape of a Role's.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attributes::{Attributes, Target};

/// One rule of a [`Role`], as Kubernetes' RBAC has it: what is listed is allowed, `*` stands for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The verbs: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verbs: Vec<String>,
    /// The API groups, the core group being empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// The resources, such as `jobs`; a subresource such as `pods/log` is a right of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The names of the only objects that are meant; all if it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths that are no resources, such as `/version` or `/apis/*`.
    #[serde(default, rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

impl Rule {
    /// Creates a rule about resources of one API group.
    pub fn new(group: &str, resources: &[&str], verbs: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            verbs: owned(verbs),
            api_groups: owned(&[group]),
            resources: owned(resources),
            ..Self::default()
        }
    }

    /// Creates a rule about paths that are no resources.
    pub(super) fn paths(urls: &[&str]) -> Self {
        Self {
            verbs: vec!["get".to_owned()],
            non_resource_urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            ..Self::default()
        }
    }

    pub(super) fn allows(&self, attributes: &Attributes) -> bool {
        let has = |words: &[String], wanted: &str| words.iter().any(|word| word == "*" || word == wanted);
        if !has(&self.verbs, &attributes.verb) {
            return false;
        }
        match &attributes.target {
            Target::Path(path) => self.non_resource_urls.iter().any(|url| covers(url, path)),
            Target::Resource { group, resource, subresource, name, .. } => {
                let combined = attributes.combined_resource();
                has(&self.api_groups, group)
                    && self.resources.iter().any(|one| {
                        one == "*"
                            || *one == combined
                            || one.strip_prefix("*/").is_some_and(|sub| {
                                !subresource.is_empty() && sub == subresource && !resource.is_empty()
                            })
                    })
                    && (self.resource_names.is_empty() || self.resource_names.contains(name))
            }
        }
    }
}

fn covers(url: &str, path: &str) -> bool {
    url == path || url.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
}

/// Rules that are granted together, in one namespace or in all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The name of the Role and of its binding, which reviews tell.
    pub name: String,
    /// The namespace; a `ClusterRole` has none, and holds in all and for what is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What it allows.
    pub rules: Vec<Rule>,
}

impl Role {
    /// Creates a Role from its rules as they stand in a manifest: a JSON list, or an object with `rules`.
    ///
    /// The whole Role of `wm role` may be given; its own name is taken then, but the namespace is the one given here.
    pub fn from_json(namespace: &str, role: &Value) -> Result<Self, RoleError> {
        let rules = if role.is_array() { role } else { &role["rules"] };
        let rules = Vec::<Rule>::deserialize(rules).map_err(|source| RoleError { source })?;
        let name = role["metadata"]["name"].as_str().unwrap_or("granted").to_owned();
        Ok(Self { name, namespace: Some(namespace.to_owned()), rules })
    }
}

/// Rules that are none.
#[derive(Debug, thiserror::Error)]
#[error("these are no rules of a Role: give a list of objects with apiGroups, resources and verbs")]
pub struct RoleError {
    source: serde_json::Error,
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::*;

    fn allows(rule: &Value, method: &Method, uri: &str) -> bool {
        let role = Role::from_json("a", &json!([rule])).unwrap();
        role.rules[0].allows(&Attributes::of(method, &uri.parse().unwrap()))
    }

    #[test]
    fn verbs_groups_resources_and_subresources_are_told_apart() {
        let rule = json!({"apiGroups": [""], "resources": ["pods", "*/status"], "verbs": ["get"]});
        assert!(allows(&rule, &Method::GET, "/api/v1/namespaces/a/pods/b"));
        assert!(allows(&rule, &Method::GET, "/api/v1/namespaces/a/pods/b/status"));
        for other in ["/api/v1/namespaces/a/pods/b/log", "/api/v1/namespaces/a/pods", "/apis/x/v1/pods/b"] {
            assert!(!allows(&rule, &Method::GET, other), "{other}");
        }
        let all = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
        assert!(allows(&all, &Method::DELETE, "/api/v1/namespaces/a/pods/b/log"));
        assert!(!allows(&all, &Method::GET, "/version"));
    }

    #[test]
    fn names_restrict_and_a_field_selector_names_one() {
        let rule =
            json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"], "resourceNames": ["b"]});
        assert!(allows(&rule, &Method::GET, "/apis/batch/v1/namespaces/a/jobs/b"));
        assert!(!allows(&rule, &Method::GET, "/apis/batch/v1/namespaces/a/jobs/c"));
        assert!(!allows(&rule, &Method::GET, "/apis/batch/v1/namespaces/a/jobs"));
        let watch = "/apis/batch/v1/namespaces/a/jobs?watch=1&fieldSelector=metadata.name%3Db";
        assert!(allows(&rule, &Method::GET, watch));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        Role::from_json("a", &json!({"kind": "Role"})).unwrap_err();
        Role::from_json("a", &json!([{"verb": ["get"]}])).unwrap_err();
        let role = json!({"metadata": {"name": "wm"}, "rules": [{"verbs": ["get"]}]});
        assert_eq!(Role::from_json("a", &role).unwrap().name, "wm");
    }
}
