use serde_json::{Value, json};

use crate::rights::{RIGHTS, Right};

/// Which Role to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleScope {
    /// All rights that are used.
    Full,
    /// The rights that the users' guide names; the manager does without the others.
    Narrow,
}

/// Builds the objects that a manager needs in its namespace: service account, Role and role
/// binding.
///
/// The Role is bound to the service account `server`, in the namespace `server_namespace`, as which the server runs.
pub fn role(
    scope: RoleScope,
    namespace: &str,
    runner_account: &str,
    server: &str,
    server_namespace: &str,
) -> Vec<Value> {
    let rules = rules(RIGHTS.iter().filter(|right| scope == RoleScope::Full || right.narrow));
    let name = "workload-manager";
    vec![
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": runner_account, "namespace": namespace },
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": name, "namespace": namespace },
            "rules": rules,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": name, "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": server, "namespace": server_namespace }],
        }),
    ]
}

/// The rules of a Role with these rights, of which those of one resource stand together.
pub(crate) fn rules<'a>(rights: impl IntoIterator<Item = &'a Right>) -> Vec<Value> {
    let mut rules: Vec<Value> = Vec::new();
    for right in rights {
        let same = rules
            .iter_mut()
            .find(|rule| rule["apiGroups"][0] == right.group && rule["resources"][0] == right.resource)
            .and_then(|rule| rule["verbs"].as_array_mut());
        match same {
            Some(verbs) => verbs.push(json!(right.verb)),
            None => rules.push(json!({
                "apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb],
            })),
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrow_role_is_the_one_of_the_guide() {
        let objects = role(RoleScope::Narrow, "runs", "runner", "server", "zenml");
        assert_eq!(
            objects[1]["rules"],
            json!([
                { "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "deletecollection"] },
                { "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] },
                { "apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"] },
            ])
        );
    }

    #[test]
    fn the_full_role_has_every_right_once() {
        let objects = role(RoleScope::Full, "runs", "runner", "server", "zenml");
        let rules = objects[1]["rules"].as_array().unwrap();
        let verbs: usize = rules.iter().map(|rule| rule["verbs"].as_array().unwrap().len()).sum();
        assert_eq!(verbs, RIGHTS.len());
        assert_eq!(objects[2]["subjects"][0]["namespace"], "zenml");
    }
}
