use crate::{
    grammar::{image, name, scalar},
    settings::ImagePullPolicy,
    table::{COMMON, Documented, Key, Requirement, Variable},
    variable,
};

pub(crate) static BUILD_RUNNER_IMAGE: Key<bool> = Key {
    variable: Variable {
        name: variable::BUILD_RUNNER_IMAGE,
        default: Some("false"),
        description: "Whether runner images are built on demand.",
        allowed: "true or false",
        example: "true",
        ..COMMON
    },
    parse: scalar::boolean,
};

pub(crate) static DOCKER_REGISTRY: Key<String> = Key {
    variable: Variable {
        name: variable::DOCKER_REGISTRY,
        required: Requirement::WhenBuilding,
        unset: "nothing is pushed",
        description: "The registry that built images are pushed to, and pulled from.",
        allowed: "host[:port][/path], without scheme and without tag",
        example: "internal-registry.mycompany.com/zenml",
        ..COMMON
    },
    parse: image::registry,
};

pub(crate) static RUNNER_IMAGE: Key<String> = Key {
    variable: Variable {
        name: variable::RUNNER_IMAGE,
        unset: "the snapshot's own image runs, unless images are built",
        description: "One prebuilt image for all runs. It is used if images are not built.",
        allowed: "an image reference, [host[:port]/]path[:tag][@digest]",
        example: "internal-registry.mycompany.com/zenml/zenml:0.98.0",
        ..COMMON
    },
    parse: image::reference,
};

pub(crate) static IMAGE_PULL_POLICY: Key<ImagePullPolicy> = Key {
    variable: Variable {
        name: variable::IMAGE_PULL_POLICY,
        documented: Documented::Here,
        unset: "the cluster's own rule",
        description: "When the kubelet pulls the image of a pod.",
        allowed: "Always, IfNotPresent or Never",
        example: "IfNotPresent",
        ..COMMON
    },
    parse: scalar::image_pull_policy,
};

pub(crate) static IMAGE_PULL_SECRETS: Key<Vec<String>> = Key {
    variable: Variable {
        name: variable::IMAGE_PULL_SECRETS,
        documented: Documented::Here,
        unset: "the service account's own pull secrets",
        description: "Secrets with credentials for the registries, in the namespace of the Jobs.",
        allowed: "names of Secrets with commas between them, or a JSON array of names",
        example: "registry-credentials,mirror-credentials",
        ..COMMON
    },
    parse: name::secret_names,
};
