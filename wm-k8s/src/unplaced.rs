//! Messages that were written before their workload had a Job to keep them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use wm_core::WorkloadId;

use crate::messages::Message;

/// More workloads without a Job are forgotten, oldest first: many more than any server has in its line.
const MOST_WORKLOADS: usize = 20_000;

/// The messages of workloads that have no Job yet.
#[derive(Debug, Default)]
pub(crate) struct Unplaced {
    kept: Mutex<Kept>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: HashMap<WorkloadId, (u64, Vec<Message>)>,
    /// The workloads by their age.
    order: BTreeMap<u64, WorkloadId>,
    next: u64,
}

impl Unplaced {
    pub(crate) fn keep(&self, id: &WorkloadId, new: Vec<Message>) {
        self.lock().add(id, new);
        self.changed.send_replace(());
    }

    /// Hears of each new message, from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().order.is_empty()
    }

    pub(crate) fn of(&self, id: &WorkloadId) -> Vec<Message> {
        self.lock().messages.get(id).map(|(_, messages)| messages.clone()).unwrap_or_default()
    }

    /// Forgets the first messages of a workload, which a Job holds now.
    pub(crate) fn forget(&self, id: &WorkloadId, count: usize) {
        let mut kept = self.lock();
        let Some((age, messages)) = kept.messages.get_mut(id) else { return };
        messages.drain(..count.min(messages.len()));
        if messages.is_empty() {
            let age = *age;
            kept.messages.remove(id);
            kept.order.remove(&age);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it holds the lock, so what a poisoned one holds is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add(&mut self, id: &WorkloadId, new: Vec<Message>) {
        if let Some((_, messages)) = self.messages.get_mut(id) {
            messages.extend(new);
            return;
        }
        if self.order.len() >= MOST_WORKLOADS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.messages.remove(&oldest);
            tracing::warn!(workload = %oldest, "The messages of a workload that never got a run are dropped");
        }
        let age = self.next;
        self.next += 1;
        self.order.insert(age, id.clone());
        self.messages.insert(id.clone(), (age, new));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> WorkloadId {
        WorkloadId::new(format!("w{number}")).unwrap()
    }

    #[test]
    fn what_came_meanwhile_is_kept() {
        let unplaced = Unplaced::default();
        unplaced.keep(&id(1), Message::lines("one"));
        let sent = unplaced.of(&id(1)).len();
        unplaced.keep(&id(1), Message::lines("two"));
        unplaced.forget(&id(1), sent);
        let left: Vec<_> = unplaced.of(&id(1)).into_iter().map(|message| message.text).collect();
        assert_eq!(left, ["two"]);
        unplaced.forget(&id(1), 1);
        assert!(unplaced.lock().order.is_empty());
    }

    #[test]
    fn the_oldest_workload_goes_when_there_are_too_many() {
        let unplaced = Unplaced::default();
        for number in 0..=MOST_WORKLOADS {
            unplaced.keep(&id(number), Message::lines("queued"));
        }
        assert!(unplaced.of(&id(0)).is_empty());
        assert_eq!(unplaced.of(&id(1)).len(), 1);
        assert_eq!(unplaced.lock().messages.len(), MOST_WORKLOADS);
    }
}
