//! What a cluster has from the beginning: its node, its namespaces, their service accounts.

use serde_json::{Value, json};

use super::{admit_new, strip_for_create};
use crate::{
    api::answer::Warnings,
    error::ApiError,
    kind::Kind,
    node::{NODE_NAME, NodeOptions},
    store::Store,
};

/// Makes the node, the namespaces, and the service accounts, which are pairs of namespace and name.
pub(crate) fn populate(
    store: &Store,
    options: &NodeOptions,
    namespaces: &[String],
    service_accounts: &[(String, String)],
) -> Result<(), ApiError> {
    store.create(Kind::Node, "", node(options, &store.clock().seconds()))?;
    for namespace in namespaces {
        create(store, Kind::Namespace, "", namespace)?;
        populate_namespace(store, namespace)?;
    }
    service_accounts.iter().try_for_each(|(namespace, name)| populate_account(store, namespace, name))
}

/// Makes a service account, and its namespace, unless they are there.
pub(crate) fn populate_account(store: &Store, namespace: &str, name: &str) -> Result<(), ApiError> {
    create(store, Kind::Namespace, "", namespace)?;
    populate_namespace(store, namespace)?;
    create(store, Kind::ServiceAccount, namespace, name)
}

/// Every namespace has the service account `default`.
pub(crate) fn populate_namespace(store: &Store, namespace: &str) -> Result<(), ApiError> {
    create(store, Kind::ServiceAccount, namespace, "default")
}

/// Makes an object of nothing but a name, unless it is there already.
fn create(store: &Store, kind: Kind, namespace: &str, name: &str) -> Result<(), ApiError> {
    let mut object = json!({"metadata": {"name": name}});
    strip_for_create(kind, &mut object);
    store.identify(kind, namespace, &mut object);
    admit_new(kind, &mut object, &mut Warnings::default())?;
    match store.create(kind, namespace, object) {
        Err(error) if error.code != 409 => Err(error),
        _ => Ok(()),
    }
}

fn node(options: &NodeOptions, now: &str) -> Value {
    let system = std::env::consts::OS;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut labels = json!({
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": system,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": NODE_NAME,
        "kubernetes.io/os": system,
    });
    for (key, value) in &options.labels {
        labels[key] = value.clone().into();
    }
    let mut spec = json!({});
    if !options.taints.is_empty() {
        let taints = options.taints.iter().map(|taint| {
            let mut written = json!({"key": taint.key, "effect": taint.effect});
            if !taint.value.is_empty() {
                written["value"] = taint.value.clone().into();
            }
            written
        });
        spec["taints"] = taints.collect();
    }
    json!({
        "metadata": {"name": NODE_NAME, "labels": labels},
        "spec": spec,
        "status": {
            "capacity": options.allocatable,
            "allocatable": options.allocatable,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE_NAME}],
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
                "reason": "KubeletReady",
                "message": "the embedded node is ready",
            }],
            "nodeInfo": {
                "kubeletVersion": "v1.36.2",
                "operatingSystem": system,
                "architecture": architecture,
                "containerRuntimeVersion": "process://",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
                "kernelVersion": "",
                "osImage": "",
                "kubeProxyVersion": "",
            },
        },
    })
}
