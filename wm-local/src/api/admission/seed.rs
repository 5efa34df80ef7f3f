//! What a cluster has from the beginning: its node, its namespaces, their service accounts.

use serde_json::{Value, json};

use super::{admit_new, strip_for_create};
use crate::{
    api::answer::Warnings,
    error::ApiError,
    kind::Kind,
    node::NODE_NAME,
    store::{Store, identify},
};

/// Makes the node, the namespaces, and the service accounts, which are pairs of namespace and name.
pub(crate) fn populate(
    store: &Store,
    namespaces: &[String],
    service_accounts: &[(String, String)],
) -> Result<(), ApiError> {
    store.create(Kind::Node, "", node(&store.clock().seconds()))?;
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
    identify(kind, namespace, &mut object, store.clock());
    admit_new(kind, &mut object, &mut Warnings::default())?;
    match store.create(kind, namespace, object) {
        Err(error) if error.code != 409 => Err(error),
        _ => Ok(()),
    }
}

fn node(now: &str) -> Value {
    json!({
        "metadata": {
            "name": NODE_NAME,
            "labels": {"kubernetes.io/hostname": NODE_NAME, "kubernetes.io/os": std::env::consts::OS},
        },
        "spec": {},
        "status": {
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
                "operatingSystem": std::env::consts::OS,
                "architecture": std::env::consts::ARCH,
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
