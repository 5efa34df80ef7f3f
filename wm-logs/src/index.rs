//! What a store has of a log, from lists alone.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use wm_core::{ChunkEntry, ChunkStore, LogOutput, Result, RunId, WorkloadId};

use crate::layout::{self, Fact, StreamId};

/// The place of a chunk in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Span {
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}

/// What was written under one id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) runs: BTreeSet<RunId>,
    pub(crate) seals: BTreeSet<RunId>,
    pub(crate) aliases: BTreeSet<WorkloadId>,
    pub(crate) owners: BTreeSet<WorkloadId>,
    pub(crate) includes: BTreeSet<WorkloadId>,
    pub(crate) streams: BTreeMap<StreamId, Vec<Span>>,
}

impl Index {
    fn add(&mut self, fact: Fact, size: u64) {
        match fact {
            Fact::Run(run) => {
                self.runs.insert(run);
            }
            Fact::Seal(run) => {
                self.seals.insert(run);
            }
            Fact::Alias(id) => {
                self.aliases.insert(id);
            }
            Fact::Owner(id) => {
                self.owners.insert(id);
            }
            Fact::Include(id) => {
                self.includes.insert(id);
            }
            Fact::Chunk(stream, offset) => {
                self.streams.entry(stream).or_default().push(Span { offset, size });
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.seals.is_empty()
            && self.owners.is_empty()
            && self.includes.is_empty()
            && self.streams.is_empty()
    }

    /// The runs that it tells of, on record or by their output.
    pub(crate) fn all_runs(&self) -> BTreeSet<&RunId> {
        let outputs = self.streams.keys().filter_map(|stream| match stream {
            StreamId::Output { output, .. } => Some(LogOutput::run(output)),
            StreamId::Messages { .. } => None,
        });
        self.runs.iter().chain(&self.seals).chain(outputs).collect()
    }
}

/// All entries whose keys begin with this.
pub(crate) async fn entries(store: &dyn ChunkStore, prefix: &str) -> Result<Vec<ChunkEntry>> {
    entries_after(store, prefix, None).await
}

async fn entries_after(store: &dyn ChunkStore, prefix: &str, after: Option<&str>) -> Result<Vec<ChunkEntry>> {
    let mut all: Vec<ChunkEntry> = Vec::new();
    loop {
        let page = store.list(prefix, all.last().map(|entry| entry.key.as_str()).or(after)).await?;
        let more = page.more && !page.entries.is_empty();
        all.extend(page.entries);
        if !more {
            return Ok(all);
        }
    }
}

/// The chunks whose keys begin with this, by their streams.
pub(crate) async fn streams(store: &dyn ChunkStore, prefix: &str) -> Result<BTreeMap<StreamId, Vec<Span>>> {
    let mut index = Index::default();
    for entry in entries(store, prefix).await? {
        if let Some((_, fact @ Fact::Chunk(..))) = layout::parse(&entry.key) {
            index.add(fact, entry.size);
        }
    }
    Ok(index.streams)
}

/// The chunks of a stream that begin at this offset or behind it.
pub(crate) async fn spans_from(store: &dyn ChunkStore, stream: &StreamId, offset: u64) -> Result<Vec<Span>> {
    let prefix = stream.prefix();
    // A key is greater than itself without its ending.
    let after = stream.chunk(offset);
    let after = after.strip_suffix(".log").filter(|_| offset > 0);
    let entries = entries_after(store, &prefix, after).await?;
    let spans = entries.iter().filter_map(|entry| match layout::parse(&entry.key)?.1 {
        Fact::Chunk(of, offset) if of == *stream => Some(Span { offset, size: entry.size }),
        _ => None,
    });
    Ok(spans.collect())
}

/// What is there under each id, for the ids whose keys begin with this.
pub(crate) async fn indexes(store: &dyn ChunkStore, prefix: &str) -> Result<BTreeMap<WorkloadId, Index>> {
    let mut indexes = BTreeMap::<_, Index>::new();
    for entry in entries(store, prefix).await? {
        if let Some((id, fact)) = layout::parse(&entry.key) {
            indexes.entry(id).or_default().add(fact, entry.size);
        }
    }
    Ok(indexes)
}

async fn index(store: &dyn ChunkStore, id: &WorkloadId) -> Result<(WorkloadId, Index)> {
    let index = indexes(store, &layout::log(id)).await?.remove(id).unwrap_or_default();
    Ok((id.clone(), index))
}

/// A log: what there is under all its ids.
pub(crate) type Log = BTreeMap<WorkloadId, Index>;

/// Finds the log of an id: what was written under it, under the ids of the workloads whose alias it is, and under the
/// aliases of these. Each id of a log is a key of it, also those under which nothing was written.
pub(crate) async fn log(store: &dyn ChunkStore, id: &WorkloadId) -> Result<Log> {
    let mut log = Log::from_iter([index(store, id).await?]);
    let owners: Vec<_> = log[id].owners.iter().filter(|owner| *owner != id).cloned().collect();
    log.extend(try_join_all(owners.iter().map(|owner| index(store, owner))).await?);
    let aliases: BTreeSet<_> = log.values().flat_map(|index| &index.aliases).cloned().collect();
    let aliases: Vec<_> = aliases.into_iter().filter(|alias| !log.contains_key(alias)).collect();
    log.extend(try_join_all(aliases.iter().map(|alias| index(store, alias))).await?);
    Ok(log)
}

/// Finds the logs that a log has in it.
pub(crate) async fn included(store: &dyn ChunkStore, own: &Log) -> Result<Log> {
    let ids: BTreeSet<_> = own.values().flat_map(|index| &index.includes).collect();
    let logs = try_join_all(ids.into_iter().map(|id| log(store, id))).await?;
    Ok(logs.into_iter().flatten().filter(|(id, _)| !own.contains_key(id)).collect())
}

/// Whether anything is known of a log.
pub(crate) fn is_known(log: &Log) -> bool {
    log.values().any(|index| !index.is_empty())
}

/// The ids of a log, as [`log`] finds them, without looking for the rest.
pub(crate) async fn ids(store: &dyn ChunkStore, id: &WorkloadId) -> Result<BTreeSet<WorkloadId>> {
    let facts = |prefix: String| async move {
        let found = entries(store, &prefix).await?.into_iter().filter_map(|entry| layout::parse(&entry.key));
        let ids = found.filter_map(|(_, fact)| match fact {
            Fact::Owner(id) | Fact::Alias(id) => Some(id),
            _ => None,
        });
        Ok(ids.collect::<Vec<_>>())
    };
    let mut ids: BTreeSet<_> = facts(layout::owners(id)).await?.into_iter().chain([id.clone()]).collect();
    let aliases = try_join_all(ids.iter().map(|id| facts(layout::aliases(id)))).await?;
    ids.extend(aliases.into_iter().flatten());
    Ok(ids)
}

/// The ids that go with a workload.
pub(crate) fn ids_of(id: &WorkloadId, index: &Index) -> BTreeSet<WorkloadId> {
    index.aliases.iter().chain([id]).cloned().collect()
}
