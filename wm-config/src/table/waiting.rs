use crate::{
    grammar::scalar,
    table::{COMMON, Documented, Key, Variable},
    variable,
};

pub(crate) static SCHEDULE_TIMEOUT_SECONDS: Key<u32> = Key {
    variable: Variable {
        name: variable::SCHEDULE_TIMEOUT_SECONDS,
        documented: Documented::Here,
        default: Some("900"),
        description: "How long a run may wait until a node takes its pod, before it is given up. Time in which it is \
                      suspended or its pod gated does not count, and a scale-up that is under way begins it anew, \
                      once. With 0 it waits without end.",
        allowed: "a whole number of seconds, 0 to 2147483647",
        example: "3600",
        ..COMMON
    },
    parse: scalar::natural,
};

pub(crate) static START_TIMEOUT_SECONDS: Key<u32> = Key {
    variable: Variable {
        name: variable::START_TIMEOUT_SECONDS,
        documented: Documented::Here,
        default: Some("900"),
        description: "How long the program of a run may take to begin once a node has its pod: its volumes are \
                      mounted, its image is pulled. With 0 it may take any time.",
        allowed: "a whole number of seconds, 0 to 2147483647",
        example: "1800",
        ..COMMON
    },
    parse: scalar::natural,
};

pub(crate) static START_RETRIES: Key<u32> = Key {
    variable: Variable {
        name: variable::START_RETRIES,
        documented: Documented::Here,
        default: Some("2"),
        description: "How often in a row a run is tried again whose program certainly never began, for a reason that \
                      tends to pass: its pod was evicted before it started, its node was shutting down or did not take \
                      it, its registry did not answer. Each try is an attempt of its own, after a pause of 10 seconds \
                      that doubles. A program that may have begun is never started again by this.",
        allowed: "a whole number, at least 0",
        example: "5",
        ..COMMON
    },
    parse: scalar::natural,
};

pub(crate) static IMAGE_PULL_GRACE_SECONDS: Key<u32> = Key {
    variable: Variable {
        name: variable::IMAGE_PULL_GRACE_SECONDS,
        documented: Documented::Here,
        default: Some("120"),
        description: "How long the pull of an image may fail in a way that may pass, such as a registry that does not \
                      answer, before the run is given up. One whose image does not exist or may not be pulled is \
                      given up at once.",
        allowed: "a whole number of seconds, 0 to 2147483647",
        example: "300",
        ..COMMON
    },
    parse: scalar::natural,
};
