use std::collections::{BTreeMap, HashMap};

use crate::{
    clock::{Clock, Moment},
    store::Key,
};

/// Keys to work on, each at most once, at the earliest time that was asked for.
#[derive(Debug)]
pub(crate) struct Queue {
    clock: Clock,
    /// The number keeps keys of one time in the order in which they were added.
    by_time: BTreeMap<(Moment, u64), Key>,
    times: HashMap<Key, (Moment, u64)>,
    added: u64,
}

impl Queue {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, by_time: BTreeMap::new(), times: HashMap::new(), added: 0 }
    }

    pub(crate) fn add(&mut self, key: Key, at: Moment) {
        if let Some(place) = self.times.get(&key) {
            if place.0 <= at {
                return;
            }
            self.by_time.remove(place);
        }
        self.added += 1;
        self.times.insert(key.clone(), (at, self.added));
        self.by_time.insert((at, self.added), key);
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        if let Some(place) = self.times.remove(key) {
            self.by_time.remove(&place);
        }
    }

    /// Waits for the first key whose time has come. Never returns while there is none. Cancel safe.
    pub(crate) async fn next(&mut self) -> Key {
        let Some(at) = self.by_time.keys().next().map(|place| place.0) else {
            return std::future::pending().await;
        };
        self.clock.sleep_until(at).await;
        match self.by_time.pop_first() {
            Some((_, key)) => {
                self.times.remove(&key);
                key
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::Kind;

    fn key(name: &str) -> Key {
        Key::new(Kind::Job, "default", name)
    }

    #[tokio::test(start_paused = true)]
    async fn keys_come_in_the_order_of_their_times_and_once() {
        let clock = Clock::following_tokio();
        let mut queue = Queue::new(clock.clone());
        let now = clock.moment();
        let later = |seconds| now + Duration::from_secs(seconds);
        queue.add(key("b"), later(20));
        queue.add(key("a"), later(30));
        queue.add(key("a"), later(10));
        queue.add(key("a"), later(40));
        queue.add(key("c"), later(5));
        queue.remove(&key("c"));
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(clock.moment(), later(10));
        assert_eq!(queue.next().await, key("b"));
        assert!(tokio::time::timeout(Duration::from_secs(100), queue.next()).await.is_err());
    }
}
