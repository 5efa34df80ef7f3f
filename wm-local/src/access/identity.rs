//! Users: their names, groups and roles.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    attributes::{Attributes, Permission, Target},
    rule::{Role, Rule},
    token::Token,
};

const ADMINISTRATORS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";

/// Who a token stands for, and what it allows.
///
/// Everyone may ask for the API's documents and for the own rights; the rest is given by roles.
///
/// ```
/// use wm_local::{Identity, Role};
///
/// let rules = serde_json::json!([{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get"]}]);
/// let launcher = Identity::service_account("default", "launcher").with_role(Role::from_json("default", &rules)?);
/// assert_eq!(launcher.user, "system:serviceaccount:default:launcher");
/// # Ok::<(), wm_local::RoleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The user name that refusals tell.
    pub user: String,
    /// The groups. `system:masters` may do everything.
    pub groups: Vec<String>,
    /// What it may do.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// How long its token is valid, by the cluster's clock; for ever if it is not given.
    #[serde(default)]
    pub lifetime: Option<Duration>,
    /// Namespace and name of the service account, whose deletion ends the token.
    #[serde(default)]
    pub service_account: Option<(String, String)>,
}

impl Identity {
    /// Creates a user who has no rights yet.
    pub fn user(name: impl Into<String>) -> Self {
        Self {
            user: name.into(),
            groups: vec![AUTHENTICATED.to_owned()],
            roles: Vec::new(),
            lifetime: None,
            service_account: None,
        }
    }

    /// Creates the identity of a service account, which has no rights yet.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let groups = [
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            AUTHENTICATED.to_owned(),
        ];
        Self {
            groups: groups.into(),
            service_account: Some((namespace.to_owned(), name.to_owned())),
            ..Self::user(format!("system:serviceaccount:{namespace}:{name}"))
        }
    }

    /// Creates an administrator, who may do everything.
    pub fn administrator() -> Self {
        Self { groups: vec![ADMINISTRATORS.to_owned(), AUTHENTICATED.to_owned()], ..Self::user("admin") }
    }

    pub(super) fn anonymous() -> Self {
        Self { groups: vec!["system:unauthenticated".to_owned()], ..Self::user("system:anonymous") }
    }

    /// Adds a role.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Limits how long the token is valid.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    pub(crate) fn is_administrator(&self) -> bool {
        self.groups.iter().any(|group| group == ADMINISTRATORS)
    }

    fn is_authenticated(&self) -> bool {
        self.groups.iter().any(|group| group == AUTHENTICATED)
    }

    pub(super) fn permission(&self, attributes: &Attributes) -> Permission {
        if self.is_administrator() {
            return Permission::Allowed { reason: None };
        }
        for (name, group, rules) in self.built_in() {
            if rules.iter().any(|rule| rule.allows(attributes)) {
                let reason = format!(
                    "RBAC: allowed by ClusterRoleBinding \"{name}\" of ClusterRole \"{name}\" to Group \"{group}\""
                );
                return Permission::Allowed { reason: Some(reason) };
            }
        }
        let granted = self.roles.iter().find(|role| {
            holds(role, &attributes.target) && role.rules.iter().any(|rule| rule.allows(attributes))
        });
        granted.map_or(Permission::Denied, |role| Permission::Allowed { reason: Some(self.reason(role)) })
    }

    /// The rules that hold in a namespace, as a review lists them.
    pub(crate) fn rules_in(&self, namespace: &str) -> Vec<Rule> {
        let own =
            self.roles.iter().filter(|role| role.namespace.as_deref().is_none_or(|one| one == namespace));
        let built_in = self.built_in().into_iter().flat_map(|(_, _, rules)| rules);
        built_in.chain(own.flat_map(|role| role.rules.clone())).collect()
    }

    /// The roles that a real cluster binds to the groups of everyone.
    fn built_in(&self) -> Vec<(&'static str, &'static str, Vec<Rule>)> {
        let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
        if !self.is_authenticated() {
            let rule = Rule::paths(&public);
            return vec![("system:public-info-viewer", "system:unauthenticated", vec![rule])];
        }
        let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
        vec![
            (
                "system:basic-user",
                AUTHENTICATED,
                vec![
                    Rule::new("authorization.k8s.io", &reviews, &["create"]),
                    Rule::new("authentication.k8s.io", &["selfsubjectreviews"], &["create"]),
                ],
            ),
            ("system:public-info-viewer", AUTHENTICATED, vec![Rule::paths(&public)]),
            (
                "system:discovery",
                AUTHENTICATED,
                vec![Rule::paths(&[
                    "/api",
                    "/api/*",
                    "/apis",
                    "/apis/*",
                    "/healthz",
                    "/livez",
                    "/openapi",
                    "/openapi/*",
                    "/readyz",
                    "/version",
                    "/version/",
                ])],
            ),
            (
                "system:service-account-issuer-discovery",
                "system:serviceaccounts",
                vec![Rule::paths(&[
                    "/.well-known/openid-configuration",
                    "/.well-known/openid-configuration/",
                    "/openid/v1/jwks",
                    "/openid/v1/jwks/",
                ])],
            ),
        ]
        .into_iter()
        .filter(|(_, group, _)| self.groups.iter().any(|own| own == group))
        .collect()
    }

    fn reason(&self, role: &Role) -> String {
        let to = match &self.service_account {
            Some((namespace, name)) => format!("ServiceAccount \"{name}/{namespace}\""),
            None => format!("User \"{}\"", self.user),
        };
        let name = &role.name;
        match &role.namespace {
            Some(namespace) => {
                format!("RBAC: allowed by RoleBinding \"{name}/{namespace}\" of Role \"{name}\" to {to}")
            }
            None => {
                format!("RBAC: allowed by ClusterRoleBinding \"{name}\" of ClusterRole \"{name}\" to {to}")
            }
        }
    }
}

/// Whether a role is one for the namespace of the target.
fn holds(role: &Role, target: &Target) -> bool {
    match (&role.namespace, target) {
        (None, _) => true,
        (Some(own), Target::Resource { namespace, .. }) => own == namespace,
        (Some(_), Target::Path(_)) => false,
    }
}

/// A token and whom it stands for.
#[derive(Clone)]
#[non_exhaustive]
pub struct Grant {
    /// The bearer token, a secret.
    pub token: String,
    /// Who has it.
    pub identity: Identity,
}

impl Grant {
    /// Creates a grant with a token that is chosen by the caller, and must be hard to guess.
    pub fn new(token: impl Into<String>, identity: Identity) -> Self {
        Self { token: token.into(), identity }
    }

    /// Creates a grant with a new random token.
    pub fn random(identity: Identity) -> Self {
        Self::new(Token::random().as_str(), identity)
    }
}

impl fmt::Debug for Grant {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Grant").field("identity", &self.identity).finish_non_exhaustive()
    }
}
