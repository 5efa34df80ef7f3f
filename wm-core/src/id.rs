use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// The longest workload id, in characters: it fits a Kubernetes name with prefix and attempt, and a UUID fits it.
pub const MAX_WORKLOAD_ID: usize = 45;

/// The id that the caller gives a workload, usually a UUID.
///
/// Invariant: 1 to 45 of `a-z`, `0-9` and `-`, with a letter or digit at both ends. Upper case is folded.
///
/// A clone shares the text: thousands of runs are known in many places at once.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkloadId(Arc<str>);

impl WorkloadId {
    /// Checks an id.
    ///
    /// # Errors
    /// `InvalidRequest` for anything that no name on a cluster can hold.
    pub fn new(id: impl Into<String>) -> Result<Self, Error> {
        let id = id.into().to_ascii_lowercase();
        let refuse = |what: &str| {
            Err(Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "a workload id {what}; use 1 to {MAX_WORKLOAD_ID} of a-z, 0-9 and '-', for example a UUID"
                ),
            )
            .with_context("workload", id.chars().take(80).collect::<String>()))
        };
        if id.is_empty() {
            return refuse("must not be empty");
        }
        if id.len() > MAX_WORKLOAD_ID {
            return refuse("is too long");
        }
        if !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return refuse("has a character that a name on a cluster can't hold");
        }
        if id.starts_with('-') || id.ends_with('-') {
            return refuse("must not begin or end with '-'");
        }
        Ok(Self(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WorkloadId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl TryFrom<String> for WorkloadId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl From<WorkloadId> for String {
    fn from(id: WorkloadId) -> Self {
        (*id.0).to_owned()
    }
}

/// Which kind of entity of the server a workload id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadKind {
    /// A snapshot of a pipeline.
    Snapshot,
    /// A run of a pipeline.
    Run,
    /// None of the server's: the build of an image, named by what it is built from.
    Build,
}

impl WorkloadKind {
    /// The word that the server uses: `snapshot` or `run`; and `build`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Run => "run",
            Self::Build => "build",
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WorkloadKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "snapshot" => Ok(Self::Snapshot),
            "run" => Ok(Self::Run),
            "build" => Ok(Self::Build),
            _ => Err(Error::new(
                ErrorKind::InvalidRequest,
                "a workload's kind is `snapshot`, `run` or `build`",
            )
            .with_context("kind", text)),
        }
    }
}

/// The number of a try at running a workload, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(NonZeroU32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// Makes an attempt of a number; `None` for 0.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The attempt after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The identity of a run: the same `RunId` submitted twice is one run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId {
    /// The workload that it runs.
    pub workload: WorkloadId,
    /// What the workload's id names.
    pub kind: WorkloadKind,
    /// Which try it is.
    pub attempt: Attempt,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workload, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_upper_case_uuid_is_the_same_workload() {
        let upper = WorkloadId::new("65AFB85A-6866-4551-9140-F4F1F74141FF").unwrap();
        assert_eq!(upper.as_str(), "65afb85a-6866-4551-9140-f4f1f74141ff");
    }

    #[test]
    fn what_no_name_can_hold_is_refused_with_a_rule() {
        for id in ["", "-a", "a-", "a_b", "a.b", "ä", "a b", &"a".repeat(46)] {
            let error = WorkloadId::new(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{id}");
            assert!(error.message().contains("1 to 45"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_accepted_id_keeps_the_invariant(text in ".{0,60}") {
            if let Ok(id) = WorkloadId::new(text) {
                let id = id.as_str();
                prop_assert!(!id.is_empty() && id.len() <= MAX_WORKLOAD_ID);
                prop_assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                prop_assert!(!id.starts_with('-') && !id.ends_with('-'));
            }
        }
    }
}
