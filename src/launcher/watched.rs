//! A value that changes, and those who wait for that.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, futures::Notified};

/// A value that changes. Each of thousands of runs has one, so it is no watch channel, which takes ten times the room.
#[derive(Debug, Default)]
pub(super) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Watched<T> {
    /// The value now, locked: not to be held while it is asked for again.
    pub(super) fn borrow(&self) -> MutexGuard<'_, T> {
        // Nothing panics while it holds the lock, so what a poisoned one holds is whole.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn modify(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.borrow());
        self.changed.notify_waiters();
    }

    /// Ends when the value changes after this call: who calls before looking at the value misses nothing.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Waits until a fact is true.
    pub(super) async fn until(&self, mut fact: impl FnMut(&T) -> bool + Send) {
        loop {
            let changed = self.changed();
            if fact(&self.borrow()) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_change_before_the_wait_is_not_missed() {
        let watched = Watched::<u32>::default();
        let changed = watched.changed();
        watched.modify(|value| *value += 1);
        changed.await;
        assert!(watched.changed().now_or_never().is_none());
    }

    #[tokio::test]
    async fn all_who_wait_for_a_fact_hear_of_it() {
        let watched = Watched::<u32>::default();
        let waiting =
            async { tokio::join!(watched.until(|value| *value == 2), watched.until(|value| *value > 0)) };
        tokio::join!(waiting, async {
            watched.modify(|value| *value += 1);
            watched.modify(|value| *value += 1);
        });
    }
}
