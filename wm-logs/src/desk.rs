//! What this server is writing, by the ids under which it does.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use wm_core::{RunId, WorkloadId};

use crate::{layout::StreamId, recorder::Recorder};

/// Nothing more is expected of who has told nothing for this long.
const LONG: Duration = Duration::from_mins(10);

/// How often something has come under an id on this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) lines: u64,
    /// Runs, seals, aliases, inclusions.
    pub(crate) facts: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) recorders: BTreeMap<StreamId, Arc<Recorder>>,
    /// The stream that messages go to.
    pub(crate) messages: Option<StreamId>,
    /// The runs that are known to be on record.
    pub(crate) begun: BTreeSet<RunId>,
    news: watch::Sender<News>,
}

impl Desk {
    pub(crate) fn tell_lines(&self) {
        self.news.send_modify(|news| news.lines += 1);
    }

    fn is_idle(&self) -> bool {
        self.recorders.is_empty() && self.begun.is_empty() && self.news.receiver_count() == 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct Desks(Mutex<HashMap<WorkloadId, Desk>>);

impl Desks {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<WorkloadId, Desk>> {
        // Nothing that panics is called while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn recorder(&self, id: &StreamId) -> Option<Arc<Recorder>> {
        self.lock().get(id.workload())?.recorders.get(id).cloned()
    }

    pub(crate) fn tell_lines(&self, id: &WorkloadId) {
        if let Some(desk) = self.lock().get(id) {
            desk.tell_lines();
        }
    }

    pub(crate) fn tell_facts(&self, id: &WorkloadId) {
        if let Some(desk) = self.lock().get(id) {
            desk.news.send_modify(|news| news.facts += 1);
        }
    }

    pub(crate) fn subscribe(&self, id: &WorkloadId) -> watch::Receiver<News> {
        self.lock().entry(id.clone()).or_default().news.subscribe()
    }

    /// The recorders of these ids.
    pub(crate) fn recorders<'a>(&self, ids: impl IntoIterator<Item = &'a WorkloadId>) -> Vec<Arc<Recorder>> {
        let desks = self.lock();
        let desks = ids.into_iter().filter_map(|id| desks.get(id));
        desks.flat_map(|desk| desk.recorders.values()).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Recorder>> {
        self.lock().values().flat_map(|desk| desk.recorders.values()).cloned().collect()
    }

    /// Forgets streams of messages into which nothing has come for long, of workloads without a run here: a further
    /// message begins another stream.
    pub(crate) fn tidy(&self) {
        let mut desks = self.lock();
        for desk in desks.values_mut().filter(|desk| desk.begun.is_empty()) {
            desk.recorders.retain(|id, recorder| match id {
                StreamId::Messages { .. } => !recorder.is_idle_for(LONG),
                StreamId::Output { .. } => true,
            });
            desk.messages = desk.messages.take().filter(|id| desk.recorders.contains_key(id));
        }
        desks.retain(|_, desk| !desk.is_idle());
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Forgets a run that has ended, and the streams of its workload into which nothing more is expected.
    pub(crate) fn forget(&self, run: &RunId) {
        let mut desks = self.lock();
        if let Some(desk) = desks.get_mut(&run.workload) {
            desk.begun.remove(run);
            desk.recorders.retain(|id, recorder| match id {
                StreamId::Output { output, .. } => output.run() != run,
                StreamId::Messages { .. } => !recorder.waiting().records.is_empty(),
            });
            desk.messages = desk.messages.take().filter(|id| desk.recorders.contains_key(id));
        }
        desks.retain(|_, desk| !desk.is_idle());
    }
}
