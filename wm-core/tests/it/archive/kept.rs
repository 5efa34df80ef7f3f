//! What all servers share, and what each has taken.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use wm_core::{LogLine, LogOutput, LogPosition, RunId, Seal, WorkloadId};

/// Each kind of thing by the id under which it was written.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) runs: BTreeSet<RunId>,
    /// A workload and an alias of it.
    pub(super) aliases: BTreeSet<(WorkloadId, WorkloadId)>,
    pub(super) includes: BTreeSet<(WorkloadId, WorkloadId)>,
    pub(super) seals: BTreeMap<RunId, Seal>,
    pub(super) outputs: BTreeMap<LogOutput, Vec<LogLine>>,
    pub(super) messages: BTreeMap<(WorkloadId, usize), Vec<(Timestamp, String)>>,
    /// By server: not yet kept.
    pub(super) taken: BTreeMap<(usize, LogOutput), Vec<LogLine>>,
    pub(super) said: BTreeMap<(usize, WorkloadId), Vec<(Timestamp, String)>>,
    /// For a fault: ends of lines that are on their way.
    pub(super) promised: BTreeMap<(usize, LogOutput), LogPosition>,
}

impl Kept {
    /// The workloads that an id stands for: its own, and those whose alias it is.
    pub(super) fn workloads(&self, id: &WorkloadId) -> BTreeSet<WorkloadId> {
        let owners = self.aliases.iter().filter(|(_, alias)| alias == id).map(|(owner, _)| owner.clone());
        owners.chain([id.clone()]).collect()
    }

    /// The ids under which the log of an id was written.
    pub(super) fn ids(&self, id: &WorkloadId) -> BTreeSet<WorkloadId> {
        let workloads = self.workloads(id);
        let aliases = self.aliases.iter().filter(|(owner, _)| workloads.contains(owner));
        let aliases: Vec<_> = aliases.map(|(_, alias)| alias.clone()).collect();
        workloads.into_iter().chain(aliases).collect()
    }

    pub(super) fn is_known(&self, ids: &BTreeSet<WorkloadId>) -> bool {
        self.runs.iter().any(|run| ids.contains(&run.workload))
            || self.messages.keys().any(|(id, _)| ids.contains(id))
            || self.said.keys().any(|(_, id)| ids.contains(id))
            || self.includes.iter().any(|(id, _)| ids.contains(id))
            || self.aliases.iter().any(|(_, alias)| ids.contains(alias))
    }

    /// The lines of an output that a server knows.
    pub(super) fn lines(&self, server: usize, output: &LogOutput) -> impl Iterator<Item = &LogLine> {
        let kept = self.outputs.get(output).map(Vec::as_slice).unwrap_or_default();
        let end = kept.last().map(|line| line.position);
        let taken = self.taken.get(&(server, output.clone())).into_iter().flatten();
        kept.iter().chain(taken.filter(move |line| Some(line.position) > end))
    }

    /// Removes a workload under all its ids.
    pub(super) fn remove(&mut self, ids: &BTreeSet<WorkloadId>, seals: bool) {
        self.runs.retain(|run| !ids.contains(&run.workload));
        if seals {
            self.seals.retain(|run, _| !ids.contains(&run.workload));
        }
        self.aliases.retain(|(owner, _)| !ids.contains(owner));
        self.includes.retain(|(owner, _)| !ids.contains(owner));
        self.outputs.retain(|output, _| !ids.contains(&output.run().workload));
        self.messages.retain(|(id, _), _| !ids.contains(id));
        self.taken.retain(|(_, output), _| !ids.contains(&output.run().workload));
        self.said.retain(|(_, id), _| !ids.contains(id));
    }
}
