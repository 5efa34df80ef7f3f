//! The pod that a Job's template stands for.

use serde_json::{Map, Value, json};

use crate::store::meta;

/// Keeps a pod until it has been counted.
pub(crate) const TRACKING_FINALIZER: &str = "batch.kubernetes.io/job-tracking";

/// Builds a pod of a Job, with what the API server's admission adds to a pod.
pub(super) fn pod_of(job: &Value) -> Value {
    let template = &job["spec"]["template"];
    let (name, uid) = (meta(job, "name"), meta(job, "uid"));
    let mut labels = object(&template["metadata"]["labels"]);
    for prefix in ["batch.kubernetes.io/", ""] {
        labels.insert(format!("{prefix}job-name"), name.into());
        labels.insert(format!("{prefix}controller-uid"), uid.into());
    }
    let mut metadata = json!({
        "generateName": format!("{name}-"),
        "labels": labels,
        "ownerReferences": [{
            "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid,
            "controller": true, "blockOwnerDeletion": true,
        }],
        "finalizers": [TRACKING_FINALIZER],
    });
    if let Some(annotations) = template["metadata"].get("annotations") {
        metadata["annotations"] = annotations.clone();
    }
    let mut spec = object(&template["spec"]);
    request_limits(&mut spec);
    admit(&mut spec);
    let quality = quality_of_service(&spec);
    json!({"metadata": metadata, "spec": spec, "status": {"phase": "Pending", "qosClass": quality}})
}

/// Writes into a pod, whoever made it, what admission adds.
pub(crate) fn admit_pod(pod: &mut Value) {
    let Some(spec) = pod["spec"].as_object_mut() else { return };
    admit(spec);
    let quality = quality_of_service(spec);
    pod["status"]["qosClass"] = quality.into();
}

/// In a pod, though not in a template, what is limited is requested as well.
pub(crate) fn request_limits(spec: &mut Map<String, Value>) {
    for group in ["initContainers", "containers"] {
        let containers = spec.get_mut(group).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let limits = object(&container["resources"]["limits"]);
            for (resource, limit) in limits {
                let requests = &mut container["resources"]["requests"];
                if requests.get(&resource).is_none() {
                    requests[resource] = limit;
                }
            }
        }
    }
}

/// The service account that a pod runs as.
pub(super) fn service_account(job: &Value) -> &str {
    match job["spec"]["template"]["spec"]["serviceAccountName"].as_str() {
        Some(name) if !name.is_empty() => name,
        _ => "default",
    }
}

/// The priority class that a Job's pods ask for, if there is none of that name: no cluster is without these two.
pub(super) fn unknown_priority_class(job: &Value) -> Option<&str> {
    let class = job["spec"]["template"]["spec"]["priorityClassName"].as_str()?;
    let is_known = matches!(class, "" | "system-cluster-critical" | "system-node-critical");
    (!is_known).then_some(class)
}

/// What admission sets where the template leaves it open. No token is mounted: there is nothing to mount it in.
fn admit(spec: &mut Map<String, Value>) {
    let account = match spec.get("serviceAccountName") {
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        _ => "default".to_owned(),
    };
    let toleration = |key: &str| {
        json!({
            "key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": 300,
        })
    };
    let keys = ["not-ready", "unreachable"];
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    if let Value::Array(tolerations) = tolerations {
        let tolerated = |key: &str, all: &[Value]| {
            let key = format!("node.kubernetes.io/{key}");
            all.iter().any(|one| one["key"].as_str().is_none_or(|name| name.is_empty() || name == key))
        };
        for key in keys {
            if !tolerated(key, tolerations) {
                tolerations.push(toleration(key));
            }
        }
    }
    spec.insert("serviceAccountName".into(), account.clone().into());
    spec.insert("serviceAccount".into(), account.into());
    for (field, value) in [
        ("priority", json!(0)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("enableServiceLinks", json!(true)),
    ] {
        spec.entry(field).or_insert(value);
    }
}

/// By the cpu and memory of all containers: all limited to what they request, none mentioned, or between.
fn quality_of_service(spec: &Map<String, Value>) -> &'static str {
    let containers = ["initContainers", "containers"].map(|field| spec.get(field).and_then(Value::as_array));
    let (mut has_any, mut is_guaranteed) = (false, true);
    for container in containers.into_iter().flatten().flatten() {
        for resource in ["cpu", "memory"] {
            let limit = container["resources"]["limits"].get(resource);
            let request = container["resources"]["requests"].get(resource);
            has_any |= limit.is_some() || request.is_some();
            is_guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (has_any, is_guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(resources: &Value) -> Value {
        json!({
            "metadata": {"name": "train", "uid": "u-1"},
            "spec": {"template": {
                "metadata": {"labels": {"team": "a"}, "annotations": {"note": "x"}},
                "spec": {"containers": [{"name": "main", "resources": resources}]},
            }},
        })
    }

    #[test]
    fn a_pod_carries_the_four_labels_the_owner_and_the_finalizer() {
        let pod = pod_of(&job(&json!({})));
        let metadata = &pod["metadata"];
        let labels = json!({
            "team": "a", "job-name": "train", "controller-uid": "u-1",
            "batch.kubernetes.io/job-name": "train", "batch.kubernetes.io/controller-uid": "u-1",
        });
        assert_eq!(metadata["labels"], labels);
        assert_eq!(metadata["generateName"], "train-");
        assert_eq!(metadata["finalizers"], json!(["batch.kubernetes.io/job-tracking"]));
        assert_eq!(metadata["ownerReferences"][0]["uid"], "u-1");
        assert_eq!(metadata["annotations"], json!({"note": "x"}));
        assert_eq!(pod["spec"]["serviceAccountName"], "default");
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_quality_of_service_follows_the_resources() {
        let class = |resources: Value| pod_of(&job(&resources))["status"]["qosClass"].clone();
        assert_eq!(class(json!({})), "BestEffort");
        assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
        assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
        let unequal = json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}});
        assert_eq!(class(unequal), "Burstable");
        let pod = pod_of(&job(&json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}})));
        let requests = &pod["spec"]["containers"][0]["resources"]["requests"];
        assert_eq!(*requests, json!({"cpu": "1", "memory": "1Gi"}));
    }
}
