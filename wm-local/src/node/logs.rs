use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::log::LogHandle;

/// The logs that can be read: of each container its last run and the one before.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    by_pod: Mutex<HashMap<String, HashMap<String, Runs>>>,
}

#[derive(Debug)]
struct Runs {
    current: LogHandle,
    previous: Option<LogHandle>,
}

impl Logs {
    /// A container begins another run.
    pub(crate) fn begin(&self, pod_uid: &str, container: &str, log: LogHandle) {
        let mut by_pod = self.by_pod.lock().unwrap_or_else(PoisonError::into_inner);
        let containers = by_pod.entry(pod_uid.to_owned()).or_default();
        let previous = containers.remove(container).map(|runs| runs.current);
        containers.insert(container.to_owned(), Runs { current: log, previous });
    }

    pub(crate) fn find(&self, pod_uid: &str, container: &str, is_previous: bool) -> Option<LogHandle> {
        let by_pod = self.by_pod.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = by_pod.get(pod_uid)?.get(container)?;
        if is_previous { runs.previous.clone() } else { Some(runs.current.clone()) }
    }

    /// A container has ended another run: the log of the one before goes.
    pub(crate) fn forget_previous(&self, pod_uid: &str, container: &str) {
        let mut by_pod = self.by_pod.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runs) = by_pod.get_mut(pod_uid).and_then(|containers| containers.get_mut(container)) {
            runs.previous = None;
        }
    }

    pub(crate) fn forget(&self, pod_uid: &str) {
        self.by_pod.lock().unwrap_or_else(PoisonError::into_inner).remove(pod_uid);
    }
}
