use crate::{
    grammar::scalar,
    table::{COMMON, Documented, Key, Requirement, Section, Variable},
    variable,
};

const SERVER: Variable = Variable { section: Section::Server, ..COMMON };

pub(crate) static IMPLEMENTATION_SOURCE: Key<String> = Key {
    variable: Variable {
        name: variable::IMPLEMENTATION_SOURCE,
        required: Requirement::Always,
        description: "Which implementation runs the workloads.",
        allowed: "the class path of an implementation, or a short name of one",
        example: "zenml_cloud_plugins.kubernetes_workload_manager.KubernetesWorkloadManager",
        ..SERVER
    },
    parse: scalar::line,
};

pub(crate) static MAX_CONCURRENT_SNAPSHOT_RUNS: Key<u32> = Key {
    variable: Variable {
        name: variable::MAX_CONCURRENT_SNAPSHOT_RUNS,
        documented: Documented::Server,
        default: Some("2"),
        description: "How many runs are in progress at once, per server process.",
        allowed: "a whole number, at least 1",
        example: "10",
        ..SERVER
    },
    parse: scalar::positive,
};

pub(crate) static MAX_CONCURRENT_TEMPLATE_RUNS: Key<u32> = Key {
    variable: Variable {
        name: variable::MAX_CONCURRENT_TEMPLATE_RUNS,
        default: Some("2"),
        description: "The older name of `ZENML_SERVER_MAX_CONCURRENT_SNAPSHOT_RUNS`, which wins if both are set.",
        allowed: "a whole number, at least 1",
        example: "10",
        ..SERVER
    },
    parse: scalar::positive,
};

pub(crate) static MAX_QUEUED_SNAPSHOT_RUNS: Key<u32> = Key {
    variable: Variable {
        name: variable::MAX_QUEUED_SNAPSHOT_RUNS,
        documented: Documented::Here,
        default: Some("100"),
        description: "How many runs may wait for their turn; one more is refused. With 0 no run waits.",
        allowed: "a whole number, at least 0",
        example: "500",
        ..SERVER
    },
    parse: scalar::natural,
};
