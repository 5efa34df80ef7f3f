use serde_json::Value;

use crate::{
    grammar::{archive, json, name, scalar},
    settings::PlainSecrets,
    table::{COMMON, Documented, Key, Requirement, Variable},
    variable,
};

pub(crate) static NAMESPACE: Key<String> = Key {
    variable: Variable {
        name: variable::NAMESPACE,
        required: Requirement::OnCluster,
        local_default: Some("default"),
        description: "The Kubernetes namespace of the runner Jobs. It has to exist.",
        allowed: "lower-case letters, digits and hyphens, a letter or digit at both ends, at most 63 characters",
        example: "zenml-workload-manager",
        ..COMMON
    },
    parse: name::label,
};

pub(crate) static SERVICE_ACCOUNT: Key<String> = Key {
    variable: Variable {
        name: variable::SERVICE_ACCOUNT,
        required: Requirement::OnCluster,
        local_default: Some("default"),
        description: "The service account of runner and builder pods, in that namespace. It has to exist.",
        allowed: "lower-case letters, digits, hyphens and dots, a letter or digit at both ends and around each \
                  dot, at most 253 characters",
        example: "zenml-workload-manager",
        ..COMMON
    },
    parse: name::subdomain,
};

pub(crate) static ENABLE_EXTERNAL_LOGS: Key<bool> = Key {
    variable: Variable {
        name: variable::ENABLE_EXTERNAL_LOGS,
        default: Some("false"),
        description: "Whether logs are stored outside the pods. Currently, this is only supported with the AWS \
                      implementation.",
        allowed: "true or false",
        example: "true",
        ..COMMON
    },
    parse: scalar::boolean,
};

pub(crate) static LOG_ARCHIVE: Key<String> = Key {
    variable: Variable {
        name: variable::LOG_ARCHIVE,
        documented: Documented::Here,
        unset: "logs are in the pods, and go with them",
        description: "A directory of the manager's machine in which logs are kept that outlive their pods, as a file URL. \
                      Several managers may share it, on a file system where a file can be made if there is none of \
                      its name. It is for one machine and for trying things out; on AWS logs go to the bucket.",
        allowed: "file:// and an absolute path",
        example: "file:///var/lib/zenml/logs",
        ..COMMON
    },
    parse: archive::directory,
};

pub(crate) static TTL_SECONDS_AFTER_FINISHED: Key<u32> = Key {
    variable: Variable {
        name: variable::TTL_SECONDS_AFTER_FINISHED,
        default: Some("172800"),
        description: "How long a finished Job is kept, with its pod and the pod's log. The default is two days.",
        allowed: "a whole number of seconds, 0 to 2147483647",
        example: "86400",
        ..COMMON
    },
    parse: scalar::natural,
};

pub(crate) static JOB_BACKOFF_LIMIT: Key<u32> = Key {
    variable: Variable {
        name: variable::JOB_BACKOFF_LIMIT,
        default: Some("0"),
        description: "How often Kubernetes replaces a failed pod of a builder or runner Job. A replaced runner \
                      may submit its pipeline a second time.",
        allowed: "a whole number, 0 to 2147483647",
        example: "3",
        ..COMMON
    },
    parse: scalar::natural,
};

pub(crate) static POD_FAILURE_POLICY: Key<Value> = Key {
    variable: Variable {
        name: variable::POD_FAILURE_POLICY,
        unset: "each failure counts",
        description: "Which pod failures count towards the backoff limit, for builder and runner Jobs. It needs \
                      Kubernetes 1.26.",
        allowed: "a JSON object: the podFailurePolicy of a Kubernetes Job",
        example: r#"{"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}"#,
        ..COMMON
    },
    parse: json::object,
};

pub(crate) static PLAIN_SECRETS: Key<PlainSecrets> = Key {
    variable: Variable {
        name: variable::PLAIN_SECRETS,
        documented: Documented::Here,
        default: Some("allow"),
        description: "Whether secret environment values may be written into the Job, readable by whoever may read \
                      Jobs, where the role has no right to make Secrets. With `refuse` such a run is refused.",
        allowed: "allow or refuse",
        example: "refuse",
        ..COMMON
    },
    parse: scalar::plain_secrets,
};

pub(crate) static KUBECONFIG_CONTEXT: Key<String> = Key {
    variable: Variable {
        name: variable::KUBECONFIG_CONTEXT,
        documented: Documented::Here,
        unset: "the kubeconfig's current context, or the credentials of the pod",
        description: "The context of the kubeconfig to use.",
        allowed: "the name of a context, on one line",
        example: "production",
        ..COMMON
    },
    parse: scalar::line,
};
