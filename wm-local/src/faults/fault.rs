//! One fault: an effect, to what it is done, and how often.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{effect::Effect, selector::Selector, text};

/// One fault, as text `latency=200ms,rate=0.1,verbs=create,resources=jobs`; serde reads and writes this text.
///
/// ```
/// use wm_local::{Effect, Fault};
///
/// let fault: Fault = "too-many-requests=1,verbs=create|delete,resources=jobs,count=3".parse()?;
/// assert_eq!(fault.count, Some(3));
/// assert_eq!(fault.to_string(), "too-many-requests=1,verbs=create|delete,resources=jobs,count=3");
/// assert_eq!(Fault::new(Effect::WatchEnd).to_string(), "watch-end");
/// # Ok::<(), wm_local::FaultError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct Fault {
    /// What it does.
    pub effect: Effect,
    /// To what it is done.
    pub selector: Selector,
    /// The probability with which it is done to what matches, from 0 to 1.
    pub rate: f64,
    /// How many times it is done at most.
    pub count: Option<u64>,
    /// How many that match are spared first.
    pub skip: u64,
    /// How long after its injection it begins, by the cluster's clock.
    pub after: Duration,
    /// How long it lasts.
    pub lasts: Option<Duration>,
    /// How many events of a watch pass before it is done to that watch.
    pub events: u64,
    /// How many pulls of each container fail before the image can be had.
    pub tries: Option<u64>,
    /// Whether an evicted pod is told to be the target of a disruption.
    pub disruption: bool,
    /// Other words for a refusal or an eviction.
    pub message: Option<String>,
}

/// A text that is no fault; it says what would be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultError(pub(super) String);

impl Fault {
    /// Creates a fault that is done to everything, always.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            selector: Selector::default(),
            rate: 1.0,
            count: None,
            skip: 0,
            after: Duration::ZERO,
            lasts: None,
            events: 0,
            tries: None,
            disruption: false,
            message: None,
        }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        text::parse(text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&text::format(self))
    }
}

impl TryFrom<String> for Fault {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}
