//! The Pod Security Standards: what each level forbids, in the words of a real cluster. What this cluster's pods can't
//! ask for is not looked at: `AppArmor`, `SELinux` and Windows.

use serde_json::Value;

use crate::value::list;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// What a container may add to its capabilities on the level `baseline`.
const DEFAULT_CAPABILITIES: [&str; 14] = [
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
    "NET_RAW",
];

const SAFE_SYSCTLS: [&str; 11] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_rmem",
];

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

/// What of a pod's spec a level forbids, in the order in which it is told.
pub(super) fn violations(level: Level, spec: &Value) -> Vec<String> {
    let is_restricted = level == Level::Restricted;
    let baseline: [fn(&Value) -> Option<String>; 5] =
        [host_namespaces, host_ports, privileged, proc_mount, sysctls];
    let restricted: [fn(&Value) -> Option<String>; 6] =
        [privilege_escalation, capabilities_dropped, volume_types, non_root, user, seccomp_set];
    let mut found = Vec::new();
    if level >= Level::Baseline {
        if !is_restricted {
            found.extend(capabilities_added(spec));
        }
        found.extend(baseline[0](spec));
        if !is_restricted {
            found.extend(host_paths(spec));
        }
        found.extend(baseline[1..4].iter().filter_map(|check| check(spec)));
        if !is_restricted {
            found.extend(seccomp_unconfined(spec));
        }
        found.extend(baseline[4](spec));
    }
    if is_restricted {
        found.extend(restricted.iter().filter_map(|check| check(spec)));
    }
    found
}

fn host_namespaces(spec: &Value) -> Option<String> {
    let set = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| spec[*field] == true);
    let set: Vec<String> = set.map(|field| format!("{field}=true")).collect();
    violation("host namespaces", &set.join(", "))
}

fn host_paths(spec: &Value) -> Option<String> {
    let volumes = list(spec, "volumes").filter(|volume| volume["hostPath"].is_object());
    let names: Vec<&str> = volumes.map(name).collect();
    violation("hostPath volumes", &if names.is_empty() { String::new() } else { these("volume", &names) })
}

fn host_ports(spec: &Value) -> Option<String> {
    let ports_of = |container: &Value| -> Vec<i64> {
        let ports = list(container, "ports").filter_map(|port| port["hostPort"].as_i64());
        ports.filter(|port| *port != 0).collect()
    };
    let bad: Vec<&Value> = containers(spec).filter(|container| !ports_of(container).is_empty()).collect();
    let names: Vec<&str> = bad.iter().map(|container| name(container)).collect();
    let mut ports: Vec<String> =
        bad.iter().flat_map(|one| ports_of(one)).map(|port| port.to_string()).collect();
    ports.sort();
    ports.dedup();
    if names.is_empty() {
        return None;
    }
    let (uses, port) = (if names.len() == 1 { "uses" } else { "use" }, plural("hostPort", ports.len()));
    violation("hostPort", &format!("{} {uses} {port} {}", these("container", &names), ports.join(", ")))
}

fn privileged(spec: &Value) -> Option<String> {
    must_not(spec, "privileged", "set securityContext.privileged=true", |context| {
        context["privileged"] == true
    })
}

fn proc_mount(spec: &Value) -> Option<String> {
    must_not(spec, "procMount", "set securityContext.procMount to \"Unmasked\"", |context| {
        context["procMount"] == "Unmasked"
    })
}

fn sysctls(spec: &Value) -> Option<String> {
    let names = list(&spec["securityContext"], "sysctls").map(name);
    let forbidden: Vec<&str> = names.filter(|name| !SAFE_SYSCTLS.contains(name)).collect();
    violation("forbidden sysctls", &forbidden.join(", "))
}

fn capabilities_added(spec: &Value) -> Option<String> {
    let added = added_beyond(spec, &DEFAULT_CAPABILITIES);
    violation("non-default capabilities", &added.unwrap_or_default())
}

fn capabilities_dropped(spec: &Value) -> Option<String> {
    let drops_all =
        |container: &&Value| list(&context(container)["capabilities"], "drop").any(|one| one == "ALL");
    let keeping: Vec<&str> = containers(spec).filter(|container| !drops_all(container)).map(name).collect();
    let must = (!keeping.is_empty()).then(|| {
        format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", these("container", &keeping))
    });
    let both: Vec<String> = must.into_iter().chain(added_beyond(spec, &["NET_BIND_SERVICE"])).collect();
    violation("unrestricted capabilities", &both.join("; "))
}

fn added_beyond(spec: &Value, allowed: &[&str]) -> Option<String> {
    let beyond = |container: &Value| -> Vec<String> {
        let added = list(&context(container)["capabilities"], "add").filter_map(Value::as_str);
        added.filter(|one| !allowed.contains(one)).map(|one| format!("{one:?}")).collect()
    };
    let bad: Vec<&Value> = containers(spec).filter(|container| !beyond(container).is_empty()).collect();
    let names: Vec<&str> = bad.iter().map(|container| name(container)).collect();
    let mut added: Vec<String> = bad.iter().flat_map(|container| beyond(container)).collect();
    added.sort();
    added.dedup();
    (!names.is_empty()).then(|| {
        let names = these("container", &names);
        format!("{names} must not include {} in securityContext.capabilities.add", added.join(", "))
    })
}

fn privilege_escalation(spec: &Value) -> Option<String> {
    let may = containers(spec).filter(|one| context(one)["allowPrivilegeEscalation"] != false);
    let names: Vec<&str> = may.map(name).collect();
    if names.is_empty() {
        return None;
    }
    let must = "must set securityContext.allowPrivilegeEscalation=false";
    violation("allowPrivilegeEscalation != false", &format!("{} {must}", these("container", &names)))
}

fn volume_types(spec: &Value) -> Option<String> {
    let type_of = |volume: &Value| -> Option<String> {
        let mut fields = volume.as_object()?.keys();
        fields.find(|field| *field != "name" && !RESTRICTED_VOLUMES.contains(&field.as_str())).cloned()
    };
    let bad: Vec<(&str, String)> =
        list(spec, "volumes").filter_map(|volume| Some((name(volume), type_of(volume)?))).collect();
    let names: Vec<&str> = bad.iter().map(|(name, _)| *name).collect();
    let mut types: Vec<String> = bad.iter().map(|(_, one)| format!("{one:?}")).collect();
    types.sort();
    types.dedup();
    if names.is_empty() {
        return None;
    }
    let (uses, kind) =
        (if names.len() == 1 { "uses" } else { "use" }, plural("restricted volume type", types.len()));
    let detail = format!("{} {uses} {kind} {}", these("volume", &names), types.join(", "));
    violation("restricted volume types", &detail)
}

fn non_root(spec: &Value) -> Option<String> {
    let of_pod = &spec["securityContext"]["runAsNonRoot"];
    let own = |container: &Value| context(container)["runAsNonRoot"].as_bool();
    let mut details = Vec::new();
    if *of_pod == false {
        details.push("pod must not set securityContext.runAsNonRoot=false".to_owned());
    }
    let explicit: Vec<&str> = containers(spec).filter(|one| own(one) == Some(false)).map(name).collect();
    if !explicit.is_empty() {
        details.push(format!(
            "{} must not set securityContext.runAsNonRoot=false",
            these("container", &explicit)
        ));
    }
    let implicit: Vec<&str> = containers(spec).filter(|one| own(one).is_none()).map(name).collect();
    if details.is_empty() && *of_pod != true && !implicit.is_empty() {
        let containers = these("container", &implicit);
        details.push(format!("pod or {containers} must set securityContext.runAsNonRoot=true"));
    }
    violation("runAsNonRoot != true", &details.join("; "))
}

fn user(spec: &Value) -> Option<String> {
    let of_pod = spec["securityContext"]["runAsUser"] == 0;
    let roots: Vec<&str> = containers(spec).filter(|one| context(one)["runAsUser"] == 0).map(name).collect();
    let pod = of_pod.then(|| "pod must not set runAsUser=0".to_owned());
    let containers =
        (!roots.is_empty()).then(|| format!("{} must not set runAsUser=0", these("container", &roots)));
    violation("runAsUser=0", &pod.into_iter().chain(containers).collect::<Vec<_>>().join(", "))
}

fn is_confined(kind: &Value) -> bool {
    *kind == "RuntimeDefault" || *kind == "Localhost"
}

fn seccomp_set(spec: &Value) -> Option<String> {
    let of_pod = &spec["securityContext"]["seccompProfile"]["type"];
    let own = |container: &Value| context(container)["seccompProfile"]["type"].clone();
    let bad = seccomp_forbidden(spec, |kind| !kind.is_null() && !is_confined(kind));
    let open: Vec<&str> = containers(spec).filter(|one| own(one).is_null()).map(name).collect();
    let detail = if bad.is_empty() && !is_confined(of_pod) && !open.is_empty() {
        format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            these("container", &open)
        )
    } else {
        bad
    };
    violation("seccompProfile", &detail)
}

fn seccomp_unconfined(spec: &Value) -> Option<String> {
    violation("seccompProfile", &seccomp_forbidden(spec, |kind| *kind == "Unconfined"))
}

fn seccomp_forbidden(spec: &Value, is_bad: impl Fn(&Value) -> bool) -> String {
    let of_pod = &spec["securityContext"]["seccompProfile"]["type"];
    let must_not = |who: String, kind: &Value| {
        format!("{who} must not set securityContext.seccompProfile.type to {kind}")
    };
    let pod = is_bad(of_pod).then(|| must_not("pod".to_owned(), of_pod));
    let bad: Vec<&Value> =
        containers(spec).filter(|one| is_bad(&context(one)["seccompProfile"]["type"])).collect();
    let names: Vec<&str> = bad.iter().map(|container| name(container)).collect();
    let containers = bad
        .first()
        .map(|first| must_not(these("container", &names), &context(first)["seccompProfile"]["type"]));
    pod.into_iter().chain(containers).collect::<Vec<_>>().join(", ")
}

/// What some containers must not do.
fn must_not(spec: &Value, what: &str, rule: &str, is_done: impl Fn(&Value) -> bool) -> Option<String> {
    let names: Vec<&str> = containers(spec).filter(|one| is_done(context(one))).map(name).collect();
    if names.is_empty() {
        return None;
    }
    violation(what, &format!("{} must not {rule}", these("container", &names)))
}

fn violation(what: &str, detail: &str) -> Option<String> {
    (!detail.is_empty()).then(|| format!("{what} ({detail})"))
}

/// Init containers first.
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "initContainers").chain(list(spec, "containers"))
}

fn context(container: &Value) -> &Value {
    &container["securityContext"]
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// `container "a"`, `containers "a", "b"`.
fn these(word: &str, names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("{} {}", plural(word, names.len()), quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(container: &Value) -> Value {
        let mut container = container.clone();
        container["name"] = json!("main");
        json!({"containers": [container]})
    }

    #[test]
    fn a_plain_pod_is_fine_but_on_the_strictest_level() {
        let plain = spec(&json!({}));
        assert!(violations(Level::Privileged, &plain).is_empty());
        assert!(violations(Level::Baseline, &plain).is_empty());
        assert_eq!(
            violations(Level::Restricted, &plain),
            [
                "allowPrivilegeEscalation != false (container \"main\" must set \
             securityContext.allowPrivilegeEscalation=false)",
                "unrestricted capabilities (container \"main\" must set securityContext.capabilities.drop=[\"ALL\"])",
                "runAsNonRoot != true (pod or container \"main\" must set securityContext.runAsNonRoot=true)",
                "seccompProfile (pod or container \"main\" must set securityContext.seccompProfile.type to \
             \"RuntimeDefault\" or \"Localhost\")",
            ]
        );
    }

    #[test]
    fn each_rule_of_baseline_is_told() {
        let mut pod = spec(&json!({
            "ports": [{"hostPort": 80}],
            "securityContext": {
                "privileged": true, "procMount": "Unmasked", "capabilities": {"add": ["SYS_ADMIN", "CHOWN"]},
                "seccompProfile": {"type": "Unconfined"},
            },
        }));
        pod["hostNetwork"] = json!(true);
        pod["volumes"] =
            json!([{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "hostPath": {"path": "/"}}]);
        pod["securityContext"] = json!({"sysctls": [{"name": "kernel.msgmax"}]});
        assert_eq!(
            violations(Level::Baseline, &pod),
            [
                "non-default capabilities (container \"main\" must not include \"SYS_ADMIN\" in \
             securityContext.capabilities.add)",
                "host namespaces (hostNetwork=true)",
                "hostPath volumes (volumes \"v\", \"w\")",
                "hostPort (container \"main\" uses hostPort 80)",
                "privileged (container \"main\" must not set securityContext.privileged=true)",
                "procMount (container \"main\" must not set securityContext.procMount to \"Unmasked\")",
                "seccompProfile (container \"main\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
                "forbidden sysctls (kernel.msgmax)",
            ]
        );
        let restricted = violations(Level::Restricted, &pod);
        assert!(
            restricted.contains(
                &"restricted volume types (volumes \"v\", \"w\" use restricted volume type \"hostPath\")"
                    .to_owned()
            )
        );
    }

    #[test]
    fn what_the_pod_sets_holds_for_its_containers() {
        let mut pod = spec(&json!({
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }));
        pod["securityContext"] = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(violations(Level::Restricted, &pod), Vec::<String>::new());
        pod["containers"][0]["securityContext"]["runAsNonRoot"] = json!(false);
        pod["containers"][0]["securityContext"]["runAsUser"] = json!(0);
        assert_eq!(
            violations(Level::Restricted, &pod),
            [
                "runAsNonRoot != true (container \"main\" must not set securityContext.runAsNonRoot=false)",
                "runAsUser=0 (container \"main\" must not set runAsUser=0)",
            ]
        );
    }
}
