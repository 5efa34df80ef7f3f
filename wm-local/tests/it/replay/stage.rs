//! What was done to set the stage, and is not in the recordings: changes by other hands, and service accounts.

use std::collections::HashMap;

use serde_json::{Value, json};
use wm_local::{Cluster, Fault, Identity, Role};

/// Something that was done and not recorded.
pub(super) struct StageHand {
    pub(super) at_ms: u64,
    pub(super) act: Act,
}

pub(super) enum Act {
    Request {
        method: &'static str,
        path: &'static str,
        content_type: &'static str,
        body: Value,
    },
    /// What went wrong in the real cluster, or was set up there to go wrong.
    Fault(Box<Fault>),
    /// It goes right again.
    Lift,
    /// Somebody waited until a pod was like that.
    Await {
        pod: &'static str,
        until: fn(&Value) -> bool,
    },
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
            vec![request(5000, "POST", path, "application/json", body)]
        }
        "unschedulable" => {
            let taints = |taints: Value| json!({"spec": {"taints": taints}});
            let taint = json!({"key": "recorded.example/dedicated", "value": "gpu", "effect": "NoSchedule"});
            let content_type = "application/merge-patch+json";
            vec![
                patch(640, NODE, content_type, taints(json!([taint]))),
                patch(1520, NODE, content_type, taints(json!(null))),
            ]
        }
        "oom-killed" => {
            vec![fault(50, "oom=start,names=oom-killed"), fault(50, "oom=child,names=oom-killed-child")]
        }
        "evicted-by-kubelet" => vec![
            fault(40, "evict=6700ms,names=ephemeral"),
            fault_saying(
                40,
                "evict=39900ms,names=empty-dir",
                "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ",
            ),
        ],
        "admission-denied" => vec![
            fault(550, "admission=policy"),
            lift(568),
            fault(1520, "admission=policy-warns"),
            lift(1530),
            fault(3280, "admission=webhook"),
            lift(3300),
            fault(3301, "admission=webhook-silent"),
            lift(3350),
            fault(3351, "admission=webhook-warns"),
            lift(3390),
            fault(3391, "admission=webhook-slow"),
            lift(5430),
            fault(5431, "admission=webhook-down"),
            lift(5460),
        ],
        "image-pull-error" => {
            let of =
                |(fault_value, name): (&str, &str)| fault(0, &format!("image={fault_value},names={name}"));
            let mut hands: Vec<StageHand> = IMAGES.map(of).into();
            let waits = |pod: &Value| {
                pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
            };
            hands.extend(BACKING_OFF.map(|pod| await_pod(31_350, pod, waits)));
            hands
        }
        "job-retries" => vec![await_pod(16_432, "job-retries-onfailure-8779l", |pod| {
            let main = &pod["status"]["containerStatuses"][0];
            main["restartCount"] == 2 && main["state"]["running"].is_object()
        })],
        "forbidden" => {
            let post =
                |path: &'static str, body: Value| request(16_500, "POST", path, "application/json", body);
            let hold = json!({"name": "hold", "finalizers": ["recorded.example/hold"]});
            vec![
                post("/api/v1/namespaces", json!({"metadata": {"name": "forbidden-terminating"}})),
                post("/api/v1/namespaces/forbidden-terminating/configmaps", json!({"metadata": hold})),
                request(
                    16_500,
                    "DELETE",
                    "/api/v1/namespaces/forbidden-terminating",
                    "application/json",
                    json!({}),
                ),
            ]
        }
        "pod-security-restricted" => {
            let labels = json!({
                "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
            });
            let path = "/api/v1/namespaces/pod-security-restricted";
            vec![patch(0, path, "application/merge-patch+json", json!({"metadata": {"labels": labels}}))]
        }
        "pod-deleted-by-someone" => {
            let taint = json!({"key": "recorded.example/out", "value": "now", "effect": "NoExecute"});
            let force = |at_ms, path| {
                request(at_ms, "DELETE", path, "application/json", json!({"gracePeriodSeconds": 0}))
            };
            vec![
                force(65_835, "/api/v1/namespaces/pod-deleted-by-someone/pods/overlap-hvpmg"),
                force(65_865, "/api/v1/namespaces/pod-deleted-by-someone/pods/no-overlap-p87pm"),
                patch(70_600, NODE, "application/merge-patch+json", json!({"spec": {"taints": [taint]}})),
            ]
        }
        "quota" => {
            let delete = |at_ms, path| request(at_ms, "DELETE", path, "application/json", json!({}));
            vec![
                delete(6650, "/api/v1/namespaces/quota/resourcequotas/one-job"),
                delete(25_300, "/api/v1/namespaces/quota/resourcequotas/no-pods"),
                delete(25_918, "/api/v1/namespaces/quota/resourcequotas/cpu"),
            ]
        }
        "too-many-requests" => vec![
            fault(0, "too-many-requests=1,users=*launcher,count=3"),
            fault(360, "too-many-requests=2,users=*launcher,verbs=delete,count=1"),
        ],
        _ => Vec::new(),
    }
}

/// What became of images in the scenario of those that can't be had, by the name of the Job.
const IMAGES: [(&str, &str); 9] = [
    ("not-found", "not-found"),
    ("unauthorized", "registry-401"),
    ("denied", "registry-no-access"),
    ("no-token", "registry-no-token"),
    ("forbidden", "registry-403"),
    ("too-many-requests", "registry-429"),
    ("server-error", "registry-500"),
    ("refused", "registry-refused"),
    ("never-pull", "never-pull"),
];

const BACKING_OFF: [&str; 7] = [
    "registry-401-5pkv7",
    "registry-403-6gpv2",
    "registry-429-xhglx",
    "registry-500-skfwl",
    "registry-no-access-n5nkl",
    "registry-no-token-4rnjs",
    "registry-refused-vndmm",
];

/// Whether faults stand in for what the real cluster had: a registry, a kernel, webhooks.
pub(super) fn has_faults(scenario: &str) -> bool {
    stage_of(scenario).iter().any(|hand| matches!(hand.act, Act::Fault(_)))
}

const NODE: &str = "/api/v1/nodes/local";

fn request(
    at_ms: u64,
    method: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: Value,
) -> StageHand {
    StageHand { at_ms, act: Act::Request { method, path, content_type, body } }
}

fn patch(at_ms: u64, path: &'static str, content_type: &'static str, body: Value) -> StageHand {
    request(at_ms, "PATCH", path, content_type, body)
}

fn await_pod(at_ms: u64, pod: &'static str, until: fn(&Value) -> bool) -> StageHand {
    StageHand { at_ms, act: Act::Await { pod, until } }
}

fn fault(at_ms: u64, fault: &str) -> StageHand {
    StageHand { at_ms, act: Act::Fault(Box::new(fault.parse().unwrap())) }
}

fn fault_saying(at_ms: u64, text: &str, message: &str) -> StageHand {
    let mut fault: Fault = text.parse().unwrap();
    fault.message = Some(message.to_owned());
    StageHand { at_ms, act: Act::Fault(Box::new(fault)) }
}

fn lift(at_ms: u64) -> StageHand {
    StageHand { at_ms, act: Act::Lift }
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
        "access-reviews" | "too-many-requests" => &[("launcher", true)],
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
