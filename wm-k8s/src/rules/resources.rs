//! A container's resources: `ValidateContainerResourceRequirements`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource};
use serde_json::Value;

use super::{
    FieldProblem,
    decode::{Document, Place},
    message::{self, quoted},
    names, path,
    quantity::Quantity,
};

const PLACE: Place = Place { holder: "Container", path: "spec.template.spec.containers[0].resources" };

/// What a namespace's quota can count beside cpu, memory and ephemeral-storage.
const COUNTED: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Checks the requests and limits of a container.
///
/// Whether the pod has the resource claims that `claims` names is not known here.
pub fn resources(value: &Value) -> Vec<FieldProblem> {
    Document::new(PLACE).decode(value).checked(|resources| check(resources, ""))
}

pub(super) fn check(resources: &ResourceRequirements, at: &str) -> Vec<FieldProblem> {
    let mut problems = check_amounts(resources, at);
    let (limits, requests) = (amounts(resources.limits.as_ref()), amounts(resources.requests.as_ref()));
    let requests_path = path::child(at, "requests");
    for (name, request) in &requests {
        let overcommits = is_native(name) && !is_huge_page(name);
        let shown = quoted(&request.to_string());
        match limits.get(name) {
            Some(limit) if request != limit && !overcommits => {
                let detail = format!("must be equal to {name} limit of {limit}");
                problems.push(message::invalid(&requests_path, &shown, &detail));
            }
            Some(limit) if request > limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                problems.push(message::invalid(&requests_path, &shown, &detail));
            }
            None if !overcommits => {
                let detail = "Limit must be set for non overcommitable resources";
                problems.push(message::required(path::child(at, "limits"), detail));
            }
            Some(_) | None => {}
        }
    }
    let names: BTreeSet<_> = limits.keys().chain(requests.keys()).copied().collect();
    if names.iter().any(|name| is_huge_page(name)) && !names.contains("cpu") && !names.contains("memory") {
        problems.push(message::forbidden(at, "HugePages require cpu or memory"));
    }
    problems
}

/// The rules that hold for a part of the resources too, as a patch has it.
pub(super) fn check_amounts(resources: &ResourceRequirements, at: &str) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for (list, amounts) in
        [("limits", amounts(resources.limits.as_ref())), ("requests", amounts(resources.requests.as_ref()))]
    {
        for (name, amount) in amounts {
            let field = path::key(&path::child(at, list), name);
            problems.extend(check_name(name, &field));
            problems.extend(check_amount(name, amount, &field));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, claim) in resources.claims.iter().flatten().enumerate() {
        let field = path::index(&path::child(at, "claims"), index);
        if claim.name.is_empty() {
            problems.push(message::required(field, ""));
        } else if !seen.insert(&claim.name) {
            problems.push(message::duplicate(field, &quoted(&claim.name)));
        }
    }
    problems
}

fn amounts(list: Option<&BTreeMap<String, resource::Quantity>>) -> BTreeMap<&str, Quantity> {
    let entries = list.into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.as_str(), Quantity::parse(&amount.0).ok()?))).collect()
}

fn check_name(name: &str, field: &str) -> Vec<FieldProblem> {
    let shown = quoted(name);
    let invalid = |detail: &str| message::invalid(field, &shown, detail);
    let mut problems: Vec<_> = names::label_key(name).iter().map(|detail| invalid(detail)).collect();
    if name.contains('/') {
        if !is_native(name) && !is_extended(name) {
            problems.push(invalid("doesn't follow extended resource name standard"));
        }
        return problems;
    }
    if problems.is_empty() && !is_standard(name) {
        problems.push(invalid("must be a standard resource type or fully qualified"));
    }
    if !COMPUTE.contains(&name) && !is_huge_page(name) {
        problems.push(invalid("must be a standard resource for containers"));
    }
    problems
}

fn check_amount(name: &str, amount: Quantity, field: &str) -> Vec<FieldProblem> {
    let shown = quoted(&amount.to_string());
    let mut problems = Vec::new();
    if amount.is_negative() {
        problems.push(message::invalid(field, &shown, "must be greater than or equal to 0"));
    }
    if (COUNTED.contains(&name) || is_extended(name)) && !amount.is_integer() {
        problems.push(message::invalid(field, &shown, "must be an integer"));
    }
    if let Some(size) = name.strip_prefix("hugepages-")
        && !Quantity::parse(size).is_ok_and(|size| amount.is_multiple_of(size))
    {
        let detail = format!("{amount} is not positive integer multiple of {name}");
        problems.push(message::invalid(field, &shown, &detail));
    }
    problems
}

/// Whether a quota may name it without a domain.
fn is_standard(name: &str) -> bool {
    let counted_share = |prefix: &str| name.strip_prefix(prefix).is_some_and(|name| COMPUTE.contains(&name));
    COMPUTE.contains(&name)
        || COUNTED.contains(&name)
        || counted_share("requests.")
        || counted_share("limits.")
        || matches!(name, "storage" | "requests.storage")
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    // A quota must be able to name it with "requests." in front.
    !is_native(name)
        && !name.starts_with("requests.")
        && names::label_key(&format!("requests.{name}")).is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: &Value) -> Vec<String> {
        resources(value).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn resources_that_a_server_takes_are_fine() {
        for value in [
            json!(null),
            json!({}),
            json!({"requests": {}, "limits": null}),
            json!({"requests": {"cpu": "100m", "memory": "400Mi"}, "limits": {"memory": "700Mi"}}),
            json!({"requests": {"cpu": 1, "memory": 1.5e9}, "limits": {"cpu": 1.5}}),
            json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "1024Mi"}}),
            json!({"requests": {"cpu": "0"}, "limits": {"cpu": "0"}}),
            json!({"requests": {"cpu": "0.0001"}}),
            json!({"requests": {"cpu": "1e-3"}, "limits": {"cpu": "1m"}}),
            json!({"limits": {"nvidia.com/gpu": 1}}),
            json!({"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": 2}}),
            json!({"requests": {"ephemeral-storage": "1Gi"}, "limits": {"ephemeral-storage": "2Gi"}}),
            json!({"requests": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}, "limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}}),
            json!({"requests": {"kubernetes.io/batch-cpu": "1"}}),
            json!({"requests": {"memory": "128974848"}, "limits": {"memory": "129e6"}}),
            json!({"claims": [{"name": "gpu"}, {"name": "nic", "request": "fast"}]}),
            json!({"limits": {"cpu": null}}),
        ] {
            assert_eq!(shown(&value), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn resources_that_a_server_refuses_are_refused_in_its_words() {
        for (value, problem) in [
            (
                json!({"requests": {"cpu": "-100m"}}),
                "requests[cpu]: Invalid value: \"-100m\": must be greater than or equal to 0",
            ),
            (
                json!({"requests": {"cpu": "1.5"}, "limits": {"cpu": 1}}),
                "requests: Invalid value: \"1500m\": must be less than or equal to cpu limit of 1",
            ),
            (
                json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}),
                "requests: Invalid value: \"1Gi\": must be less than or equal to memory limit of 1G",
            ),
            (
                json!({"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}}),
                "requests: Invalid value: \"1\": must be equal to nvidia.com/gpu limit of 2",
            ),
            (
                json!({"requests": {"nvidia.com/gpu": 1}}),
                "limits: Required value: Limit must be set for non overcommitable resources",
            ),
            (
                json!({"limits": {"nvidia.com/gpu": 0.5}}),
                "limits[nvidia.com/gpu]: Invalid value: \"500m\": must be an integer",
            ),
            (
                json!({"limits": {"pods": "1"}}),
                "limits[pods]: Invalid value: \"pods\": must be a standard resource for containers",
            ),
            (
                json!({"limits": {"storage": "1Gi"}}),
                "limits[storage]: Invalid value: \"storage\": must be a standard resource for containers",
            ),
            (
                json!({"limits": {"requests.cpu": "1"}}),
                "limits[requests.cpu]: Invalid value: \"requests.cpu\": must be a standard resource for containers",
            ),
            (
                json!({"limits": {"requests.example.com/x": "1"}}),
                "limits[requests.example.com/x]: Invalid value: \"requests.example.com/x\": doesn't follow extended resource name standard",
            ),
            (
                json!({"limits": {"hugepages-2Mi": "3Mi", "cpu": 1}}),
                "limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
            ),
            (json!({"limits": {"hugepages-2Mi": "4Mi"}}), "Forbidden: HugePages require cpu or memory"),
            (
                json!({"limits": {"hugepages-x": "4Mi", "cpu": 1}}),
                "limits[hugepages-x]: Invalid value: \"4Mi\": 4Mi is not positive integer multiple of hugepages-x",
            ),
            (json!({"claims": [{"name": "gpu"}, {"name": "gpu"}]}), "claims[1]: Duplicate value: \"gpu\""),
            (json!({"claims": [{}]}), "claims[0]: Required value"),
            (
                json!({"requests": {"cpu": ""}}),
                "requests[cpu]: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
            (json!({"requests": {"cpu": "1K"}}), "requests[cpu]: unable to parse quantity's suffix"),
            (json!({"request": {"cpu": 1}}), "request: unknown field, did you mean \"requests\"?"),
            (json!({"Limits": {}}), "Limits: unknown field, did you mean \"limits\"?"),
            (json!({"cpu": "1"}), "cpu: unknown field"),
            (
                json!([]),
                "json: cannot unmarshal array into Go struct field Container.spec.template.spec.containers.resources of type v1.ResourceRequirements",
            ),
            (
                json!("1 CPU"),
                "json: cannot unmarshal string into Go struct field Container.spec.template.spec.containers.resources of type v1.ResourceRequirements",
            ),
            (
                json!({"limits": ["cpu"]}),
                "limits: json: cannot unmarshal array into Go struct field ResourceRequirements.spec.template.spec.containers.resources.limits of type v1.ResourceList",
            ),
        ] {
            assert_eq!(shown(&value), [problem], "{value}");
        }
    }

    #[test]
    fn a_name_without_domain_breaks_two_rules() {
        assert_eq!(shown(&json!({"limits": {"gpu": 1}})).len(), 2);
        assert_eq!(shown(&json!({"limits": {"": 1}})).len(), 3);
    }
}
