//! Tells those who follow a run that it has changed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// Counts the changes of one run. Thousands of runs have one each, so it is no watch channel, which takes six times
/// the room.
#[derive(Debug, Default)]
pub(super) struct Changed {
    count: AtomicU64,
    told: Notify,
}

impl Changed {
    pub(super) fn tell(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.told.notify_waiters();
    }

    pub(super) fn subscribe(self: &Arc<Self>) -> Changes {
        Changes { of: Arc::clone(self), seen: self.count() }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }
}

/// The changes of a run that somebody has not seen yet.
#[derive(Debug)]
pub(crate) struct Changes {
    of: Arc<Changed>,
    seen: u64,
}

impl Changes {
    /// Takes all changes up to now as seen.
    pub(crate) fn skip(&mut self) {
        self.seen = self.of.count();
    }

    /// Waits for a change that was not seen yet, and takes it as seen. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            // It hears of whatever is told from here on, so nothing is missed between the two.
            let told = self.of.told.notified();
            let count = self.of.count();
            if count != self.seen {
                self.seen = count;
                return;
            }
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_told_between_two_waits_is_not_missed() {
        let changed = Arc::new(Changed::default());
        let mut changes = changed.subscribe();
        assert!(changes.changed().now_or_never().is_none());
        changed.tell();
        changed.tell();
        changes.changed().await;
        assert!(changes.changed().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_is_skipped_is_not_told_again() {
        let changed = Arc::new(Changed::default());
        let mut changes = changed.subscribe();
        changed.tell();
        changes.skip();
        assert!(changes.changed().now_or_never().is_none());
    }

    #[tokio::test]
    async fn all_who_wait_are_told() {
        let changed = Arc::new(Changed::default());
        let (mut one, mut other) = (changed.subscribe(), changed.subscribe());
        let waiting = async { tokio::join!(one.changed(), other.changed()) };
        tokio::join!(waiting, async { changed.tell() });
    }
}
