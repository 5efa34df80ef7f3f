use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Where the time of day comes from.
///
/// The system's clock, or, for tests that pause tokio's time, one that runs with tokio's, so that a
/// back-off of minutes passes in no time and every stamp agrees with it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    origin: Option<(Timestamp, Instant)>,
}

impl Clock {
    #[cfg(test)]
    pub(crate) fn following_tokio() -> Self {
        Self { origin: Some((Timestamp::now(), Instant::now())) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self.origin {
            None => Timestamp::now(),
            Some((timestamp, instant)) => timestamp.checked_add(instant.elapsed()).unwrap_or(timestamp),
        }
    }

    /// The time as Kubernetes writes most times: whole seconds.
    pub(crate) fn seconds(&self) -> String {
        seconds(self.now())
    }
}

/// `2026-11-23T22:10:04Z`
pub(crate) fn seconds(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How long it is from now until `timestamp`; zero if that has passed.
pub(crate) fn until(now: Timestamp, timestamp: Timestamp) -> Duration {
    Duration::try_from(timestamp.duration_since(now)).unwrap_or_default()
}
