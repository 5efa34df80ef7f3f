//! The order in which the containers of a pod run: init containers one after the other, of which sidecars stay, then all
//! ordinary ones side by side, and when those have ended the sidecars are stopped, the last one first.

use std::{collections::HashSet, time::Duration};

use futures::{
    future::{BoxFuture, FutureExt as _},
    stream::{FuturesUnordered, StreamExt as _},
};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::{
    container::{Container, Report},
    halt::{Halt, Urgency},
    pod::{PodWorker, grace_period},
    status::{ContainerRecord, PodRecord, State},
};
use crate::clock::Moment;

/// What a sidecar has at least to end by itself, even if the others have used up the grace of their pod.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// Containers are numbered through, init containers first.
pub(super) struct Sequence<'a> {
    worker: &'a PodWorker,
    pod: &'a Value,
    record: &'a mut PodRecord,
    running: FuturesUnordered<BoxFuture<'a, usize>>,
    reports: mpsc::UnboundedSender<(usize, Report)>,
    news: mpsc::UnboundedReceiver<(usize, Report)>,
    halt: watch::Receiver<Urgency>,
    /// When the pod has to have ended, once it is to stop.
    stop_at: Option<Moment>,
    started: HashSet<usize>,
    ended: HashSet<usize>,
    /// The sidecars that were started, in order.
    sidecars: Vec<(usize, Halt)>,
    is_stopping_sidecars: bool,
}

impl<'a> Sequence<'a> {
    pub(super) fn new(worker: &'a PodWorker, pod: &'a Value, record: &'a mut PodRecord) -> Self {
        let (reports, news) = mpsc::unbounded_channel();
        Self {
            worker,
            pod,
            record,
            running: FuturesUnordered::new(),
            reports,
            news,
            halt: worker.halt.subscribe(),
            stop_at: None,
            started: HashSet::new(),
            ended: HashSet::new(),
            sidecars: Vec::new(),
            is_stopping_sidecars: false,
        }
    }

    /// Runs all containers until each has ended for good.
    pub(super) async fn run(mut self) {
        if self.initialize().await {
            let first = self.record.init.len();
            let all = first..first + self.record.containers.len();
            for index in all.clone() {
                self.start(index, self.worker.halt.clone());
            }
            self.until(|sequence| all.clone().all(|index| sequence.ended.contains(&index))).await;
        }
        self.stop_sidecars().await;
    }

    /// Whether the ordinary containers may be started.
    async fn initialize(&mut self) -> bool {
        for index in 0..self.record.init.len() {
            if self.record.init[index].is_sidecar {
                let halt = Halt::default();
                self.sidecars.push((index, halt.clone()));
                self.start(index, halt);
                self.until(|sequence| {
                    let is_over = sequence.ended.contains(&index) || sequence.worker.halt.is_asked();
                    is_over || sequence.started.contains(&index)
                })
                .await;
            } else {
                self.start(index, self.worker.halt.clone());
                self.until(|sequence| sequence.ended.contains(&index)).await;
                if !matches!(&self.record.init[index].state, State::Terminated(end) if end.exit_code == 0) {
                    return false;
                }
            }
            if self.worker.halt.is_asked() {
                return false;
            }
            if index + 1 == self.record.init.len() {
                self.worker.write(self.record);
            }
        }
        true
    }

    async fn stop_sidecars(&mut self) {
        self.is_stopping_sidecars = true;
        for (index, halt) in self.sidecars.clone().into_iter().rev() {
            if self.ended.contains(&index) {
                continue;
            }
            self.worker.write(self.record);
            let remaining = self.stop_at.map_or_else(
                || grace_period(self.pod),
                |at| at.saturating_since(self.now()).max(LEAST_GRACE),
            );
            halt.stop(Urgency::Within(remaining));
            self.until(|sequence| sequence.ended.contains(&index)).await;
        }
    }

    fn start(&mut self, index: usize, halt: Halt) {
        let init = self.record.init.len();
        let (list, place) =
            if index < init { ("initContainers", index) } else { ("containers", index - init) };
        let container = Container {
            shared: &self.worker.shared,
            pod: self.pod,
            spec: &self.pod["spec"][list][place],
            is_init: index < init,
            index,
            halt,
            reports: self.reports.clone(),
        };
        self.running.push(container.run().map(move |()| index).boxed());
    }

    /// Takes what happens, and writes it, until this holds. The last state is left to be written with what follows from
    /// it, in one write.
    async fn until(&mut self, is_done: impl Fn(&Self) -> bool + Send) {
        let mut faults = self.worker.shared.faults.changes();
        loop {
            let mut is_changed = false;
            while let Ok((index, report)) = self.news.try_recv() {
                self.take(index, report);
                is_changed = true;
            }
            if is_done(self) {
                return;
            }
            if is_changed {
                self.worker.write(self.record);
            }
            tokio::select! {
                biased;
                // What could not be told is told when the node is heard again.
                () = self.worker.shared.faults.changed(&mut faults) => {
                    self.worker.write(self.record);
                }
                Some((index, report)) = self.news.recv() => {
                    self.take(index, report);
                    while let Ok((index, report)) = self.news.try_recv() {
                        self.take(index, report);
                    }
                    if is_done(self) {
                        return;
                    }
                    self.worker.write(self.record);
                }
                Some(index) = self.running.next(), if !self.running.is_empty() => {
                    self.ended.insert(index);
                }
                Ok(()) = self.halt.changed() => self.heed(),
            }
        }
    }

    /// Sidecars are stopped when the others have ended, unless it is urgent.
    fn heed(&mut self) {
        let urgency = *self.halt.borrow_and_update();
        match urgency {
            Urgency::None => {}
            Urgency::Within(grace) => {
                let at = self.now() + grace;
                self.stop_at = Some(self.stop_at.map_or(at, |before| before.min(at)));
                if self.is_stopping_sidecars {
                    self.stop_all(urgency);
                }
            }
            Urgency::Now => self.stop_all(urgency),
        }
    }

    fn now(&self) -> Moment {
        self.worker.shared.clock.moment()
    }

    fn stop_all(&self, urgency: Urgency) {
        for (_, halt) in &self.sidecars {
            halt.stop(urgency);
        }
    }

    fn take(&mut self, index: usize, report: Report) {
        let init = self.record.init.len();
        let container: &mut ContainerRecord = if index < init {
            &mut self.record.init[index]
        } else {
            &mut self.record.containers[index - init]
        };
        match report {
            Report::Created { image_id, container_id } => {
                (container.image_id, container.container_id) = (image_id, container_id);
            }
            Report::Restarts(count) => container.restarts = count,
            Report::Is(state) => {
                if matches!(state, State::Running { .. }) {
                    self.started.insert(index);
                }
                if let State::Terminated(termination) = std::mem::replace(&mut container.state, state) {
                    container.last = Some(termination);
                }
            }
        }
    }
}
