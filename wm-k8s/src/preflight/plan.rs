//! What to apply so that what is missing is there.

use serde_json::{Value, json};

use super::survey::{Survey, Told, Trial};
use crate::{rights::Right, role, settings::KubernetesSettings};

/// Beside a Role that is there already: rights add up, and applying the same name would take the others away.
const NAME: &str = "workload-manager-missing";

pub(super) fn objects(survey: &Survey, settings: &KubernetesSettings) -> Vec<Value> {
    let namespace = &settings.namespace;
    let mut objects = Vec::new();
    let no_namespace =
        matches!(survey.namespace, Told::Missing) || is_refused_for_namespace(&survey.job_trial);
    if no_namespace {
        objects.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }));
    }
    if no_namespace || matches!(survey.account, Told::Missing) {
        objects.push(json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": settings.service_account, "namespace": namespace },
        }));
    }
    let missing: Vec<&Right> = survey
        .rights
        .iter()
        .filter(|(_, granted)| *granted == Some(false))
        .map(|(right, _)| *right)
        .collect();
    if !missing.is_empty() {
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": NAME, "namespace": namespace },
            "rules": role::rules(missing),
        }));
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": NAME, "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME },
            "subjects": [subject(&survey.user, namespace)],
        }));
    }
    objects
}

pub(super) fn is_refused_for_namespace(trial: &Trial) -> bool {
    matches!(trial, Trial::Refused(refusal) if refusal.code == 404 && refusal.message.contains("namespaces "))
}

/// Who asks; where nobody tells, who a server is by `wm role`.
fn subject(user: &Told<String>, namespace: &str) -> Value {
    let account = |name: &str, namespace: &str| json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace });
    let Told::Is(user) = user else { return account("zenml-server", namespace) };
    match user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        Some((namespace, name)) => account(name, namespace),
        None => json!({ "kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_bound_to_who_asks() {
        let bound = |user: &str| subject(&Told::Is(user.to_owned()), "runs");
        let account = bound("system:serviceaccount:zenml:server");
        assert_eq!(account, json!({ "kind": "ServiceAccount", "name": "server", "namespace": "zenml" }));
        assert_eq!(bound("jane@example.com")["kind"], "User");
        let nobody = subject(&Told::Unknown(String::new()), "runs");
        assert_eq!(nobody, json!({ "kind": "ServiceAccount", "name": "zenml-server", "namespace": "runs" }));
    }
}
