use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::timestamp;

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
        timestamp::seconds(self.now())
    }
}

/// How long it is from `now` until `then`; zero if that has passed.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}
