use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    grammar::{json, name, scalar},
    settings::PodSecurity,
    table::{COMMON, Documented, Key, Variable},
    variable,
};

pub(crate) static POD_RESOURCES: Key<Value> = Key {
    variable: Variable {
        name: variable::POD_RESOURCES,
        unset: "the namespace's own defaults",
        description: "Requests and limits of runner and builder pods.",
        allowed: "a JSON object: the resources of a Kubernetes container",
        example: r#"{"requests": {"cpu": "100m", "memory": "400Mi"}, "limits": {"memory": "700Mi"}}"#,
        ..COMMON
    },
    parse: json::object,
};

pub(crate) static NODE_SELECTOR: Key<BTreeMap<String, String>> = Key {
    variable: Variable {
        name: variable::NODE_SELECTOR,
        unset: "any node",
        description: "Labels of the nodes that the pods may run on.",
        allowed: "a JSON object from label keys to label values, all of them strings",
        example: r#"{"node-pool": "zenml-pool"}"#,
        ..COMMON
    },
    parse: name::node_selector,
};

pub(crate) static TOLERATIONS: Key<Value> = Key {
    variable: Variable {
        name: variable::TOLERATIONS,
        unset: "none",
        description: "Taints of nodes that the pods tolerate.",
        allowed: "a JSON array: the tolerations of a Kubernetes pod",
        example: r#"[{"key": "node-pool", "operator": "Equal", "value": "zenml-pool", "effect": "NoSchedule"}]"#,
        ..COMMON
    },
    parse: json::array,
};

pub(crate) static POD_SECURITY: Key<PodSecurity> = Key {
    variable: Variable {
        name: variable::POD_SECURITY,
        documented: Documented::Here,
        default: Some("auto"),
        description: "How far the pods' security context is locked down: what the Pod Security level of that name \
                      demands, or none of it. `auto` is `restricted`, with `runAsNonRoot` only where the namespace \
                      enforces that level, since many images run as root.",
        allowed: "auto, restricted, baseline or none",
        example: "restricted",
        ..COMMON
    },
    parse: scalar::pod_security,
};

pub(crate) static POD_TEMPLATE_PATCH: Key<Value> = Key {
    variable: Variable {
        name: variable::POD_TEMPLATE_PATCH,
        documented: Documented::Here,
        unset: "no patch",
        secret: true,
        description: "A strategic merge patch of the pod template, applied last. It may carry environment values, so \
                      it is never shown.",
        allowed: "a JSON object: what to change in a Kubernetes pod template",
        example: r#"{"spec": {"priorityClassName": "low"}}"#,
        ..COMMON
    },
    parse: json::object,
};

pub(crate) static TERMINATION_GRACE_PERIOD_SECONDS: Key<u32> = Key {
    variable: Variable {
        name: variable::TERMINATION_GRACE_PERIOD_SECONDS,
        documented: Documented::Here,
        default: Some("30"),
        description: "How long a cancelled pod may take to end by itself before it is killed.",
        allowed: "a whole number of seconds, 0 to 2147483647",
        example: "60",
        ..COMMON
    },
    parse: scalar::natural,
};
