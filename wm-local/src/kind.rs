//! The kinds of objects that the embedded API serves, and the key of an object.

use std::fmt;

/// A kind of object. What is not here is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Namespace,
    Node,
    Job,
    Pod,
    Event,
    Secret,
    ConfigMap,
    ServiceAccount,
    ResourceQuota,
    LimitRange,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Namespace,
        Self::Node,
        Self::Job,
        Self::Pod,
        Self::Event,
        Self::Secret,
        Self::ConfigMap,
        Self::ServiceAccount,
        Self::ResourceQuota,
        Self::LimitRange,
    ];

    /// The name in paths, such as `jobs`.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Node => "nodes",
            Self::Job => "jobs",
            Self::Pod => "pods",
            Self::Event => "events",
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
            Self::ServiceAccount => "serviceaccounts",
            Self::ResourceQuota => "resourcequotas",
            Self::LimitRange => "limitranges",
        }
    }

    /// The name in objects, such as `Job`.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::Job => "Job",
            Self::Pod => "Pod",
            Self::Event => "Event",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::ServiceAccount => "ServiceAccount",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
        }
    }

    /// The API group, empty for the core group.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Job => "batch",
            _ => "",
        }
    }

    /// The `apiVersion` of its objects.
    pub(crate) fn group_version(self) -> &'static str {
        match self {
            Self::Job => "batch/v1",
            _ => "v1",
        }
    }

    pub(crate) fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespace | Self::Node)
    }

    /// Whether `metadata.generation` counts the changes of its spec.
    pub(crate) fn has_generation(self) -> bool {
        matches!(self, Self::Job | Self::Pod)
    }

    /// The name in messages, such as `jobs.batch` or `pods`.
    pub(crate) fn qualified_resource(self) -> String {
        qualified(self.resource(), self.group())
    }

    /// The name in other messages, such as `Job.batch` or `Pod`.
    pub(crate) fn qualified_kind(self) -> String {
        qualified(self.kind(), self.group())
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// Names one object. The namespace of a cluster-wide object is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(formatter, "{}/{}", self.kind.resource(), self.name)
        } else {
            write!(formatter, "{}/{}/{}", self.kind.resource(), self.namespace, self.name)
        }
    }
}
