//! Pauses between tries.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use wm_core::Error;

/// How long to wait before the next try: longer each time, never in step with others, without an end.
#[derive(Debug)]
pub(super) struct Pauses {
    backoff: ExponentialBackoff,
}

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(20);

/// A server that asks for more is asked again all the same.
const LONGEST_ASKED_FOR: Duration = Duration::from_mins(5);

impl Pauses {
    pub(super) fn new() -> Self {
        let builder = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST);
        Self { backoff: builder.without_max_times().with_jitter().build() }
    }

    /// Waits after an attempt that failed, at least as long as the error asks for.
    pub(super) async fn after(&mut self, error: &Error) {
        let asked = error.retry_after().unwrap_or_default().min(LONGEST_ASKED_FOR);
        let pause = self.backoff.next().unwrap_or(LONGEST);
        tokio::time::sleep(pause.max(asked)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_never_end() {
        let pauses: Vec<Duration> = Pauses::new().backoff.take(100).collect();
        assert_eq!(pauses.len(), 100);
        assert!(pauses[0] < LONGEST && pauses[99] >= LONGEST);
        // The jitter adds as much again at most.
        assert!(pauses.iter().all(|pause| (FIRST..=LONGEST * 2).contains(pause)));
    }
}
