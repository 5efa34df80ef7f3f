//! Whether a runner's pod keeps to the Pod Security level of its namespace.

use serde_json::Value;
use wm_core::{Finding, Mend};

use super::survey::{Survey, Told, Trial};
use crate::settings::{KubernetesSettings, PodSecurity};

const CHECK: &str = "pod-security";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
/// What a container may add to its capabilities at the level `baseline`.
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
/// The kinds of volume that the level `restricted` allows.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) fn findings(survey: &Survey, settings: &KubernetesSettings) -> Vec<Finding> {
    let remarks = match &survey.job_trial {
        Trial::Accepted { warnings, .. } => {
            warnings.iter().filter(|text| text.contains("PodSecurity")).collect()
        }
        _ => Vec::new(),
    };
    let Told::Is(namespace) = &survey.namespace else {
        // The server remarks on a level that is warned of, which may be enforced or not.
        return remarks
            .into_iter()
            .map(|remark| {
                let message = format!("pods are refused if the namespace enforces it: {remark}");
                Finding::warning(CHECK, message, mend(settings))
            })
            .collect();
    };
    let level = namespace["metadata"]["labels"][ENFORCE].as_str().unwrap_or("privileged");
    let broken = violations(level, &survey.job["spec"]["template"]["spec"]);
    let is_accepted = matches!(survey.pod_trial, Some(Trial::Accepted { .. }));
    if broken.is_empty() || is_accepted {
        let ok = Finding::ok(
            CHECK,
            format!("a runner's pod keeps to the namespace's Pod Security level, {level}"),
        );
        let remarks = remarks
            .into_iter()
            .map(|remark| Finding::note(CHECK, format!("it is not enforced, but warned of: {remark}")));
        return [ok].into_iter().chain(remarks).collect();
    }
    let message = format!(
        "the namespace enforces the Pod Security level {level}, so no pod would be made: {}",
        broken.join(", ")
    );
    vec![Finding::failure(CHECK, message, mend(settings))]
}

/// What makes the pods stricter.
pub(super) fn mend(settings: &KubernetesSettings) -> Mend {
    match settings.pod_security {
        PodSecurity::Auto | PodSecurity::Baseline | PodSecurity::None
            if settings.pod_template_patch.is_none() =>
        {
            Mend::option("pod_security", "restricted")
        }
        PodSecurity::Restricted if settings.pod_template_patch.is_none() => Mend::command(format!(
            "kubectl label --overwrite namespace {} {ENFORCE}=restricted",
            settings.namespace
        )),
        _ => Mend::option(
            "pod_template_patch",
            "a patch that keeps to the level (and pod_security to restricted)",
        ),
    }
}

/// What of a pod's spec is against a level, in the words of the Pod Security Standards.
fn violations(level: &str, pod: &Value) -> Vec<String> {
    let is_restricted = level == "restricted";
    if !is_restricted && level != "baseline" {
        return Vec::new();
    }
    let mut broken = Vec::new();
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod[field] == true {
            broken.push(field.to_owned());
        }
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().into_iter().flat_map(|volume| volume.keys());
        let wrong = kinds
            .filter(|kind| *kind != "name")
            .find(|kind| *kind == "hostPath" || is_restricted && !VOLUMES.contains(&kind.as_str()));
        broken.extend(wrong.map(|kind| format!("a volume of the kind {kind}")));
    }
    for field in ["initContainers", "containers"] {
        for container in pod[field].as_array().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default();
            let wrong = of_container(container, &pod["securityContext"], is_restricted);
            broken.extend(wrong.into_iter().map(|what| format!("{what} (container {name})")));
        }
    }
    broken
}

fn of_container(container: &Value, pod: &Value, is_restricted: bool) -> Vec<String> {
    let own = &container["securityContext"];
    let either = |field: &str| if own[field].is_null() { &pod[field] } else { &own[field] };
    let mut broken = Vec::new();
    let mut forbid = |is_broken: bool, what: &str| {
        if is_broken {
            broken.push(what.to_owned());
        }
    };
    let added = || own["capabilities"]["add"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let ports = container["ports"].as_array().into_iter().flatten();
    forbid(own["privileged"] == true, "privileged");
    forbid(added().any(|name| !HARMLESS.contains(&name)), "non-default capabilities");
    forbid(ports.into_iter().any(|port| port["hostPort"].as_u64().is_some_and(|port| port > 0)), "hostPort");
    forbid(own["procMount"].as_str().is_some_and(|mount| mount != "Default"), "procMount");
    let profile = either("seccompProfile")["type"].as_str();
    forbid(profile == Some("Unconfined"), "seccompProfile Unconfined");
    if is_restricted {
        let dropped = own["capabilities"]["drop"].as_array();
        forbid(own["allowPrivilegeEscalation"] != false, "allowPrivilegeEscalation != false");
        forbid(
            !dropped.is_some_and(|names| names.iter().any(|name| name == "ALL")),
            "capabilities not dropped",
        );
        forbid(added().any(|name| name != "NET_BIND_SERVICE"), "capabilities added");
        forbid(*either("runAsNonRoot") != true, "runAsNonRoot != true");
        forbid(*either("runAsUser") == 0, "runAsUser=0");
        forbid(!matches!(profile, Some("RuntimeDefault" | "Localhost" | "Unconfined")), "no seccompProfile");
    }
    broken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::security::{self, Restriction};

    fn pod(restriction: Restriction) -> Value {
        json!({
            "securityContext": security::pod(restriction),
            "containers": [{ "name": "main", "securityContext": security::container(restriction) }],
        })
    }

    #[test]
    fn our_own_contexts_keep_to_the_levels_that_they_are_for() {
        for restriction in
            [Restriction::Restricted, Restriction::RootAllowed, Restriction::Baseline, Restriction::None]
        {
            assert_eq!(violations("privileged", &pod(restriction)), [""; 0]);
            assert_eq!(violations("baseline", &pod(restriction)), [""; 0]);
        }
        assert_eq!(violations("restricted", &pod(Restriction::Restricted)), [""; 0]);
        let root = violations("restricted", &pod(Restriction::RootAllowed));
        assert_eq!(root, ["runAsNonRoot != true (container main)"]);
        // As many as a real server counts of a plain container.
        let plain = violations("restricted", &pod(Restriction::None));
        assert_eq!(plain.len(), 4, "{plain:?}");
    }

    #[test]
    fn what_a_patch_may_bring_is_seen() {
        let context = |context: Value| {
            let mut pod = pod(Restriction::Restricted);
            for (key, value) in context.as_object().unwrap() {
                pod["containers"][0]["securityContext"][key] = value.clone();
            }
            pod
        };
        let spec = |field: &str, value: Value| {
            let mut pod = pod(Restriction::Restricted);
            pod[field] = value;
            pod
        };
        let volume = |kind: &str| spec("volumes", json!([{ "name": "v", kind: {} }]));
        let mut port = pod(Restriction::Restricted);
        port["containers"][0]["ports"] = json!([{ "hostPort": 80 }]);
        let mut init = pod(Restriction::Restricted);
        init["initContainers"] = json!([{ "name": "init", "securityContext": { "privileged": true } }]);
        for bad in [
            context(json!({ "privileged": true })),
            context(json!({ "capabilities": { "add": ["NET_ADMIN"] } })),
            context(json!({ "procMount": "Unmasked" })),
            context(json!({ "seccompProfile": { "type": "Unconfined" } })),
            spec("hostNetwork", json!(true)),
            spec("hostPID", json!(true)),
            spec("hostIPC", json!(true)),
            volume("hostPath"),
            port,
            init,
        ] {
            assert!(!violations("baseline", &bad).is_empty(), "{bad}");
        }
        for bad in [
            context(json!({ "allowPrivilegeEscalation": true })),
            context(json!({ "capabilities": { "drop": ["ALL"], "add": ["CHOWN"] } })),
            context(json!({ "runAsNonRoot": false })),
            context(json!({ "runAsUser": 0 })),
            spec("securityContext", json!({ "runAsNonRoot": true })),
            volume("nfs"),
        ] {
            assert_eq!(violations("baseline", &bad), [""; 0], "{bad}");
            assert_eq!(violations("restricted", &bad).len(), 1, "{bad}");
        }
        assert_eq!(violations("restricted", &volume("emptyDir")), [""; 0]);
    }
}
