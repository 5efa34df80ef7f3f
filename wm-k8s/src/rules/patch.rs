//! A patch of the pod template: what it names must exist, be ours to change, and be something a server takes.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, PodSpec, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;

use super::{
    FieldProblem,
    decode::{Document, Place},
    directives,
    message::{self, quoted},
    names, path, pull_secrets, resources, scheduling,
};
use crate::template_patch::protected_by_name;

const PLACE: Place = Place { holder: "JobSpec", path: "spec.template" };

/// The most that all annotations of an object may hold.
const MOST_ANNOTATIONS: usize = 256 * 1024;

/// Checks a strategic merge patch for the pod template of our Jobs.
///
/// Names of fields, types, directives, what the manager sets itself, and the values that stand for themselves are
/// checked. Rules between a value of the patch and one of the template are left to the server's dry run.
pub fn pod_template_patch(value: &Value) -> Vec<FieldProblem> {
    if !value.is_object() {
        return Document::patch(PLACE).decode::<PodTemplateSpec>(value).checked(|_| Vec::new());
    }
    let mut problems = Document::patch(PLACE).decode(value).checked(check_template);
    directives::check(value, None, "", &mut problems);
    problems.extend(protected_by_name(value));
    let mut seen = Vec::new();
    problems.retain(|problem| {
        let is_new = !seen.contains(problem);
        if is_new {
            seen.push(problem.clone());
        }
        is_new
    });
    problems
}

fn check_template(template: &PodTemplateSpec) -> Vec<FieldProblem> {
    let metadata = template.metadata.as_ref().map(check_metadata);
    let spec = template.spec.as_ref().map(check_spec);
    [metadata, spec].into_iter().flatten().flatten().collect()
}

fn check_metadata(metadata: &ObjectMeta) -> Vec<FieldProblem> {
    let none = BTreeMap::new();
    let mut problems = scheduling::check_labels(metadata.labels.as_ref().unwrap_or(&none), "metadata.labels");
    let annotations = metadata.annotations.as_ref().unwrap_or(&none);
    for key in annotations.keys() {
        // The server looks at the key in lower case.
        let messages = names::label_key(&key.to_lowercase());
        problems.extend(
            messages.iter().map(|detail| message::invalid("metadata.annotations", &quoted(key), detail)),
        );
    }
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MOST_ANNOTATIONS {
        problems.push(message::too_long("metadata.annotations", MOST_ANNOTATIONS));
    }
    problems
}

fn check_spec(spec: &PodSpec) -> Vec<FieldProblem> {
    let none = BTreeMap::new();
    let mut problems =
        scheduling::check_labels(spec.node_selector.as_ref().unwrap_or(&none), "spec.nodeSelector");
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    problems.extend(scheduling::check_tolerations(tolerations, "spec.tolerations"));
    let secrets = spec.image_pull_secrets.as_deref().unwrap_or_default();
    problems.extend(pull_secrets::check(secrets, "spec.imagePullSecrets").into_iter().filter(|problem| {
        // A directive has no name, and a missing one is told with the merge key.
        !problem.detail.starts_with("Required")
    }));
    let init_containers = spec.init_containers.as_deref().unwrap_or_default();
    for (list, containers) in
        [("spec.initContainers", init_containers), ("spec.containers", spec.containers.as_slice())]
    {
        let each = containers.iter().enumerate();
        problems.extend(
            each.flat_map(|(index, container)| check_container(container, &path::index(list, index))),
        );
    }
    if spec.ephemeral_containers.as_ref().is_some_and(|containers| !containers.is_empty()) {
        let detail = "ephemeral containers not allowed in pod template";
        problems.push(message::forbidden("spec.ephemeralContainers", detail));
    }
    problems
}

fn check_container(container: &Container, at: &str) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if !container.name.is_empty() {
        let name_path = path::child(at, "name");
        let messages = names::dns_label(&container.name);
        problems.extend(
            messages.iter().map(|detail| message::invalid(&name_path, &quoted(&container.name), detail)),
        );
    }
    for (index, variable) in
        container.env.iter().flatten().enumerate().filter(|(_, variable)| !variable.name.is_empty())
    {
        let name_path = path::child(&path::index(&path::child(at, "env"), index), "name");
        let messages = names::env_name(&variable.name);
        problems.extend(
            messages.iter().map(|detail| message::invalid(&name_path, &quoted(&variable.name), detail)),
        );
    }
    let policies = ["Always", "IfNotPresent", "Never"];
    if let Some(policy) = container.image_pull_policy.as_deref().filter(|policy| !policies.contains(policy)) {
        problems.push(message::not_supported(path::child(at, "imagePullPolicy"), policy, &policies));
    }
    let required = container.resources.as_ref();
    problems.extend(
        required
            .map(|required| resources::check_amounts(required, &path::child(at, "resources")))
            .into_iter()
            .flatten(),
    );
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: &Value) -> Vec<String> {
        pod_template_patch(value).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn patches_of_what_is_not_ours_are_fine() {
        for value in [
            json!({}),
            json!({"metadata": {"labels": {"team": "ml"}, "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}}),
            json!({"metadata": {"labels": {"team": null}}}),
            json!({"spec": {"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet", "priorityClassName": "batch"}}),
            json!({"spec": {"nodeSelector": {"$patch": "replace", "pool": "b"}}}),
            json!({"spec": {"nodeSelector": null}}),
            json!({"spec": {"tolerations": [{"operator": "Exists"}]}}),
            json!({"spec": {"containers": [{"name": "main", "env": [{"name": "HTTP_PROXY", "value": "http://p"}]}]}}),
            json!({"spec": {"containers": [{"name": "main", "env": [{"name": "X", "$patch": "delete"}]}]}}),
            json!({"spec": {"containers": [{"name": "main", "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}}}]}}),
            json!({"spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}),
            json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"nvidia.com/gpu": "1"}}}]}}),
            json!({"spec": {"containers": [{"name": "side", "image": "x", "command": ["a"], "$patch": "delete"}]}}),
            json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {"sizeLimit": "1Gi"}}]}}),
            json!({"spec": {"volumes": [{"$patch": "replace"}]}}),
            json!({"spec": {"$setElementOrder/volumes": [{"name": "v"}], "volumes": [{"name": "v", "emptyDir": {}}]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
            json!({"spec": {"imagePullSecrets": [{"name": "ecr"}, {"$patch": "replace"}]}}),
            json!({"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]}}}}}),
            json!({"spec": {"containers": [{"name": "main", "livenessProbe": {"httpGet": {"port": 80}}, "lifecycle": null}]}}),
            json!({"spec": {"containers": [{"name": "main", "readinessProbe": {"httpGet": {"port": "http"}}}]}}),
        ] {
            assert_eq!(shown(&value), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn what_is_ours_is_refused_by_name() {
        for (value, field) in [
            (json!({"metadata": {"name": "x"}}), "metadata.name"),
            (json!({"metadata": {"namespace": null}}), "metadata.namespace"),
            (
                json!({"metadata": {"labels": {"workload-manager/id": "x"}}}),
                "metadata.labels[workload-manager/id]",
            ),
            (
                json!({"metadata": {"labels": {"alias.workload-manager/a": "x"}}}),
                "metadata.labels[alias.workload-manager/a]",
            ),
            (
                json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}),
                "metadata.labels[app.kubernetes.io/managed-by]",
            ),
            (
                json!({"metadata": {"labels": {"app.kubernetes.io/component": "x"}}}),
                "metadata.labels[app.kubernetes.io/component]",
            ),
            (json!({"metadata": {"labels": null}}), "metadata.labels"),
            (json!({"metadata": {"labels": {"$patch": "replace"}}}), "metadata.labels.$patch"),
            (json!({"metadata": null}), "metadata"),
            (json!({"metadata": {"$patch": "delete"}}), "metadata.$patch"),
            (json!({"$patch": "replace"}), "$patch"),
            (json!({"$retainKeys": []}), "$retainKeys"),
            (json!({"spec": null}), "spec"),
            (json!({"spec": {"$patch": "replace"}}), "spec.$patch"),
            (json!({"spec": {"$retainKeys": ["containers"]}}), "spec.$retainKeys"),
            (json!({"spec": {"restartPolicy": "Never"}}), "spec.restartPolicy"),
            (json!({"spec": {"serviceAccountName": "x"}}), "spec.serviceAccountName"),
            (json!({"spec": {"serviceAccount": "x"}}), "spec.serviceAccount"),
            (json!({"spec": {"activeDeadlineSeconds": 1}}), "spec.activeDeadlineSeconds"),
            (json!({"spec": {"containers": null}}), "spec.containers"),
            (json!({"spec": {"containers": [{"$patch": "replace"}]}}), "spec.containers[0].$patch"),
            (
                json!({"spec": {"containers": [{"name": "main", "$patch": "delete"}]}}),
                "spec.containers[0].$patch",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "$retainKeys": ["name"]}]}}),
                "spec.containers[0].$retainKeys",
            ),
            (json!({"spec": {"containers": [{"name": "main", "image": "x"}]}}), "spec.containers[0].image"),
            (
                json!({"spec": {"containers": [{"name": "main", "command": null}]}}),
                "spec.containers[0].command",
            ),
            (
                json!({"spec": {"containers": [{"name": "a"}, {"name": "main", "args": ["x"]}]}}),
                "spec.containers[1].args",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "$deleteFromPrimitiveList/args": ["x"]}]}}),
                "spec.containers[0].$deleteFromPrimitiveList/args",
            ),
            (json!({"spec": {"containers": [{"name": "main", "env": null}]}}), "spec.containers[0].env"),
            (
                json!({"spec": {"containers": [{"name": "main", "env": [{"$patch": "replace"}]}]}}),
                "spec.containers[0].env[0].$patch",
            ),
        ] {
            let problems = pod_template_patch(&value);
            assert_eq!(
                problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(),
                [field],
                "{value}"
            );
            assert!(problems[0].detail.starts_with("Forbidden: "), "{value}");
        }
    }

    #[test]
    fn what_no_server_takes_is_refused_in_its_words() {
        for (value, start) in [
            (
                json!([]),
                "json: cannot unmarshal array into Go struct field JobSpec.spec.template of type v1.PodTemplateSpec",
            ),
            (
                json!("{}"),
                "json: cannot unmarshal string into Go struct field JobSpec.spec.template of type v1.PodTemplateSpec",
            ),
            (json!({"sepc": {}}), "sepc: unknown field, did you mean \"spec\"?"),
            (
                json!({"spec": {"node_selector": {}}}),
                "spec.node_selector: unknown field, did you mean \"nodeSelector\"?",
            ),
            (
                json!({"spec": {"nodeSelecter": null}}),
                "spec.nodeSelecter: unknown field, did you mean \"nodeSelector\"?",
            ),
            (json!({"containers": []}), "containers: unknown field"),
            (
                json!({"spec": {"hostNetwork": "true"}}),
                "spec.hostNetwork: json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.hostNetwork of type bool",
            ),
            (
                json!({"spec": {"containers": {"main": {}}}}),
                "spec.containers: json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "imagePullPolicy": 1}]}}),
                "spec.containers[0].imagePullPolicy: json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.imagePullPolicy of type v1.PullPolicy",
            ),
            (
                json!({"spec": {"containers": [{"image": "x"}]}}),
                "spec.containers[0]: map does not contain declared merge key: name",
            ),
            (
                json!({"spec": {"containers": [{"name": "Main"}]}}),
                "spec.containers[0].name: Invalid value: \"Main\": a lowercase RFC 1123 label",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "env": [{"value": "x"}]}]}}),
                "spec.containers[0].env[0]: map does not contain declared merge key: name",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "env": [{"name": "X", "$patch": "remove"}]}]}}),
                "spec.containers[0].env[0].$patch: unknown patch type: remove",
            ),
            (
                json!({"spec": {"containers": [{"name": "main", "env": [{"name": "X", "$patch": "merge"}]}]}}),
                "spec.containers[0].env[0].$patch: merging lists cannot yet",
            ),
            (
                json!({"spec": {"nodeSelector": {"$patch": "merge"}}}),
                "spec.nodeSelector.$patch: unknown patch type: merge",
            ),
            (
                json!({"spec": {"tolerations": [{"operator": "Exists", "$patch": "delete"}]}}),
                "spec.tolerations[0].$patch: unknown field",
            ),
            (
                json!({"spec": {"tolerations": [{"operator": "Is"}]}}),
                "spec.tolerations[0].operator: Invalid value",
            ),
            (json!({"spec": {"nodeSelector": {"a b": "c"}}}), "spec.nodeSelector: Invalid value: \"a b\""),
            (
                json!({"spec": {"securityContext": {"$retain": []}}}),
                "spec.securityContext.$retain: unknown field",
            ),
            (
                json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name"], "emptyDir": {}}]}}),
                "spec.volumes[0].$retainKeys: invalid patch format of retainKeys",
            ),
            (
                json!({"spec": {"$setElementOrder/volumes": {}}}),
                "spec.$setElementOrder/volumes: invalid patch format",
            ),
            (
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": {}}}),
                "metadata.$deleteFromPrimitiveList/finalizers: invalid patch format",
            ),
            (
                json!({"metadata": {"labels": {"team": "a b"}}}),
                "metadata.labels: Invalid value: \"a b\": a valid label",
            ),
            (
                json!({"metadata": {"labels": {"team": 1}}}),
                "metadata.labels[team]: json: cannot unmarshal number into Go struct field ObjectMeta.spec.template.metadata.labels of type string",
            ),
            (
                json!({"metadata": {"annotations": {"a b": ""}}}),
                "metadata.annotations: Invalid value: \"a b\": name part",
            ),
            (
                json!({"metadata": {"annotations": {"a": "x".repeat(300_000)}}}),
                "metadata.annotations: Too long: may not be more than 262144 bytes",
            ),
            (
                json!({"spec": {"ephemeralContainers": [{"name": "x"}]}}),
                "spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
            ),
            (
                json!({"spec": {"imagePullSecrets": [{"name": "A B"}]}}),
                "spec.imagePullSecrets[0].name: Invalid value",
            ),
            (
                json!({"spec": {"imagePullSecrets": [{}]}}),
                "spec.imagePullSecrets[0]: map does not contain declared merge key: name",
            ),
            (
                json!({"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "big"}}]}}),
                "spec.volumes[0].emptyDir.sizeLimit: quantities must match",
            ),
        ] {
            let problems = shown(&value);
            assert!(!problems.is_empty() && problems[0].starts_with(start), "{value}: {problems:#?}");
        }
    }
}
