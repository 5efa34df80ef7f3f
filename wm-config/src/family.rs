use serde::Serialize;

/// What an implementation needs: which settings are required of it, and which have a meaning.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Jobs on a Kubernetes cluster.
    Kubernetes,
    /// Jobs on a Kubernetes cluster, with AWS' registry and log storage.
    Aws,
    /// The cluster that comes with the manager: nothing has to be set.
    Local,
    /// Somebody else's implementation: nothing is required, and what is set is still checked.
    Other,
}

impl Family {
    /// Whether namespace and service account have to be named.
    pub(crate) fn is_cluster(self) -> bool {
        matches!(self, Self::Kubernetes | Self::Aws)
    }
}

/// An implementation source that the composing crate knows.
#[derive(Clone, Debug)]
pub(crate) struct KnownSource {
    pub(crate) name: String,
    pub(crate) family: Family,
}
