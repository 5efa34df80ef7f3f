use std::{collections::BTreeMap, fmt, time::Duration};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wm_core::{EnvironmentValue, ImageReference};

/// What builds one image: a pod, and what the work is called.
///
/// The plan is the same on every server that is asked for the same image with the same settings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuildPlan {
    /// The name of the work. It is a legal [`WorkloadId`](wm_core::WorkloadId).
    pub id: BuildId,
    /// The whole hash that `id` is the beginning of: a Job of the same name with another one is not ours.
    pub fingerprint: String,
    /// What is pushed, with the registry and a tag.
    pub image: ImageReference,
    /// A `PodTemplateSpec`: labels and annotations in its metadata, and a spec with one container,
    /// [`CONTAINER`](Self::CONTAINER), its volumes, its security and `restartPolicy: Never`.
    ///
    /// It has a `nodeSelector` only for the platform and a `serviceAccountName` only where the builder's is set apart;
    /// whoever makes the Job adds what all pods get: their account, tolerations, selectors, pull secrets.
    pub template: Value,
    /// Variables for the container whose values must not be in the Job: they belong to a Secret that the Job owns. They
    /// are no part of the fingerprint. Mostly empty.
    pub secrets: BTreeMap<String, EnvironmentValue>,
    /// How long it may run.
    pub timeout: Duration,
}

impl BuildPlan {
    /// The name of the container.
    pub const CONTAINER: &'static str = "builder";
}

/// The name of the work of building one image in one way: 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildId(String);

impl BuildId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hashes the fields that make a work the work that it is, each with its length before it, so that `("ab", "c")` is not
/// `("a", "bc")`.
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(Sha256::new_with_prefix(b"wm-build/v1\0"))
    }

    pub(crate) fn field(mut self, field: &str) -> Self {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field.as_bytes());
        self
    }

    /// The name and the whole.
    pub(crate) fn finish(self) -> (BuildId, String) {
        let whole = hex(&self.0.finalize());
        (BuildId(whole[..32].to_owned()), whole)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wm_core::WorkloadId;

    use super::*;

    fn hash(fields: &[&str]) -> String {
        fields.iter().fold(Fingerprint::new(), |hash, field| hash.field(field)).finish().1
    }

    #[test]
    fn the_bounds_of_fields_count() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a"]), hash(&["a", ""]));
    }

    proptest! {
        #[test]
        fn a_build_id_can_name_a_workload(text in ".{0,40}") {
            let (id, whole) = Fingerprint::new().field(&text).finish();
            prop_assert_eq!(id.as_str().len(), 32);
            prop_assert_eq!(whole.len(), 64);
            prop_assert!(whole.starts_with(id.as_str()));
            prop_assert!(WorkloadId::new(id.as_str()).is_ok());
        }
    }
}
