//! Patches of a pod template: Kubernetes' strategic merge, with the parts that are ours kept as they are.

mod merge;
mod order;
mod protection;
mod strategy;

use serde_json::Value;

pub(crate) use self::{
    protection::protected_by_name,
    strategy::{DELETE_FROM_LIST, ListStrategy, PATCH, RETAIN_KEYS, SET_ORDER, list_strategy},
};
use crate::rules::FieldProblem;

/// Merges a patch into a pod template.
///
/// The result is that of `kubectl patch --type=strategic`. A patch that changes what the manager relies on is refused.
pub(crate) fn apply(template: &Value, patch: &Value) -> Result<Value, Vec<FieldProblem>> {
    let patched = merge::merge(template, patch).map_err(|problem| vec![problem])?;
    let changed = protection::changes(template, &patched);
    if changed.is_empty() { Ok(patched) } else { Err(changed) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Value {
        json!({
            "metadata": {"labels": {"workload-manager/id": "7", "team": "a"}},
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": "runner",
                "activeDeadlineSeconds": 60,
                "containers": [{
                    "name": "main", "image": "i", "command": ["c"], "args": ["a"],
                    "env": [
                        {"name": "PLAIN", "value": "1"},
                        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "TOKEN"}}},
                    ],
                }],
            },
        })
    }

    #[test]
    fn what_is_not_ours_can_be_patched() {
        let patch = json!({
            "metadata": {"labels": {"team": "b"}, "annotations": {"x": "y"}},
            "spec": {"hostNetwork": true, "containers": [
                {"name": "main", "env": [{"name": "PLAIN", "value": "2"}], "imagePullPolicy": "Always"},
                {"name": "side", "image": "s"},
            ]},
        });
        let patched = apply(&template(), &patch).unwrap();
        assert_eq!(patched.pointer("/metadata/labels/team"), Some(&json!("b")));
        assert_eq!(patched.pointer("/spec/containers/0/env/0/value"), Some(&json!("2")));
        assert_eq!(patched.pointer("/spec/containers/0/image"), Some(&json!("i")));
        assert_eq!(patched.pointer("/spec/containers/1/name"), Some(&json!("side")));
    }

    #[test]
    fn what_is_ours_is_kept_however_the_patch_is_written() {
        for (patch, field) in [
            (json!({"spec": {"restartPolicy": "OnFailure"}}), "spec.restartPolicy"),
            (json!({"spec": {"serviceAccountName": null}}), "spec.serviceAccountName"),
            (json!({"spec": {"activeDeadlineSeconds": 5}}), "spec.activeDeadlineSeconds"),
            (json!({"metadata": {"name": "x"}}), "metadata.name"),
            (json!({"metadata": {"namespace": "x"}}), "metadata.namespace"),
            (
                json!({"metadata": {"labels": {"workload-manager/id": "8"}}}),
                "metadata.labels[workload-manager/id]",
            ),
            (
                json!({"metadata": {"labels": {"alias.workload-manager/x": ""}}}),
                "metadata.labels[alias.workload-manager/x]",
            ),
            (
                json!({"metadata": {"labels": {"app.kubernetes.io/component": "x"}}}),
                "metadata.labels[app.kubernetes.io/component]",
            ),
            (
                json!({"metadata": {"$patch": "replace", "labels": {}}}),
                "metadata.labels[workload-manager/id]",
            ),
            (json!({"metadata": {"$retainKeys": ["annotations"]}}), "metadata.labels[workload-manager/id]"),
            (json!({"spec": {"containers": [{"name": "main", "$patch": "delete"}]}}), "spec.containers"),
            (
                json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "x", "image": "y"}]}}),
                "spec.containers",
            ),
            (json!({"spec": {"containers": null}}), "spec.containers"),
            (
                json!({"spec": {"containers": [{"name": "main", "image": "other"}]}}),
                "spec.containers[0].image",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "command": []}]}}),
                "spec.containers[0].command",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "$deleteFromPrimitiveList/args": ["a"]}]}}),
                "spec.containers[0].args",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "env": [{"name": "TOKEN", "value": "x"}]}]}}),
                "spec.containers[0].env[1]",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "env": [{"name": "TOKEN", "$patch": "delete"}]}]}}),
                "spec.containers[0].env",
            ),
            (json!({"spec": {"containers": [{"name": "main", "env": null}]}}), "spec.containers[0].env"),
        ] {
            let problems = apply(&template(), &patch).unwrap_err();
            assert_eq!(problems[0].field, field, "{patch}");
            assert!(problems[0].detail.starts_with("Forbidden: "), "{patch}");
        }
    }
}
