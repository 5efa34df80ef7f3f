//! How images are built, and registries asked.

use serde_json::Value;

use crate::{
    grammar::{build, image, json, name, scalar},
    settings::{BuilderEngine, Mirror},
    table::{COMMON, Documented, Key, Variable},
    variable,
};

const OURS: Variable = Variable { documented: Documented::Here, ..COMMON };

pub(crate) static BUILDER_ENGINE: Key<BuilderEngine> = Key {
    variable: Variable {
        name: variable::BUILDER_ENGINE,
        default: Some("kaniko"),
        description: "What builds runner images. Only kaniko is admitted at the Pod Security level *baseline*; \
                      buildkit (rootless) and buildah need the level *privileged*, as they make namespaces.",
        allowed: "kaniko, buildkit or buildah",
        example: "buildkit",
        ..OURS
    },
    parse: build::engine,
};

pub(crate) static BUILDER_IMAGE: Key<String> = Key {
    variable: Variable {
        name: variable::BUILDER_IMAGE,
        unset: "the engine's own image, from its public registry",
        description: "The image of the builder, for example a copy in a registry that the nodes reach.",
        allowed: "an image reference, [host[:port]/]path[:tag][@digest]",
        example: "internal-registry.mycompany.com/mirror/kaniko:v1.28.3",
        ..OURS
    },
    parse: image::reference,
};

pub(crate) static BUILDER_RESOURCES: Key<Value> = Key {
    variable: Variable {
        name: variable::BUILDER_RESOURCES,
        unset: "requests of half a CPU, 2Gi of memory and 8Gi of ephemeral storage, without limits",
        description: "Requests and limits of builder pods, which need far more than runners: the base image is \
                      unpacked in them.",
        allowed: "a JSON object: the resources of a Kubernetes container",
        example: r#"{"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "8Gi"}}"#,
        ..OURS
    },
    parse: json::object,
};

pub(crate) static BUILDER_TIMEOUT_SECONDS: Key<u32> = Key {
    variable: Variable {
        name: variable::BUILDER_TIMEOUT_SECONDS,
        default: Some("3600"),
        description: "How long a build may run, in seconds.",
        allowed: "1 to 2147483647",
        example: "1800",
        ..OURS
    },
    parse: scalar::positive,
};

pub(crate) static BUILDER_SERVICE_ACCOUNT: Key<String> = Key {
    variable: Variable {
        name: variable::BUILDER_SERVICE_ACCOUNT,
        unset: "the service account of all pods",
        description: "The service account of builder pods, whose cloud identity may push. So runners need not have \
                      that right.",
        allowed: "the name of a service account in the namespace",
        example: "zenml-builder",
        ..OURS
    },
    parse: name::subdomain,
};

pub(crate) static BUILDER_DOCKER_CONFIG_SECRET: Key<String> = Key {
    variable: Variable {
        name: variable::BUILDER_DOCKER_CONFIG_SECRET,
        unset: "the builder has what its pod's identity gives",
        description: "A Secret of the type kubernetes.io/dockerconfigjson, in the namespace of the Jobs, with the \
                      builder's credentials: to push, and to pull base images.",
        allowed: "the name of a Secret",
        example: "registry-credentials",
        ..OURS
    },
    parse: name::subdomain,
};

pub(crate) static BUILDER_CACHE_REPOSITORY: Key<String> = Key {
    variable: Variable {
        name: variable::BUILDER_CACHE_REPOSITORY,
        unset: "each build begins anew",
        description: "A repository that keeps the layers of builds for later ones. Its tags must not be immutable.",
        allowed: "host[:port]/path, without scheme and without tag",
        example: "internal-registry.mycompany.com/zenml/build-cache",
        ..OURS
    },
    parse: image::repository,
};

pub(crate) static BUILDER_PLATFORM: Key<String> = Key {
    variable: Variable {
        name: variable::BUILDER_PLATFORM,
        unset: "that of the node on which the builder happens to run",
        description: "The platform that images are built for. The builder then runs on a node of that architecture.",
        allowed: "linux/<architecture>",
        example: "linux/amd64",
        ..OURS
    },
    parse: build::platform,
};

pub(crate) static BUILDER_CA_BUNDLE_CONFIG_MAP: Key<String> = Key {
    variable: Variable {
        name: variable::BUILDER_CA_BUNDLE_CONFIG_MAP,
        unset: "the usual certificate authorities alone",
        description: "A ConfigMap in the namespace of the Jobs with certificates, as PEM under any keys, that the \
                      builder trusts besides the usual ones.",
        allowed: "the name of a ConfigMap",
        example: "company-ca",
        ..OURS
    },
    parse: name::subdomain,
};

pub(crate) static BUILDER_MIRRORS: Key<Vec<Mirror>> = Key {
    variable: Variable {
        name: variable::BUILDER_MIRRORS,
        unset: "images come from the registries that they name",
        description: "Where the builder gets the images of a registry instead: for clusters without internet access, \
                      and against the limits of Docker Hub.",
        allowed: "registry=mirror pairs with commas between them, each mirror host[:port][/path]",
        example: "docker.io=mirror.mycompany.com/hub,ghcr.io=mirror.mycompany.com/ghcr",
        ..OURS
    },
    parse: build::mirrors,
};

pub(crate) static BUILDER_REBUILD_SALT: Key<String> = Key {
    variable: Variable {
        name: variable::BUILDER_REBUILD_SALT,
        unset: "an image's name depends on its Dockerfile alone",
        description: "Text that goes into the names of all images: another text has them all built anew.",
        allowed: "any text on one line",
        example: "2026-11",
        ..OURS
    },
    parse: scalar::line,
};

pub(crate) static BUILDER_MAXIMUM_AGE_SECONDS: Key<u32> = Key {
    variable: Variable {
        name: variable::BUILDER_MAXIMUM_AGE_SECONDS,
        unset: "an image is built once for all time",
        description: "How old an image may get, in seconds, before it is built anew, so that it gets new versions of \
                      what its Dockerfile does not pin.",
        allowed: "3600 to 2147483647",
        example: "604800",
        ..OURS
    },
    parse: build::age,
};

pub(crate) static PLAIN_HTTP_REGISTRIES: Key<Vec<String>> = Key {
    variable: Variable {
        name: variable::PLAIN_HTTP_REGISTRIES,
        unset: "every registry is asked over HTTPS",
        description: "The registries that are asked over plain HTTP, by the builder and by the manager itself.",
        allowed: "host[:port] with commas between them",
        example: "registry.zenml.svc.cluster.local:5000",
        ..OURS
    },
    parse: build::hosts,
};

pub(crate) static DOCKER_CONFIG_FILE: Key<String> = Key {
    variable: Variable {
        name: variable::DOCKER_CONFIG_FILE,
        unset: "config.json in $DOCKER_CONFIG or ~/.docker, if it is there",
        description: "The manager's own credentials for registries, with which it looks whether an image is there: a \
                      docker config.json, which may name credential helpers. Without credentials a build is still \
                      done once, as long as its Job is kept.",
        allowed: "the path of a file",
        example: "/etc/zenml/docker/config.json",
        ..OURS
    },
    parse: scalar::line,
};

pub(crate) static PIN_IMAGE_DIGESTS: Key<bool> = Key {
    variable: Variable {
        name: variable::PIN_IMAGE_DIGESTS,
        default: Some("false"),
        description: "Whether a run names its image by the digest that the registry has for it at the launch, so that \
                      what ran can be told later. Built images are always named so.",
        allowed: "true or false",
        example: "true",
        ..OURS
    },
    parse: scalar::boolean,
};
