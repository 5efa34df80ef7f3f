//! What the log of a builder says when it gives up, in the words of kaniko, `BuildKit` and buildah alike.

use wm_core::ErrorKind;

/// Why a build failed, as far as its log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    ParseError,
    NoSpace,
    OutOfMemory,
    Architecture,
    PushUnauthorized,
    PushNoRepository,
    PushImmutable,
    PushRegistryFull,
    PushUnreachable,
    PushFailed,
    BaseMissing,
    BaseUnauthorized,
    BaseRateLimited,
    BaseUnreachable,
    Certificate,
    PlainHttp,
    PythonPackage,
    AptPackage,
    Network,
    CommandMissing,
    NotPermitted,
    Command,
    Rootless,
}

/// What the builder was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Start,
    Fetch,
    Instruction,
    Push,
}

/// A cause and the line of the log that tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) cause: Cause,
    pub(super) line: &'a str,
}

/// Words, in lower case, that together mean a cause; earlier rules win.
struct Rule {
    cause: Cause,
    /// One of these in the line.
    any: &'static [&'static str],
    /// And one of these too, if there are any.
    with: &'static [&'static str],
}

const fn rule(cause: Cause, any: &'static [&'static str], with: &'static [&'static str]) -> Rule {
    Rule { cause, any, with }
}

const PUSH: &[&str] = &[
    "checking push permission",
    "error pushing",
    "failed to push",
    "pushing image",
    "push access",
    "writing blob",
    "writing manifest",
    "copying layers and metadata",
    "trying to reuse blob",
    "initiating layer upload",
    "uploading",
    "blobs/uploads",
    "put https://",
    "put http://",
    "post https://",
    "post http://",
];
const UNREACHABLE: &[&str] = &[
    "connection refused",
    "no such host",
    "i/o timeout",
    "connection reset",
    "context deadline exceeded",
    "client.timeout",
    "tls handshake timeout",
    "no route to host",
    "network is unreachable",
    "temporary failure in name resolution",
    "502 bad gateway",
    "503 service",
    "504 gateway",
    "500 internal server error",
    "unexpected eof",
    "unexpected status code 5",
    "status code 5",
    "unavailable:",
    "internal server error",
];
const UNAUTHORIZED: &[&str] = &[
    "unauthorized",
    "authentication required",
    "denied",
    "forbidden",
    "401",
    "403",
    "no basic auth credentials",
    "insufficient_scope",
];
const BASE: &[&str] = &[
    "retrieving image",
    "/manifests/",
    "failed to resolve source metadata",
    "creating build container",
    "initializing source",
    "reading manifest",
    "load metadata for",
    "unable to complete operation",
    "get https://",
    "get http://",
    "error building image",
    "pulling image",
    "pull access",
];

/// What fails a whole build. The first rule that any of the last lines fits wins, the line nearest the end.
const RULES: &[Rule] = &[
    rule(Cause::ParseError, &["dockerfile parse error", "parsing dockerfile", "unknown instruction"], &[]),
    rule(Cause::NoSpace, &["no space left on device", "disk quota exceeded"], &[]),
    rule(
        Cause::Rootless,
        &[
            "failed to share mount point",
            "newuidmap",
            "newgidmap",
            "fork/exec /proc/self/exe",
            "rootlesskit",
            "cannot clone: operation not permitted",
            "user namespaces are not enabled",
        ],
        &[],
    ),
    rule(
        Cause::Architecture,
        &[
            "exec format error",
            "no match for platform",
            "no matching manifest for",
            "no image found in manifest list for",
            "no child with platform",
        ],
        &[],
    ),
    rule(Cause::PlainHttp, &["server gave http response to https client"], &[]),
    rule(
        Cause::Certificate,
        &["x509:", "certificate signed by unknown authority", "tls: failed to verify"],
        &[],
    ),
    rule(Cause::PushImmutable, &["immutable", "tag_invalid", "tag already exists"], &[]),
    rule(Cause::PushRegistryFull, &["507 insufficient storage", "quota", "insufficient storage"], PUSH),
    rule(
        Cause::PushUnauthorized,
        &["push access denied", "insufficient_scope", "no basic auth credentials"],
        PUSH,
    ),
    rule(
        Cause::PushNoRepository,
        &["name_unknown", "name unknown", "repository does not exist", "repository not found", "not found"],
        PUSH,
    ),
    rule(Cause::PushUnauthorized, UNAUTHORIZED, PUSH),
    rule(Cause::PushUnreachable, UNREACHABLE, PUSH),
    rule(Cause::PushFailed, &["checking push permission", "error pushing", "failed to push"], &[]),
    rule(Cause::BaseRateLimited, &["toomanyrequests", "429", "rate limit"], BASE),
    rule(Cause::BaseUnauthorized, &["pull access denied", "insufficient_scope"], BASE),
    rule(
        Cause::BaseMissing,
        &[
            "manifest_unknown",
            "manifest unknown",
            "name_unknown",
            "name unknown",
            "not found",
            "does not exist",
        ],
        BASE,
    ),
    rule(Cause::BaseUnauthorized, UNAUTHORIZED, BASE),
    rule(Cause::BaseUnreachable, UNREACHABLE, BASE),
    rule(
        Cause::PythonPackage,
        &[
            "no matching distribution found",
            "no solution found when resolving",
            "not found in the package registry",
            "could not find a version that satisfies",
            "resolutionimpossible",
            "invalid requirement",
            "failed to parse:",
        ],
        &[],
    ),
    rule(
        Cause::AptPackage,
        &["e: unable to locate package", "has no installation candidate", "e: unable to correct problems"],
        &[],
    ),
    rule(
        Cause::Network,
        &[
            "temporary failure resolving",
            "temporary failure in name resolution",
            "could not resolve",
            "failed to establish a new connection",
            "connection timed out",
            "e: failed to fetch",
            "e: unable to fetch",
            "dns error",
            "failed to fetch:",
        ],
        &[],
    ),
    rule(
        Cause::OutOfMemory,
        &["signal: killed", "exit status 137", "exit code: 137", "out of memory", "memoryerror"],
        &[],
    ),
    rule(
        Cause::CommandMissing,
        &[
            "exit status 127",
            "exit code: 127",
            "executable file not found",
            ": not found",
            "no such file or directory",
        ],
        &["exit", "exec", "sh:"],
    ),
    rule(Cause::NotPermitted, &["permission denied", "operation not permitted", "are you root?"], &[]),
    rule(
        Cause::Command,
        &["exit status", "exit code:", "failed to execute command", "did not complete successfully"],
        &[],
    ),
];

/// Beyond this many lines before the end, words are not about the end.
const LINES: usize = 40;

impl Cause {
    /// The cause that a log shows.
    pub(super) fn of(log: &[String]) -> Option<Found<'_>> {
        let lines: Vec<(&str, String)> = log
            .iter()
            .rev()
            .take(LINES)
            .map(|line| (line.as_str(), line.to_lowercase()))
            // These say what goes on, not what fails.
            .filter(|(_, lower)| !lower.contains("level=info") && !lower.contains("level=warning"))
            .collect();
        let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
        RULES.iter().find_map(|rule| {
            let fits = |text: &str| has(text, rule.any) && (rule.with.is_empty() || has(text, rule.with));
            let (line, _) = lines.iter().find(|(_, lower)| fits(lower))?;
            Some(Found { cause: rule.cause, line })
        })
    }

    /// What the failing command said last, before the builder spoke.
    pub(super) fn last_words(log: &[String]) -> Option<&str> {
        let builders = [
            "time=\"",
            "error building image",
            "error: ",
            "#",
            "dockerfile:",
            "---",
            ">>>",
            "subprocess exited",
            "running: ",
            "step ",
        ];
        log.iter().rev().take(LINES).map(|line| line.trim()).find(|line| {
            let lower = line.to_lowercase();
            !line.is_empty()
                && !builders.iter().any(|words| lower.starts_with(words))
                && !is_of_a_listing(line)
        })
    }

    pub(super) fn phase(self) -> Phase {
        match self {
            Self::PushUnauthorized
            | Self::PushNoRepository
            | Self::PushImmutable
            | Self::PushRegistryFull
            | Self::PushUnreachable
            | Self::PushFailed => Phase::Push,
            Self::BaseMissing
            | Self::BaseUnauthorized
            | Self::BaseRateLimited
            | Self::BaseUnreachable
            | Self::Certificate
            | Self::PlainHttp => Phase::Fetch,
            Self::Rootless => Phase::Start,
            _ => Phase::Instruction,
        }
    }

    /// Whether it is about an image that a `FROM` line names.
    pub(super) fn is_about_base(self) -> bool {
        matches!(
            self,
            Self::BaseMissing
                | Self::BaseUnauthorized
                | Self::BaseRateLimited
                | Self::BaseUnreachable
                | Self::Architecture
        )
    }

    pub(super) fn kind(self) -> ErrorKind {
        match self {
            Self::PushUnauthorized | Self::BaseUnauthorized => ErrorKind::PermissionDenied,
            Self::PushNoRepository | Self::BaseMissing => ErrorKind::NotFound,
            Self::PushImmutable => ErrorKind::Conflict,
            Self::BaseRateLimited => ErrorKind::RateLimited,
            Self::PushUnreachable | Self::BaseUnreachable | Self::Network | Self::PushFailed => {
                ErrorKind::Unavailable
            }
            Self::PushRegistryFull => ErrorKind::QuotaExceeded,
            Self::NoSpace
            | Self::OutOfMemory
            | Self::Certificate
            | Self::PlainHttp
            | Self::Rootless
            | Self::Architecture => ErrorKind::InvalidConfig,
            _ => ErrorKind::InvalidRequest,
        }
    }

    /// What happened, as the beginning of a sentence; the line of the log follows.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::ParseError => "the Dockerfile can't be parsed",
            Self::NoSpace => "the builder ran out of disk",
            Self::OutOfMemory => "a program of the build was killed, most likely for want of memory",
            Self::Architecture => "the base image is not for the architecture of the node",
            Self::PushUnauthorized => "the builder may not push to the registry",
            Self::PushNoRepository => "the registry has no such repository to push to",
            Self::PushImmutable => {
                "the registry has another image under this tag, and its tags can't be changed"
            }
            Self::PushRegistryFull => "the registry has no room for the image",
            Self::PushUnreachable => "the registry that the image is pushed to can't be reached",
            Self::PushFailed => "the image can't be pushed",
            Self::BaseMissing => "the base image does not exist",
            Self::BaseUnauthorized => "the builder may not pull the base image",
            Self::BaseRateLimited => "the registry of the base image limits how often it is asked",
            Self::BaseUnreachable => "the registry of the base image can't be reached",
            Self::Certificate => "the certificate of a registry is not trusted",
            Self::PlainHttp => "a registry speaks plain HTTP, and it is not allowed to",
            Self::PythonPackage => "a Python package can't be installed",
            Self::AptPackage => "a Debian package can't be installed",
            Self::Network => "a package server can't be reached from the build",
            Self::CommandMissing => "a program is not in the image",
            Self::NotPermitted => "the build was refused something",
            Self::Command => "a command of the Dockerfile failed",
            Self::Rootless => "the node does not let the builder make the namespaces that it needs",
        }
    }

    /// What to do about it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::ParseError => "mend the line of the Dockerfile",
            Self::NoSpace => {
                "ask for more ephemeral-storage with …_BUILDER_RESOURCES, or use nodes with larger disks"
            }
            Self::OutOfMemory => "give the builder more memory with …_BUILDER_RESOURCES",
            Self::Architecture => {
                "set …_BUILDER_PLATFORM to an architecture that the base image has, such as linux/amd64, or use another base image"
            }
            Self::PushUnauthorized => {
                "give the builder's service account the right to push, or name a Secret with credentials in …_BUILDER_DOCKER_CONFIG_SECRET"
            }
            Self::PushNoRepository => {
                "create the repository zenml-runner in the registry, or let the registry create repositories on push"
            }
            Self::PushImmutable => {
                "launch again to use the image that is there; if it is the wrong one, delete the tag or set …_BUILDER_REBUILD_SALT"
            }
            Self::PushRegistryFull => "delete images from the registry, or have its quota raised",
            Self::PushUnreachable => {
                "look whether the registry runs and whether …_DOCKER_REGISTRY is its address as pods see it, then launch again"
            }
            Self::PushFailed => "look at …_DOCKER_REGISTRY and at what the registry says",
            Self::BaseMissing => {
                "look at the FROM line: name an image and a tag that exist (ZENML_RUNNER_PARENT_IMAGE sets it in the server)"
            }
            Self::BaseUnauthorized => {
                "name a Secret with credentials for its registry in …_BUILDER_DOCKER_CONFIG_SECRET; some registries say this of images that don't exist too"
            }
            Self::BaseRateLimited => {
                "set a mirror with …_BUILDER_MIRRORS, or credentials with …_BUILDER_DOCKER_CONFIG_SECRET, or launch again later"
            }
            Self::BaseUnreachable => {
                "look whether pods reach that registry; without internet access set a mirror with …_BUILDER_MIRRORS"
            }
            Self::Certificate => {
                "put its certificate authority into a ConfigMap and name that in …_BUILDER_CA_BUNDLE_CONFIG_MAP"
            }
            Self::PlainHttp => "add the registry to …_PLAIN_HTTP_REGISTRIES, or give it a certificate",
            Self::PythonPackage => {
                "look at the names and versions of the requirements, whether they agree with each other and with the image's Python"
            }
            Self::AptPackage => {
                "look at the name of the package: it has to exist in the base image's distribution"
            }
            Self::Network => {
                "look whether pods reach the package servers; behind a proxy or without internet access use a base image that has the packages"
            }
            Self::CommandMissing => "use a base image that has it, or install it in an earlier line",
            Self::NotPermitted => {
                "look whether the base image's user may do this (USER root before it), or whether the engine may"
            }
            Self::Command => "read the build's log above that line; it is part of the workload's log",
            Self::Rootless => "set …_BUILDER_ENGINE to kaniko, or use nodes that allow user namespaces",
        }
    }
}

/// A line of the Dockerfile as `BuildKit` shows it: `   3 | >>> RUN x`.
fn is_of_a_listing(line: &str) -> bool {
    line.split_once('|').is_some_and(|(number, _)| number.trim().parse::<u32>().is_ok())
}
