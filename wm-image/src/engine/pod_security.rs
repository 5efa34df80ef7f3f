//! The Pod Security Standards as far as a builder's pod can break them: which level it needs.

use serde_json::Value;

/// What a container may add to its capabilities on the level *baseline*.
const HARMLESS: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const CONFINED: [&str; 2] = ["RuntimeDefault", "Localhost"];
const RESTRICTED_VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The rules of *baseline* that a pod's spec breaks.
pub(super) fn against_baseline(spec: &Value) -> Vec<&'static str> {
    let mut broken = Vec::new();
    let mut rule = |name: &'static str, is_kept: bool| {
        if !is_kept {
            broken.push(name);
        }
    };
    rule("host namespaces", ["hostNetwork", "hostPID", "hostIPC"].iter().all(|field| spec[field] != true));
    rule("hostPath volumes", list(&spec["volumes"]).all(|volume| volume["hostPath"].is_null()));
    rule("sysctls", spec["securityContext"]["sysctls"].is_null());
    let contexts: Vec<&Value> = containers(spec).map(|container| &container["securityContext"]).collect();
    let all = |check: &dyn Fn(&Value) -> bool| contexts.iter().all(|context| check(context));
    let with_pod = |check: &dyn Fn(&Value) -> bool| all(check) && check(&spec["securityContext"]);
    rule("privileged", all(&|context| context["privileged"] != true));
    rule(
        "capabilities",
        all(&|context| {
            list(&context["capabilities"]["add"])
                .all(|one| one.as_str().is_some_and(|one| HARMLESS.contains(&one)))
        }),
    );
    rule(
        "host ports",
        containers(spec).all(|container| list(&container["ports"]).all(|port| port["hostPort"].is_null())),
    );
    rule("procMount", all(&|context| context["procMount"].is_null() || context["procMount"] == "Default"));
    let confined =
        |profile: &Value| profile.is_null() || CONFINED.iter().any(|kind| profile["type"] == *kind);
    rule("seccomp", with_pod(&|context| confined(&context["seccompProfile"])));
    rule("AppArmor", with_pod(&|context| confined(&context["appArmorProfile"])));
    rule("SELinux", with_pod(&|context| context["seLinuxOptions"].is_null()));
    rule("Windows", with_pod(&|context| context["windowsOptions"].is_null()));
    broken
}

/// The rules of *restricted* that it breaks beyond those.
pub(super) fn against_restricted(spec: &Value) -> Vec<&'static str> {
    let pod = &spec["securityContext"];
    let mut broken = Vec::new();
    let mut rule = |name: &'static str, is_kept: bool| {
        if !is_kept {
            broken.push(name);
        }
    };
    let kinds = list(&spec["volumes"]).filter_map(Value::as_object).flat_map(|volume| volume.keys());
    rule(
        "volume types",
        kinds.filter(|kind| *kind != "name").all(|kind| RESTRICTED_VOLUMES.contains(&kind.as_str())),
    );
    let contexts: Vec<&Value> = containers(spec).map(|container| &container["securityContext"]).collect();
    let all = |check: &dyn Fn(&Value) -> bool| contexts.iter().all(|context| check(context));
    let either = |context: &Value, field: &str| {
        if context[field].is_null() { pod[field].clone() } else { context[field].clone() }
    };
    rule("allowPrivilegeEscalation", all(&|context| context["allowPrivilegeEscalation"] == false));
    rule("runAsNonRoot", all(&|context| either(context, "runAsNonRoot") == true));
    rule("runAsUser", all(&|context| either(context, "runAsUser") != 0));
    rule("seccomp set", all(&|context| !either(context, "seccompProfile").is_null()));
    rule("drop ALL", all(&|context| list(&context["capabilities"]["drop"]).any(|one| one == "ALL")));
    rule(
        "add nothing",
        all(&|context| list(&context["capabilities"]["add"]).all(|one| one == "NET_BIND_SERVICE")),
    );
    broken
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    list(&spec["initContainers"]).chain(list(&spec["containers"]))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_rule_can_be_broken() {
        let spec = json!({
            "hostPID": true,
            "volumes": [{ "name": "v", "hostPath": { "path": "/" } }],
            "securityContext": { "sysctls": [], "windowsOptions": {} },
            "initContainers": [{ "securityContext": { "privileged": true, "capabilities": { "add": ["SYS_ADMIN"] } } }],
            "containers": [{
                "ports": [{ "hostPort": 80 }],
                "securityContext": {
                    "procMount": "Unmasked",
                    "seccompProfile": { "type": "Unconfined" },
                    "appArmorProfile": { "type": "Unconfined" },
                    "seLinuxOptions": {},
                },
            }],
        });
        assert_eq!(against_baseline(&spec).len(), 11, "{:?}", against_baseline(&spec));
        assert_eq!(against_baseline(&json!({ "containers": [{}] })), [""; 0]);
        assert_eq!(
            against_restricted(&json!({
                "volumes": [{ "name": "v", "nfs": {} }],
                "containers": [{ "securityContext": { "runAsUser": 0, "capabilities": { "add": ["CHOWN"] } } }],
            }))
            .len(),
            7
        );
        let strict = json!({
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{ "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } } }],
        });
        assert_eq!(against_restricted(&strict), [""; 0]);
    }
}
