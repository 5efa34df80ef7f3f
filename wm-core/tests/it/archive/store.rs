//! The contract's methods.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;
use wm_core::{
    Error, ErrorKind, LogLine, LogOutput, LogPosition, LogQuery, LogStore, LogStoreCapabilities, LogStream,
    Result, RunId, Seal, WorkloadId,
};

use super::{StoreFault, kept::Kept, reading};

/// One server.
pub(super) struct MemoryStore {
    pub(super) kept: Arc<watch::Sender<Kept>>,
    pub(super) can: LogStoreCapabilities,
    pub(super) fault: Option<StoreFault>,
    pub(super) server: usize,
}

impl MemoryStore {
    pub(super) fn has(&self, fault: StoreFault) -> bool {
        self.fault == Some(fault)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let mut result = None;
        self.kept.send_modify(|kept| result = Some(change(kept)));
        result.unwrap()
    }

    fn key(&self, output: &LogOutput) -> LogOutput {
        if !self.has(StoreFault::RestartsShareAnOutput) || output.is_manager() {
            return output.clone();
        }
        LogOutput::new(output.run().clone(), output.instance(), output.container(), 0).unwrap()
    }

    fn end(&self, kept: &Kept, output: &LogOutput) -> Option<LogPosition> {
        let promised = kept.promised.get(&(self.server, output.clone())).copied();
        kept.lines(self.server, output).last().map(|line| line.position).max(promised)
    }

    /// Keeps what was taken of the log that was written under these ids.
    fn keep(&self, kept: &mut Kept, ids: &BTreeSet<WorkloadId>) {
        let mine: Vec<_> = kept.taken.keys().filter(|(server, _)| *server == self.server).cloned().collect();
        for key in mine.into_iter().filter(|(_, output)| ids.contains(&output.run().workload)) {
            let mut taken = kept.taken.remove(&key).unwrap_or_default();
            let lines = kept.outputs.entry(key.1).or_default();
            let end = lines.last().map(|line| line.position);
            if self.has(StoreFault::TakeoverOverwrites) {
                lines.clear();
            } else if !self.has(StoreFault::WritersHaveNoFence) {
                // Others may have kept some of them meanwhile.
                taken.retain(|line| Some(line.position) > end);
            }
            lines.append(&mut taken);
        }
        for id in ids {
            let Some(mut said) = kept.said.remove(&(self.server, id.clone())) else { continue };
            if self.has(StoreFault::MessagesOverwrite) {
                kept.messages.retain(|(written, _), _| written != id);
            }
            kept.messages.entry((id.clone(), self.server)).or_default().append(&mut said);
        }
    }

    fn can_delete(&self) -> Result<()> {
        if self.can.delete {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, "logs are removed by something else here"))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("server", &self.server).finish_non_exhaustive()
    }
}

#[async_trait]
impl LogStore for MemoryStore {
    fn capabilities(&self) -> LogStoreCapabilities {
        self.can
    }

    async fn begin(&self, run: &RunId, aliases: &[WorkloadId]) -> Result<()> {
        self.change(|kept| {
            kept.runs.insert(run.clone());
            for alias in aliases.iter().filter(|alias| **alias != run.workload) {
                if self.has(StoreFault::LastAliasWins) {
                    kept.aliases.retain(|(_, known)| known != alias);
                }
                if !self.has(StoreFault::AliasesAreForgotten) {
                    kept.aliases.insert((run.workload.clone(), alias.clone()));
                }
            }
        });
        Ok(())
    }

    async fn append(&self, output: &LogOutput, lines: &[LogLine]) -> Result<()> {
        let increase = lines.is_sorted_by(|a, b| a.position < b.position);
        if !increase && !self.has(StoreFault::OrderIsNotChecked) {
            return Err(Error::new(ErrorKind::InvalidRequest, "the positions of lines must increase"));
        }
        let output = self.key(output);
        let end = self.end(&self.kept.borrow(), &output);
        if let Some(last) = lines.last().filter(|_| self.has(StoreFault::DroppedAppendIsLost)) {
            let key = (self.server, output.clone());
            self.change(|kept| kept.promised.insert(key, last.position));
        }
        // Others come in between.
        tokio::task::yield_now().await;
        self.change(|kept| {
            let late = !self.has(StoreFault::DroppedAppendIsLost);
            let end = if late { self.end(kept, &output) } else { end };
            let all = self.has(StoreFault::AppendsAgain);
            let mut new: Vec<_> =
                lines.iter().filter(|line| Some(line.position) > end || all).cloned().collect();
            let run = output.run();
            let closed = if self.has(StoreFault::SealClosesTheWorkload) {
                kept.seals.keys().any(|sealed| sealed.workload == run.workload)
            } else {
                kept.seals.contains_key(run)
            };
            if !new.is_empty() && closed && !self.has(StoreFault::SealIsNoEnd) {
                return Err(
                    Error::new(ErrorKind::Conflict, "the run is sealed").with_context("run", run.to_string())
                );
            }
            if self.has(StoreFault::LongAppendsLoseALine) && new.len() > 300 {
                new.pop();
            }
            if self.has(StoreFault::BytesAreReplaced) {
                for line in &mut new {
                    line.line = String::from_utf8_lossy(&line.line).into_owned().into_bytes();
                }
            }
            kept.runs.insert(run.clone());
            if all {
                kept.outputs.entry(output).or_default().append(&mut new);
            } else {
                kept.taken.entry((self.server, output)).or_default().append(&mut new);
            }
            Ok(())
        })
    }

    async fn position(&self, output: &LogOutput) -> Result<Option<LogPosition>> {
        let mut end = self.end(&self.kept.borrow(), &self.key(output));
        if let Some(end) = end.as_mut().filter(|_| self.has(StoreFault::PositionForgetsCount)) {
            end.count = 1;
        }
        Ok(end)
    }

    async fn message(&self, workload: &WorkloadId, time: Timestamp, text: &str) -> Result<()> {
        let whole = self.has(StoreFault::MessageIsOneLine);
        let text = if whole { text } else { text.strip_suffix('\n').unwrap_or(text) };
        let lines: Vec<_> = if whole { vec![text] } else { text.split('\n').collect() };
        self.change(|kept| {
            let said = kept.said.entry((self.server, workload.clone())).or_default();
            said.extend(lines.into_iter().map(|line| (time, line.to_owned())));
        });
        Ok(())
    }

    async fn include(&self, workload: &WorkloadId, other: &WorkloadId) -> Result<()> {
        self.change(|kept| kept.includes.insert((workload.clone(), other.clone())));
        Ok(())
    }

    async fn flush(&self, workload: &WorkloadId) -> Result<()> {
        if !self.has(StoreFault::FlushDoesNothing) {
            self.change(|kept| self.keep(kept, &kept.ids(workload)));
        }
        Ok(())
    }

    async fn seal(&self, seal: &Seal) -> Result<()> {
        self.change(|kept| {
            self.keep(kept, &kept.ids(&seal.run.workload));
            kept.runs.insert(seal.run.clone());
            let mut seal = seal.clone();
            if self.has(StoreFault::SealForgetsWhy) {
                seal.message.clear();
            }
            if self.has(StoreFault::LastSealWins) {
                kept.seals.remove(&seal.run);
            }
            kept.seals.entry(seal.run.clone()).or_insert(seal);
        });
        Ok(())
    }

    async fn seals(&self, workload: &WorkloadId) -> Result<Vec<Seal>> {
        let kept = self.kept.borrow();
        let ids = kept.ids(workload);
        let seals: Vec<_> =
            kept.seals.values().filter(|seal| ids.contains(&seal.run.workload)).cloned().collect();
        if !kept.is_known(&ids) && seals.is_empty() {
            return Err(reading::unknown(workload));
        }
        Ok(seals)
    }

    async fn read(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        reading::read(self, workload, query)
    }

    async fn delete(&self, workload: &WorkloadId) -> Result<()> {
        if self.has(StoreFault::DeleteIsIgnored) {
            return Ok(());
        }
        self.can_delete()?;
        self.change(|kept| {
            let ids = kept.ids(workload);
            if !kept.is_known(&ids) && self.has(StoreFault::DeleteUnknownIsNotFound) {
                return Err(reading::unknown(workload));
            }
            kept.remove(&ids, !self.has(StoreFault::DeleteKeepsSeals));
            Ok(())
        })
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        if self.has(StoreFault::DeleteIsIgnored) {
            return Ok(0);
        }
        self.can_delete()?;
        Ok(self.change(|kept| {
            let workloads: BTreeSet<_> = kept.runs.iter().map(|run| run.workload.clone()).collect();
            let first = self.has(StoreFault::ExpiresByFirstSeal);
            let old = |id: &WorkloadId| {
                let mut runs = kept.runs.iter().filter(|run| run.workload == *id);
                let is_old = |run: &RunId| kept.seals.get(run).is_some_and(|seal| seal.time < before);
                if first { runs.any(is_old) } else { runs.all(is_old) }
            };
            let old: Vec<_> = workloads.into_iter().filter(|id| old(id)).collect();
            for id in &old {
                kept.remove(&kept.ids(id), true);
            }
            old.len() as u64
        }))
    }
}
