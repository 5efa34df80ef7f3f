use std::time::Duration;

use jiff::Timestamp;

use super::observed::{Observed, finish_time};
use crate::clock::until;

/// The longest a Job waits for its next pod.
const LONGEST: Duration = Duration::from_mins(10);

/// How long a Job waits after its pods have failed: doubled with each failure since the last success.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    failures: u32,
    last_failure: Timestamp,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        Self { first, failures: 0, last_failure: Timestamp::UNIX_EPOCH }
    }

    /// Takes in the pods that are about to be counted; those that a failure policy ignores delay as well.
    pub(super) fn observe(&mut self, observed: &Observed<'_>, now: Timestamp) {
        if !observed.succeeded.is_empty() {
            self.failures = 0;
        }
        for pod in &observed.failed {
            self.failures = self.failures.saturating_add(1);
            self.last_failure = self.last_failure.max(finish_time(pod).unwrap_or(now));
        }
    }

    pub(super) fn remaining(&self, now: Timestamp) -> Duration {
        let Some(doublings) = self.failures.checked_sub(1) else { return Duration::ZERO };
        let delay = self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
        until(now, self.last_failure.checked_add(delay).unwrap_or(self.last_failure))
    }
}
