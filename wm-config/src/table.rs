//! The one table of the variables, and what an entry says.

mod aws;
mod builder;
mod image;
mod kubernetes;
mod pod;
mod server;
mod waiting;

use std::fmt;

pub(crate) use crate::table::{
    aws::{BUCKET, CREATE_REPOSITORIES, REGION, S3_ENCRYPTION, S3_ENDPOINT},
    builder::{
        BUILDER_CA_BUNDLE_CONFIG_MAP, BUILDER_CACHE_REPOSITORY, BUILDER_DOCKER_CONFIG_SECRET, BUILDER_ENGINE,
        BUILDER_IMAGE, BUILDER_MAXIMUM_AGE_SECONDS, BUILDER_MIRRORS, BUILDER_PLATFORM, BUILDER_REBUILD_SALT,
        BUILDER_RESOURCES, BUILDER_SERVICE_ACCOUNT, BUILDER_TIMEOUT_SECONDS, DOCKER_CONFIG_FILE,
        PIN_IMAGE_DIGESTS, PLAIN_HTTP_REGISTRIES,
    },
    image::{BUILD_RUNNER_IMAGE, DOCKER_REGISTRY, IMAGE_PULL_POLICY, IMAGE_PULL_SECRETS, RUNNER_IMAGE},
    kubernetes::{
        ENABLE_EXTERNAL_LOGS, JOB_BACKOFF_LIMIT, KUBECONFIG_CONTEXT, LOG_ARCHIVE, NAMESPACE, PLAIN_SECRETS,
        POD_FAILURE_POLICY, SERVICE_ACCOUNT, TTL_SECONDS_AFTER_FINISHED,
    },
    pod::{
        NODE_SELECTOR, POD_RESOURCES, POD_SECURITY, POD_TEMPLATE_PATCH, TERMINATION_GRACE_PERIOD_SECONDS,
        TOLERATIONS,
    },
    server::{
        IMPLEMENTATION_SOURCE, MAX_CONCURRENT_SNAPSHOT_RUNS, MAX_CONCURRENT_TEMPLATE_RUNS,
        MAX_QUEUED_SNAPSHOT_RUNS,
    },
    waiting::{IMAGE_PULL_GRACE_SECONDS, SCHEDULE_TIMEOUT_SECONDS, START_RETRIES, START_TIMEOUT_SECONDS},
};
use crate::{family::Family, grammar::Parsed, variable};

/// Lists every variable, in the order of the reference page.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    TABLE.into_iter()
}

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The full name.
    pub name: &'static str,
    /// Where it belongs.
    pub section: Section,
    /// Who defined it.
    pub documented: Documented,
    /// When it has to be set.
    pub required: Requirement,
    /// What holds when it is not set.
    pub default: Option<&'static str>,
    /// What holds when it is not set and the implementation needs no cluster.
    pub local_default: Option<&'static str>,
    /// What having neither value nor default means.
    pub unset: &'static str,
    /// Whether its value may carry credentials, and is never shown.
    pub secret: bool,
    /// What it is for.
    pub description: &'static str,
    /// What may be written.
    pub allowed: &'static str,
    /// A value that works.
    pub example: &'static str,
}

/// Where a variable belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Section {
    /// The server that launches runs.
    Server,
    /// Jobs and their pods.
    Kubernetes,
    /// What only AWS needs.
    Aws,
}

/// Who defined a variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Documented {
    /// ZenML's guide to the workload manager.
    Guide,
    /// ZenML's server, though the guide doesn't name it.
    Server,
    /// This workload manager.
    Here,
}

/// When a variable has to be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requirement {
    /// Never.
    Optional,
    /// Always, unless the embedding program has a default.
    Always,
    /// With an implementation that runs on a cluster.
    OnCluster,
    /// When runner images are built.
    WhenBuilding,
    /// When AWS stores the logs.
    WhenLogsExternal,
    /// When images are built or logs stored by AWS.
    WhenAwsIsUsed,
}

/// What decides about a [`Requirement`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) family: Family,
    pub(crate) building: bool,
    pub(crate) external_logs: bool,
}

impl Requirement {
    pub(crate) fn holds(self, circumstances: Circumstances) -> bool {
        let Circumstances { family, building, external_logs } = circumstances;
        match self {
            Self::Optional => false,
            Self::Always => true,
            Self::OnCluster => family.is_cluster(),
            Self::WhenBuilding => building && family != Family::Other,
            Self::WhenLogsExternal => external_logs && family == Family::Aws,
            Self::WhenAwsIsUsed => (building || external_logs) && family == Family::Aws,
        }
    }
}

impl Requirement {
    /// Why a variable that is not set should be.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Optional => "is not set",
            Self::Always => "is not set, and there is no default",
            Self::OnCluster => "is not set, but Jobs on a cluster need it",
            Self::WhenBuilding => {
                "is not set, but ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILD_RUNNER_IMAGE is true, and the images have \
                 to be pushed somewhere"
            }
            Self::WhenLogsExternal => {
                "is not set, but ZENML_KUBERNETES_WORKLOAD_MANAGER_ENABLE_EXTERNAL_LOGS is true, and the logs have \
                 to be stored somewhere"
            }
            Self::WhenAwsIsUsed => "is not set, but runner images are built or logs are stored externally",
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Optional => "no",
            Self::Always => "yes",
            Self::OnCluster => "yes, with the Kubernetes and the AWS implementation",
            Self::WhenBuilding => "if runner images are built",
            Self::WhenLogsExternal => "if logs are stored externally",
            Self::WhenAwsIsUsed => {
                "with the AWS implementation, if runner images are built or logs are stored externally"
            }
        })
    }
}

/// A variable and the parser of its text.
pub(crate) struct Key<T> {
    pub(crate) variable: Variable,
    pub(crate) parse: fn(&str) -> Parsed<T>,
}

/// What most entries have in common.
const COMMON: Variable = Variable {
    name: "",
    section: Section::Kubernetes,
    documented: Documented::Guide,
    required: Requirement::Optional,
    default: None,
    local_default: None,
    unset: "",
    secret: false,
    description: "",
    allowed: "",
    example: "",
};

/// In the order of the reference page.
static TABLE: [&Variable; 48] = [
    &IMPLEMENTATION_SOURCE.variable,
    &MAX_CONCURRENT_SNAPSHOT_RUNS.variable,
    &MAX_CONCURRENT_TEMPLATE_RUNS.variable,
    &MAX_QUEUED_SNAPSHOT_RUNS.variable,
    &NAMESPACE.variable,
    &SERVICE_ACCOUNT.variable,
    &BUILD_RUNNER_IMAGE.variable,
    &DOCKER_REGISTRY.variable,
    &RUNNER_IMAGE.variable,
    &PIN_IMAGE_DIGESTS.variable,
    &BUILDER_ENGINE.variable,
    &BUILDER_IMAGE.variable,
    &BUILDER_RESOURCES.variable,
    &BUILDER_TIMEOUT_SECONDS.variable,
    &BUILDER_SERVICE_ACCOUNT.variable,
    &BUILDER_DOCKER_CONFIG_SECRET.variable,
    &BUILDER_CACHE_REPOSITORY.variable,
    &BUILDER_PLATFORM.variable,
    &BUILDER_CA_BUNDLE_CONFIG_MAP.variable,
    &BUILDER_MIRRORS.variable,
    &BUILDER_REBUILD_SALT.variable,
    &BUILDER_MAXIMUM_AGE_SECONDS.variable,
    &PLAIN_HTTP_REGISTRIES.variable,
    &DOCKER_CONFIG_FILE.variable,
    &ENABLE_EXTERNAL_LOGS.variable,
    &LOG_ARCHIVE.variable,
    &POD_RESOURCES.variable,
    &TTL_SECONDS_AFTER_FINISHED.variable,
    &NODE_SELECTOR.variable,
    &TOLERATIONS.variable,
    &JOB_BACKOFF_LIMIT.variable,
    &POD_FAILURE_POLICY.variable,
    &IMAGE_PULL_POLICY.variable,
    &IMAGE_PULL_SECRETS.variable,
    &POD_SECURITY.variable,
    &POD_TEMPLATE_PATCH.variable,
    &TERMINATION_GRACE_PERIOD_SECONDS.variable,
    &SCHEDULE_TIMEOUT_SECONDS.variable,
    &START_TIMEOUT_SECONDS.variable,
    &START_RETRIES.variable,
    &IMAGE_PULL_GRACE_SECONDS.variable,
    &PLAIN_SECRETS.variable,
    &KUBECONFIG_CONTEXT.variable,
    &BUCKET.variable,
    &REGION.variable,
    &S3_ENDPOINT.variable,
    &S3_ENCRYPTION.variable,
    &CREATE_REPOSITORIES.variable,
];

pub(crate) fn find(name: &str) -> Option<&'static Variable> {
    TABLE.into_iter().find(|variable| variable.name == name)
}

/// The place of a name in the table; names that are not in it come last.
pub(crate) fn rank(name: &str) -> usize {
    TABLE.iter().position(|variable| variable.name == name).unwrap_or(usize::MAX)
}

impl Variable {
    /// The part of the name that all variables of its section begin with.
    pub fn prefix(&self) -> &'static str {
        match self.section {
            Section::Server => variable::SERVER_PREFIX,
            Section::Kubernetes => variable::KUBERNETES_PREFIX,
            Section::Aws => variable::AWS_PREFIX,
        }
    }

    /// What holds when it is not set.
    pub(crate) fn default_for(&self, family: Family) -> Option<&'static str> {
        if family.is_cluster() { self.default } else { self.local_default.or(self.default) }
    }

    /// The example as a shell or a `.env` file would have it.
    pub(crate) fn assignment(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
        if self.example.chars().all(is_plain) {
            format!("{}={}", self.name, self.example)
        } else {
            format!("{}='{}'", self.name, self.example)
        }
    }

    /// The value as a list of settings may show it.
    pub(crate) fn redacted(&self, text: &str) -> String {
        if self.secret { "(redacted)".to_owned() } else { text.to_owned() }
    }

    /// The value as a message may show it: on one line, cut if long. It may be a wrong one, with a password in it.
    pub(crate) fn shown(&self, text: &str) -> String {
        const MAX: usize = 120;
        let text = without_credentials(&self.redacted(text));
        let length = text.chars().count();
        let cut: String = text.chars().take(MAX).map(visible).collect();
        if length > MAX { format!("{cut}… ({length} characters)") } else { cut }
    }
}

/// Control characters escaped, so that a value can't take the message apart.
fn visible(c: char) -> String {
    if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
}

/// Takes `user:password@` out of whatever was pasted into an address.
fn without_credentials(text: &str) -> String {
    if text.starts_with(['{', '[']) {
        return text.to_owned();
    }
    let start = text.find("://").map_or(0, |index| index + "://".len());
    // The last @, as a password may have one itself; an image's digest behind an @ is no host.
    let end =
        text[start..].rfind('@').map(|index| start + index).filter(|end| !text[*end..].starts_with("@sha"));
    match end {
        Some(end) if start > 0 || text[..end].contains(':') => {
            format!("{}(redacted){}", &text[..start], &text[end..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_there_once_and_has_its_sections_prefix() {
        for (index, entry) in variables().enumerate() {
            assert_eq!(rank(entry.name), index, "{}", entry.name);
            assert!(entry.name.starts_with(entry.prefix()), "{}", entry.name);
        }
    }

    #[test]
    fn each_entry_says_everything() {
        for entry in variables() {
            let Variable { name, description, allowed, example, default, unset, required, .. } = entry;
            assert!(![description, allowed, example].contains(&&""), "{name}");
            let says_what_holds =
                default.is_some() || !unset.is_empty() || *required != Requirement::Optional;
            assert!(says_what_holds, "{name}");
        }
    }

    #[test]
    fn credentials_in_an_address_are_not_shown() {
        for (text, shown) in [
            ("https://me:p@ss@a.b/c", "https://(redacted)@a.b/c"),
            ("me:pass@a.b", "(redacted)@a.b"),
            ("a.b/c@sha256:00", "a.b/c@sha256:00"),
            ("a.b/c", "a.b/c"),
            ("admin@cluster", "admin@cluster"),
        ] {
            assert_eq!(DOCKER_REGISTRY.variable.shown(text), shown);
        }
    }

    #[test]
    fn a_value_is_shown_on_one_line_and_cut() {
        assert_eq!(NAMESPACE.variable.shown("a\nb\u{1b}[1m"), r"a\nb\u{1b}[1m");
        let shown = NAMESPACE.variable.shown(&"é".repeat(500));
        assert!(shown.ends_with("é… (500 characters)"), "{shown}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(POD_TEMPLATE_PATCH.variable.shown("hunter2"), "(redacted)");
    }
}
