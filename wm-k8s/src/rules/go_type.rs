//! Go types that `k8s-openapi` has no types of its own for, as the decoder's messages name them.

/// The Go type of a string, by the struct that holds it and its path.
pub(super) fn string_type(holder: &str, go_path: &str) -> &'static str {
    let field = go_path.rsplit_once('.').map_or(go_path, |(_, field)| field);
    match (holder, field) {
        ("Toleration", "operator") => "v1.TolerationOperator",
        ("Toleration", "effect") => "v1.TaintEffect",
        ("PodFailurePolicyRule", "action") => "v1.PodFailurePolicyAction",
        ("PodFailurePolicyOnExitCodesRequirement", "operator") => "v1.PodFailurePolicyOnExitCodesOperator",
        ("PodFailurePolicyOnPodConditionsPattern", "type") => "v1.PodConditionType",
        ("PodFailurePolicyOnPodConditionsPattern", "status") => "v1.ConditionStatus",
        ("PodSpec", "restartPolicy") => "v1.RestartPolicy",
        ("PodSpec", "dnsPolicy") => "v1.DNSPolicy",
        ("PodSpec", "preemptionPolicy") => "v1.PreemptionPolicy",
        ("Container" | "EphemeralContainer", "imagePullPolicy") => "v1.PullPolicy",
        ("Container" | "EphemeralContainer", "terminationMessagePolicy") => "v1.TerminationMessagePolicy",
        ("ContainerPort", "protocol") => "v1.Protocol",
        ("EmptyDirVolumeSource", "medium") => "v1.StorageMedium",
        _ => "string",
    }
}

/// The Go type of a map, by its path.
pub(super) fn map_type(go_path: &str) -> &'static str {
    match go_path.rsplit_once('.').map_or(go_path, |(_, field)| field) {
        "limits" | "requests" | "overhead" => "v1.ResourceList",
        _ => "map[string]string",
    }
}
