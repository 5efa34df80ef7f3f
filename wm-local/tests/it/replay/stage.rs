//! What was done to set the stage, and is not in the recordings: changes by other hands, and service accounts.

use std::collections::HashMap;

use serde_json::{Value, json};
use wm_local::{Cluster, Identity, Role};

/// A request that was not recorded.
pub(super) struct StageHand {
    pub(super) at_ms: u64,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: Value,
}

pub(super) fn stage_of(scenario: &str) -> Vec<StageHand> {
    match scenario {
        "create-twice" => {
            let path = "/api/v1/namespaces/create-twice/pods/create-twice-vbv4g";
            let hold =
                json!({"op": "add", "path": "/metadata/finalizers/-", "value": "recorded.example/hold"});
            vec![
                patch(90, path, "application/json-patch+json", json!([hold])),
                patch(650, path, "application/merge-patch+json", json!({"metadata": {"finalizers": null}})),
            ]
        }
        "suspend-and-resume" => {
            let body = json!({"metadata": {"name": "go"}, "data": {"go": "1"}});
            let path = "/api/v1/namespaces/suspend-and-resume/configmaps";
            vec![StageHand { at_ms: 5000, method: "POST", path, content_type: "application/json", body }]
        }
        _ => Vec::new(),
    }
}

fn patch(at_ms: u64, path: &'static str, content_type: &'static str, body: Value) -> StageHand {
    StageHand { at_ms, method: "PATCH", path, content_type, body }
}

/// The tokens of the service accounts of a scenario, by their names in it.
pub(super) fn tokens_of(scenario: &str, cluster: &Cluster) -> HashMap<String, String> {
    let rules = |kind: &str| match kind {
        "launcher" => json!([
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch", "delete"]},
            {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        ]),
        _ => json!([
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        ]),
    };
    let accounts: &[(&str, bool)] = match scenario {
        "access-reviews" => &[("launcher", true)],
        "forbidden" => &[("launcher", false), ("half", true)],
        _ => &[],
    };
    let token = |(name, has_role): &(&str, bool)| {
        let mut identity = Identity::service_account(scenario, name);
        if *has_role {
            let role = json!({"metadata": {"name": name}, "rules": rules(name)});
            identity = identity.with_role(Role::from_json(scenario, &role).unwrap());
        }
        (format!("service account {name}"), cluster.grant(identity).unwrap())
    };
    accounts.iter().map(token).collect()
}
