//! Notes what happens to the runs of one side, and what it costs.

use std::{collections::HashMap, io::stdin, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc::Receiver, task::spawn_blocking, time::sleep};

use super::{
    counter::{Counter, Counts, since},
    process::{self, Resident},
};
use crate::Failure;

/// How long after the last submission the side counts as waiting.
const SETTLE: Duration = Duration::from_secs(1);

/// Something that happened to a run; times in microseconds since 1970.
#[derive(Debug)]
pub(crate) enum Event {
    Accepted { job: String, called: u64, accepted: u64 },
    Ended { job: String, at: u64 },
    Failed(String),
}

/// What one side measured of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Requests before the first run.
    pub(crate) setup: Counts,
    /// Requests from the first run on.
    pub(crate) requests: Counts,
    /// CPU time from the first run on, in microseconds.
    pub(crate) cpu: u64,
    /// Resident memory before the first run, in KiB.
    pub(crate) resident_before: u64,
    /// The most resident memory, in KiB.
    pub(crate) resident_peak: u64,
    /// The time when all runs were accepted and none had ended.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) runs: HashMap<String, Times>,
}

/// What it cost to wait.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) seconds: f64,
    pub(crate) requests: Counts,
    /// In microseconds.
    pub(crate) cpu: u64,
    /// In KiB.
    pub(crate) resident: u64,
}

/// When a run was asked for, accepted by the cluster, known to have ended: microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) called: u64,
    pub(crate) accepted: u64,
    pub(crate) ended: u64,
}

struct Snapshot {
    at: u64,
    cpu: Duration,
    requests: Counts,
    resident: Resident,
}

/// Notes the events of all runs.
pub(crate) struct Recorder {
    counter: Counter,
    events: Receiver<Event>,
    begin: Snapshot,
    waiting: Option<Waiting>,
    runs: HashMap<String, Times>,
}

impl Recorder {
    /// Begins to count: the side is ready for the first run.
    pub(crate) fn begin(counter: Counter, events: Receiver<Event>) -> Result<Self, Failure> {
        let begin = Snapshot::take(&counter)?;
        Ok(Self { counter, events, begin, waiting: None, runs: HashMap::new() })
    }

    /// Notes events until so many runs more have been accepted and have ended.
    pub(crate) async fn wave(&mut self, size: usize) -> Result<(), Failure> {
        let (mut accepted, mut ended) = (0, 0);
        let mut quiet: Option<Snapshot> = None;
        while accepted < size || ended < size {
            let may_settle = accepted == size && ended == 0 && quiet.is_none();
            tokio::select! {
                event = self.events.recv() => match event.ok_or("the runs are no longer followed")? {
                    Event::Accepted { job, called, accepted: at } => {
                        accepted += 1;
                        let times = self.runs.entry(job).or_default();
                        (times.called, times.accepted) = (called, at);
                    }
                    Event::Ended { job, at } => {
                        ended += 1;
                        self.runs.entry(job).or_default().ended = at;
                        if let Some(quiet) = quiet.take() {
                            self.waiting = Some(quiet.until(&Snapshot::take(&self.counter)?));
                        }
                    }
                    Event::Failed(why) => return Err(why.into()),
                },
                () = sleep(SETTLE), if may_settle => quiet = Some(Snapshot::take(&self.counter)?),
            }
        }
        Ok(())
    }

    /// Sums up, once whoever started us has seen the end of all Jobs, so that both sides are charged for the same.
    pub(crate) async fn finish(self) -> Result<Report, Failure> {
        spawn_blocking(|| stdin().read_line(&mut String::new())).await??;
        let end = Snapshot::take(&self.counter)?;
        Ok(Report {
            requests: since(&self.begin.requests, &end.requests),
            cpu: micros(end.cpu.saturating_sub(self.begin.cpu)),
            setup: self.begin.requests,
            resident_before: self.begin.resident.now,
            resident_peak: end.resident.peak,
            waiting: self.waiting,
            runs: self.runs,
        })
    }
}

impl Snapshot {
    fn take(counter: &Counter) -> Result<Self, Failure> {
        Ok(Self {
            at: process::now(),
            cpu: process::cpu(),
            requests: counter.counts(),
            resident: Resident::read()?,
        })
    }

    fn until(&self, end: &Self) -> Waiting {
        Waiting {
            seconds: Duration::from_micros(end.at.saturating_sub(self.at)).as_secs_f64(),
            requests: since(&self.requests, &end.requests),
            cpu: micros(end.cpu.saturating_sub(self.cpu)),
            resident: end.resident.now,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}
