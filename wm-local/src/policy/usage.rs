//! What counts against a quota.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{kind::Kind, quantity::Quantity, store::Store, value::list};

/// Quantities by what a quota calls them, such as `requests.cpu` or `count/jobs.batch`.
pub(super) type Usage = BTreeMap<String, Quantity>;

/// What of a pod's containers a quota may ask for.
pub(super) const COMPUTE: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// What one object uses.
pub(super) fn of(kind: Kind, object: &Value) -> Usage {
    let one = Quantity::from(1);
    let mut usage = Usage::from([(format!("count/{}", kind.qualified_resource()), one)]);
    match kind {
        Kind::Pod if !matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) => {
            usage.insert("pods".to_owned(), one);
            usage.extend(of_containers(&object["spec"]));
        }
        Kind::Secret | Kind::ConfigMap | Kind::ResourceQuota => {
            usage.insert(kind.resource().to_owned(), one);
        }
        _ => {}
    }
    usage
}

/// What everything in a namespace uses of what is limited there.
pub(super) fn total<'a>(store: &Store, namespace: &str, limited: impl Iterator<Item = &'a String>) -> Usage {
    let mut sum: Usage = limited.map(|name| (name.clone(), Quantity::default())).collect();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_namespaced()) {
        let is_counted = |name: &String| match kind {
            Kind::Pod => true,
            _ => *name == format!("count/{}", kind.qualified_resource()) || name == kind.resource(),
        };
        if !sum.keys().any(is_counted) {
            continue;
        }
        for object in store.list(kind, Some(namespace)).0 {
            for (name, quantity) in of(kind, &object) {
                if let Some(so_far) = sum.get_mut(&name) {
                    *so_far = *so_far + quantity;
                }
            }
        }
    }
    sum
}

/// The containers side by side, or one of the init containers if that is more.
fn of_containers(spec: &Value) -> Usage {
    let mut usage = Usage::new();
    for container in list(spec, "containers") {
        for (name, quantity) in of_container(container) {
            let so_far = usage.entry(name).or_default();
            *so_far = *so_far + quantity;
        }
    }
    for container in list(spec, "initContainers") {
        for (name, quantity) in of_container(container) {
            let most = usage.entry(name).or_default();
            *most = quantity.max(*most);
        }
    }
    usage
}

/// What a container requests and is limited to; a request of the usual resources has a short name as well.
pub(super) fn of_container(container: &Value) -> Usage {
    let mut usage = Usage::new();
    for field in ["requests", "limits"] {
        for (resource, quantity) in container["resources"][field].as_object().into_iter().flatten() {
            let Some(quantity) = quantity.as_str().and_then(|text| Quantity::parse(text).ok()) else {
                continue;
            };
            usage.insert(format!("{field}.{resource}"), quantity);
            if field == "requests" && matches!(resource.as_str(), "cpu" | "memory" | "ephemeral-storage") {
                usage.insert(resource.clone(), quantity);
            }
        }
    }
    usage
}
