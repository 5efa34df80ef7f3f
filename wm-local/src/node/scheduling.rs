//! Whether the node takes a pod, and if not why, in the scheduler's words.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use crate::{faults::Shortage, quantity::Quantity};

/// What pods request, by resource; `pods` is the pod itself.
type Requests = BTreeMap<String, Quantity>;

const NOT_HELPFUL: &str = "1 Preemption is not helpful for scheduling.";
const NO_VICTIMS: &str = "1 No preemption victims found for incoming pod.";

/// What the pods on the node have requested, by their uids.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<HashMap<String, Requests>>);

/// What one pod has requested, until it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    ledger: Arc<Ledger>,
    uid: String,
}

impl Ledger {
    /// Reserves what a pod requests, or tells why that can't be.
    pub(super) fn reserve(
        self: &Arc<Self>,
        uid: &str,
        pod: &Value,
        node: Option<&Value>,
    ) -> Result<Reservation, String> {
        let Some(node) = node else { return Err("no nodes available to schedule pods".to_owned()) };
        if let Some(obstacle) = obstacle(pod, node) {
            return Err(message(obstacle, NOT_HELPFUL));
        }
        let requests = requests(pod);
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut lacking, mut never) = (Vec::new(), false);
        for (resource, wanted) in &requests {
            let size = node["status"]["allocatable"][resource.as_str()].as_str().unwrap_or("0");
            let size = Quantity::parse(size).unwrap_or_default();
            let used = ledger.values().filter_map(|one| one.get(resource)).copied().sum::<Quantity>();
            if used + *wanted > size {
                never |= *wanted > size;
                lacking.push(match resource.as_str() {
                    "pods" => "1 Too many pods".to_owned(),
                    resource => format!("1 Insufficient {resource}"),
                });
            }
        }
        if !lacking.is_empty() {
            let preemption = if never { NOT_HELPFUL } else { NO_VICTIMS };
            return Err(message(&lacking.join(", "), preemption));
        }
        ledger.insert(uid.to_owned(), requests);
        Ok(Reservation { ledger: Arc::clone(self), uid: uid.to_owned() })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ledger.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.uid);
    }
}

/// The scheduler's message for a shortage that is made up.
pub(super) fn shortage(shortage: Shortage) -> String {
    match shortage {
        Shortage::Cpu => message("1 Insufficient cpu", NOT_HELPFUL),
        Shortage::Memory => message("1 Insufficient memory", NOT_HELPFUL),
        Shortage::Gpu => message("1 Insufficient nvidia.com/gpu", NOT_HELPFUL),
        Shortage::Pods => message("1 Too many pods", NO_VICTIMS),
        Shortage::Taint => message(TAINT, NOT_HELPFUL),
        Shortage::Selector => message(AFFINITY, NOT_HELPFUL),
        Shortage::Volume => message("pod has unbound immediate PersistentVolumeClaims", NOT_HELPFUL),
    }
}

const TAINT: &str = "1 node(s) had untolerated taint(s)";
const AFFINITY: &str = "1 node(s) didn't match Pod's node affinity/selector";

fn message(why: &str, preemption: &str) -> String {
    format!(
        "0/1 nodes are available: {why}. no new claims to deallocate, preemption: 0/1 nodes are available: {preemption}"
    )
}

/// What of the node itself keeps the pod away: only the first such thing is told.
fn obstacle(pod: &Value, node: &Value) -> Option<&'static str> {
    let cordon = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    if node["spec"]["unschedulable"] == true && !tolerates(pod, &cordon) {
        return Some("1 node(s) were unschedulable");
    }
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let untolerated =
        taints.filter(|taint| taint["effect"] != "PreferNoSchedule").any(|taint| !tolerates(pod, taint));
    if untolerated {
        return Some(TAINT);
    }
    let labels = &node["metadata"]["labels"];
    let selector = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
    let is_selected = selector.into_iter().all(|(key, value)| labels[key] == *value);
    let required = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = required["nodeSelectorTerms"].as_array();
    let has_affinity = terms.is_none_or(|terms| terms.iter().any(|term| fits(term, node)));
    (!is_selected || !has_affinity).then_some(AFFINITY)
}

pub(super) fn tolerates(pod: &Value, taint: &Value) -> bool {
    toleration(pod, taint).is_some()
}

/// The toleration of a taint, if the pod has one.
pub(super) fn toleration<'a>(pod: &'a Value, taint: &Value) -> Option<&'a Value> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    pod["spec"]["tolerations"].as_array()?.iter().find(|one| {
        let (effect, key, operator) = (text(one, "effect"), text(one, "key"), text(one, "operator"));
        let effect_fits = effect.is_empty() || effect == text(taint, "effect");
        let key_fits = key.is_empty() && operator == "Exists" || key == text(taint, "key");
        effect_fits && key_fits && (operator == "Exists" || text(one, "value") == text(taint, "value"))
    })
}

fn fits(term: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let expressions = term["matchExpressions"].as_array().map_or(&[][..], Vec::as_slice);
    let fields = term["matchFields"].as_array().map_or(&[][..], Vec::as_slice);
    let holds = |expression: &Value, value: &Value| {
        let values = expression["values"].as_array().map_or(&[][..], Vec::as_slice);
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<i64>().ok());
        match expression["operator"].as_str().unwrap_or_default() {
            "In" => values.contains(value),
            "NotIn" => !values.contains(value),
            "Exists" => !value.is_null(),
            "DoesNotExist" => value.is_null(),
            "Gt" => values.first().and_then(number) < number(value),
            "Lt" => number(value).is_some() && number(value) < values.first().and_then(number),
            _ => false,
        }
    };
    // A term without conditions fits no node.
    (!expressions.is_empty() || !fields.is_empty())
        && expressions.iter().all(|one| holds(one, &labels[one["key"].as_str().unwrap_or_default()]))
        && fields.iter().all(|one| holds(one, &node["metadata"]["name"]))
}

/// What a pod requests: its containers side by side, or one of its init containers if that is more.
fn requests(pod: &Value) -> Requests {
    let list = |field: &str| pod["spec"][field].as_array().into_iter().flatten().map(of_container);
    let mut all = Requests::new();
    for container in list("containers") {
        for (resource, quantity) in container {
            let sum = all.get(&resource).copied().unwrap_or_default() + quantity;
            all.insert(resource, sum);
        }
    }
    for (resource, quantity) in list("initContainers").flatten() {
        let most = all.get(&resource).copied().unwrap_or_default().max(quantity);
        all.insert(resource, most);
    }
    all.insert("pods".to_owned(), Quantity::parse("1").unwrap_or_default());
    all
}

/// A limit without a request is one.
fn of_container(container: &Value) -> Requests {
    let resources = &container["resources"];
    let both = ["limits", "requests"].map(|field| resources[field].as_object());
    let quantities = both.into_iter().flatten().flatten().filter_map(|(resource, quantity)| {
        let text = quantity.as_str().map_or_else(|| quantity.to_string(), ToOwned::to_owned);
        Some((resource.clone(), Quantity::parse(&text).ok()?))
    });
    quantities.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Value {
        json!({
            "metadata": {"name": "local", "labels": {"disk": "ssd"}},
            "spec": {"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]},
            "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "2"}},
        })
    }

    fn pod(spec: &Value) -> Value {
        let mut pod = json!({"spec": {"tolerations": [{"key": "dedicated", "operator": "Exists"}]}});
        for (field, value) in spec.as_object().unwrap() {
            pod["spec"][field] = value.clone();
        }
        pod
    }

    fn requesting(requests: &Value) -> Value {
        pod(&json!({"containers": [{"resources": {"requests": requests}}]}))
    }

    fn refusal(pod: &Value) -> String {
        let mut node = node();
        node["spec"]["unschedulable"] = pod["cordoned"].clone();
        Arc::new(Ledger::default()).reserve("u", pod, Some(&node)).unwrap_err()
    }

    #[test]
    fn what_does_not_fit_is_told_in_the_schedulers_words() {
        let end = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for \
                   scheduling.";
        for (pod, why) in [
            (requesting(&json!({"cpu": "1000"})), "1 Insufficient cpu"),
            (
                requesting(&json!({"memory": "10Ti", "nvidia.com/gpu": "1"})),
                "1 Insufficient memory, 1 Insufficient nvidia.com/gpu",
            ),
            (
                pod(&json!({"nodeSelector": {"accelerator": "h100"}})),
                "1 node(s) didn't match Pod's node affinity/selector",
            ),
            (pod(&json!({"tolerations": []})), "1 node(s) had untolerated taint(s)"),
            (json!({"cordoned": true}), "1 node(s) were unschedulable"),
        ] {
            assert_eq!(refusal(&pod), format!("0/1 nodes are available: {why}. {end}"));
        }
        assert_eq!(
            Arc::new(Ledger::default()).reserve("u", &json!({}), None).unwrap_err(),
            "no nodes available to schedule pods"
        );
    }

    #[test]
    fn what_others_have_is_free_again_when_they_go() {
        let ledger = Arc::new(Ledger::default());
        let pod = requesting(&json!({"cpu": "1500m"}));
        let first = ledger.reserve("a", &pod, Some(&node())).unwrap();
        let full = ledger.reserve("b", &pod, Some(&node())).unwrap_err();
        assert!(full.contains("1 Insufficient cpu") && full.ends_with(NO_VICTIMS), "{full}");
        drop(first);
        ledger.reserve("b", &pod, Some(&node())).unwrap();
    }

    #[test]
    fn affinity_terms_are_alternatives_of_conditions() {
        let with = |terms: Value| {
            let required = json!({"nodeSelectorTerms": terms});
            let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": required});
            let pod = pod(&json!({"affinity": {"nodeAffinity": affinity}}));
            Arc::new(Ledger::default()).reserve("u", &pod, Some(&node())).is_ok()
        };
        let term = |operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": "disk", "operator": operator, "values": values}]});
        assert!(with(json!([term("In", &["hdd"]), term("In", &["ssd"])])));
        assert!(!with(json!([term("NotIn", &["ssd"])])));
        assert!(with(json!([term("Exists", &[])])));
        assert!(!with(json!([{}])));
    }
}
