//! What a runner's pod asks for, once the namespace's defaults are added.

use std::collections::BTreeMap;

use serde_json::Value;

use super::limits::Defaults;
use crate::rules::Quantity;

/// Amounts by the name of the resource.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// What one container asks for.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) requests: Amounts,
    pub(super) limits: Amounts,
    is_init: bool,
}

impl Container {
    pub(super) fn amounts(&self, kind: &str) -> &Amounts {
        if kind == "limits" { &self.limits } else { &self.requests }
    }
}

/// The containers of a Job's pod.
pub(super) fn containers(job: &Value, defaults: &Defaults) -> Vec<Container> {
    let spec = &job["spec"]["template"]["spec"];
    let of = |field: &str, is_init| {
        let containers = spec[field].as_array().into_iter().flatten();
        containers.map(move |value| container(value, is_init, defaults)).collect::<Vec<_>>()
    };
    let mut containers = of("containers", false);
    containers.extend(of("initContainers", true));
    containers
}

/// What the pod as a whole asks for; an init container has gone when the others come.
pub(super) fn total(containers: &[Container], kind: &str, resource: &str) -> Option<Quantity> {
    let amounts = |is_init| {
        let those = containers.iter().filter(move |container| container.is_init == is_init);
        those.filter_map(|container| container.amounts(kind).get(resource).copied())
    };
    let together = amounts(false).reduce(Quantity::plus);
    amounts(true).chain(together).reduce(|most, next| if next > most { next } else { most })
}

fn container(value: &Value, is_init: bool, defaults: &Defaults) -> Container {
    let mut limits = amounts(&value["resources"]["limits"]);
    let mut requests = amounts(&value["resources"]["requests"]);
    // In the order of the server: what is not requested is what it is limited to, then the limit ranges add theirs.
    add_missing(&mut requests, &limits);
    add_missing(&mut limits, &defaults.limits);
    add_missing(&mut requests, &defaults.requests);
    Container { name: value["name"].as_str().unwrap_or_default().to_owned(), requests, limits, is_init }
}

fn add_missing(amounts: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        amounts.entry(name.clone()).or_insert(*amount);
    }
}

/// Reads a map of quantities; what is none was refused before.
pub(super) fn amounts(value: &Value) -> Amounts {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.clone(), quantity(amount)?))).collect()
}

pub(super) fn quantity(value: &Value) -> Option<Quantity> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Quantity::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_asks_for_the_sum_of_its_containers_or_for_its_greatest_init_container() {
        let with = |memory: &str| json!({ "name": "c", "resources": { "limits": { "memory": memory } } });
        let spec = json!({ "containers": [with("1Gi"), with("512Mi")], "initContainers": [with("1Gi"), with("2Gi")] });
        let job = json!({ "spec": { "template": { "spec": spec } } });
        let containers = containers(&job, &Defaults::default());
        let asked = |kind, resource| total(&containers, kind, resource).map(|amount| amount.to_string());
        assert_eq!(asked("limits", "memory").as_deref(), Some("2Gi"));
        assert_eq!(asked("requests", "memory").as_deref(), Some("2Gi"), "limits are requests too");
        assert_eq!(asked("limits", "cpu"), None);
        assert_eq!(total(&containers[..2], "limits", "memory").unwrap().to_string(), "1536Mi");
    }
}
