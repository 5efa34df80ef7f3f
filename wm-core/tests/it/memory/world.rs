//! What all servers share.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::watch;
use wm_core::{
    Capabilities, Cursor, LogRecord, LogSource, RunId, RunStatus, Verdict, WorkloadId, testkit::Program,
};

use super::Fault;

pub(super) struct World {
    pub(super) can: Capabilities,
    pub(super) fault: Option<Fault>,
    pub(super) state: watch::Sender<State>,
    pub(super) servers: AtomicUsize,
    programs: Mutex<HashMap<String, Program>>,
    clock: AtomicI64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) runs: Vec<Run>,
    /// In the order of their coming; their index is their place. Deleted ones leave a gap.
    pub(super) lines: Vec<Option<(WorkloadId, LogRecord)>>,
    pub(super) gates: BTreeSet<String>,
    /// For faults: who is submitting, who follows last, who reads last, which attempts there were.
    pub(super) reserved: BTreeSet<WorkloadId>,
    pub(super) follower: usize,
    pub(super) reader: usize,
    pub(super) deleted: BTreeMap<WorkloadId, u32>,
}

pub(super) struct Run {
    pub(super) status: RunStatus,
    pub(super) fingerprint: String,
    pub(super) program: Program,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) timeout: Option<Duration>,
    /// Which server made it.
    pub(super) server: usize,
    pub(super) stop: bool,
    pub(super) deleted: bool,
}

impl Run {
    pub(super) fn id(&self) -> &RunId {
        &self.status.run
    }

    pub(super) fn has_ended(&self) -> bool {
        self.status.phase.is_terminal()
    }

    pub(super) fn answers_to(&self, id: &WorkloadId) -> bool {
        !self.deleted && (self.id().workload == *id || self.status.aliases.contains(id))
    }

    pub(super) fn end(&mut self, verdict: Verdict, now: Option<Timestamp>) {
        if !self.has_ended() {
            self.status.finished = now;
            self.status = self.status.clone().with_verdict(verdict);
        }
    }
}

impl World {
    pub(super) fn new(can: Capabilities, fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self {
            can,
            fault,
            state: watch::Sender::default(),
            servers: AtomicUsize::new(0),
            programs: Mutex::default(),
            clock: AtomicI64::new(1_700_000_000_000),
        })
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// A clock that goes on whenever it is asked.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.fetch_add(1, Ordering::Relaxed)).unwrap()
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut result = None;
        self.state.send_modify(|state| result = Some(change(state)));
        result.unwrap()
    }

    /// Remembers a program under the word that starts it.
    pub(super) fn know(&self, program: &Program) -> String {
        let word = format!("{program:?}");
        self.programs.lock().unwrap().insert(word.clone(), program.clone());
        word
    }

    pub(super) fn program(&self, word: &str) -> Program {
        self.programs.lock().unwrap()[word].clone()
    }

    pub(super) fn write(
        &self,
        state: &mut State,
        id: &WorkloadId,
        source: LogSource,
        line: Vec<u8>,
        ended: bool,
    ) {
        let id = match state.runs.last() {
            Some(last) if self.has(Fault::LogsAreMixed) => last.id().workload.clone(),
            _ => id.clone(),
        };
        let place = state.lines.len() + 1;
        let mut record = LogRecord::new(Some(self.now()), source, line);
        record.ended = ended;
        if self.can.resume_logs {
            record = record.with_cursor(Cursor::new(format!("{place}")));
        }
        state.lines.push(Some((id, record)));
    }
}

impl State {
    /// The ids whose lines are the log of an id; empty if nothing is known of it.
    pub(super) fn ids(&self, id: &WorkloadId) -> BTreeSet<WorkloadId> {
        let runs = self.runs.iter().filter(|run| run.answers_to(id));
        let mut ids: BTreeSet<_> =
            runs.flat_map(|run| run.status.aliases.iter().chain([&run.id().workload]).cloned()).collect();
        if self.lines.iter().flatten().any(|(written, _)| written == id) {
            ids.insert(id.clone());
        }
        ids
    }
}
