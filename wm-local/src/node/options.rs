//! What the node is like.

use std::collections::BTreeMap;

/// A taint of the node: pods that do not tolerate it are not scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, which may be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// What the node is like: the scheduler gives it no pod that does not fit.
///
/// By default it is larger than most machines, so that many small runs fit however small this one is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeOptions {
    /// What its pods may request in all, as quantities by resource, such as `cpu`, `memory`, `nvidia.com/gpu`, `pods`.
    pub allocatable: BTreeMap<String, String>,
    /// Labels besides those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        let allocatable = [("cpu", "256"), ("ephemeral-storage", "1Ti"), ("memory", "1Ti"), ("pods", "1000")];
        Self {
            allocatable: allocatable.map(|(name, size)| (name.to_owned(), size.to_owned())).into(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
        }
    }
}
