use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::try_join_all;
use jiff::Timestamp;
use tokio::task::JoinSet;
use wm_core::{
    ChunkStore, Creation, Error, ErrorKind, LogLine, LogOutput, LogPosition, LogQuery, LogStore,
    LogStoreCapabilities, LogStream, Result, RunId, Seal, WorkloadId,
};

use crate::{
    desk::Desks,
    index,
    layout::{self, StreamId},
    reading,
    recorder::Recorder,
    settings::ArchiveSettings,
};

/// After so many new streams of messages, old ones are forgotten.
const TIDY: u64 = 256;
/// How many chunks are removed at once.
const REMOVALS: usize = 16;

/// Keeps logs as chunks in a [`ChunkStore`].
///
/// Lines are gathered and written in chunks that are never changed. Several servers may write the same output: each
/// creates its chunk behind the last one, and who comes second goes on behind it. Lines that wait while the store is
/// away are bounded: outputs are not taken any more, of messages the oldest are dropped.
///
/// Dropped, it loses the lines that wait; [`close`](Self::close) keeps them.
pub struct Archive {
    shared: Arc<Shared>,
    /// What writes, one task for each stream that has something to be written.
    tasks: Mutex<JoinSet<()>>,
    messages: AtomicU64,
}

/// What its readers know of it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn ChunkStore>,
    pub(crate) settings: ArchiveSettings,
    pub(crate) desks: Desks,
    writer: Arc<str>,
    held: Arc<AtomicUsize>,
}

impl Archive {
    /// Makes an archive of what a store has. Call it within a `tokio` runtime.
    pub fn new(store: Arc<dyn ChunkStore>, settings: ArchiveSettings) -> Self {
        // One of its own for each process, so that no two write the same stream of messages.
        let mut writer = uuid::Uuid::new_v4().simple().to_string();
        writer.truncate(16);
        let shared =
            Shared { store, settings, desks: Desks::default(), writer: writer.into(), held: Arc::default() };
        Self { shared: Arc::new(shared), tasks: Mutex::default(), messages: AtomicU64::new(0) }
    }

    /// Waits until all that was taken is kept, for this long at most, and tells whether it is.
    ///
    /// # Errors
    /// `Timeout` when the time is over; what the store answers to the last try.
    pub async fn close(&self, limit: Duration) -> Result<()> {
        let all = self.shared.desks.all();
        let settled = try_join_all(all.iter().map(|recorder| recorder.settle()));
        match tokio::time::timeout(limit, settled).await {
            Ok(settled) => settled.map(drop),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "not all lines could be archived in time")),
        }
    }

    /// Starts to write what waits in a stream, unless that is under way.
    fn keep(&self, recorder: &Arc<Recorder>) {
        if recorder.starts() {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(Arc::clone(recorder).keep());
        }
    }

    fn stream(&self, output: &LogOutput) -> StreamId {
        let is_fenced = self.shared.store.capabilities().conditional_create;
        let writer = (!is_fenced).then(|| self.shared.writer.to_string());
        StreamId::Output { output: output.clone(), writer }
    }

    async fn recorder(&self, id: StreamId) -> Result<Arc<Recorder>> {
        let Shared { store, settings, desks, writer, held } = self.shared.as_ref();
        if let Some(recorder) = desks.recorder(&id) {
            return Ok(recorder);
        }
        let recorder = Arc::new(Recorder::open(id.clone(), store, writer, settings, held).await?);
        if let StreamId::Output { output, .. } = &id
            && !recorder.is_closed()
            && self.is_sealed(output.run()).await?
        {
            recorder.close();
        }
        // Somebody else may have been quicker.
        let mut desks = desks.lock();
        let desk = desks.entry(id.workload().clone()).or_default();
        Ok(Arc::clone(desk.recorders.entry(id).or_insert(recorder)))
    }

    async fn is_sealed(&self, run: &RunId) -> Result<bool> {
        match self.shared.store.get(&layout::seal(run)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, key: &str, bytes: &[u8]) -> Result<Creation> {
        self.shared.store.create(key, bytes, &self.shared.writer).await
    }

    /// Puts a run on record, unless this server knows that it is.
    async fn record(&self, run: &RunId) -> Result<()> {
        let desks = &self.shared.desks;
        if desks.lock().get(&run.workload).is_some_and(|desk| desk.begun.contains(run)) {
            return Ok(());
        }
        self.put(&layout::run(run), &[]).await?;
        desks.lock().entry(run.workload.clone()).or_default().begun.insert(run.clone());
        desks.tell_facts(&run.workload);
        Ok(())
    }

    fn can_delete(&self) -> Result<()> {
        if self.shared.store.capabilities().delete {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "this archive can't remove logs: let the store's own lifecycle rules do it, or give it the right to delete",
        ))
    }

    /// Removes what was written under these ids. An alias may be that of other workloads, too, which it stays.
    async fn remove(&self, ids: &BTreeSet<WorkloadId>) -> Result<()> {
        let Shared { store, desks, .. } = self.shared.as_ref();
        let recorders = desks.recorders(ids);
        for recorder in &recorders {
            recorder.close();
        }
        for recorder in &recorders {
            recorder.idle().await;
        }
        {
            let mut desks = desks.lock();
            for id in ids {
                if let Some(desk) = desks.get_mut(id) {
                    desk.recorders.clear();
                    desk.begun.clear();
                    desk.messages = None;
                }
            }
        }
        let mut keys = Vec::new();
        for id in ids {
            for entry in index::entries(store.as_ref(), &layout::log(id)).await? {
                let rank = match layout::parse(&entry.key) {
                    Some((_, layout::Fact::Owner(owner))) if !ids.contains(&owner) => continue,
                    // By these the rest is found, should this be cut short.
                    Some((_, layout::Fact::Owner(_) | layout::Fact::Alias(_))) => 1,
                    _ => 0,
                };
                keys.push((rank, entry.key));
            }
        }
        keys.sort();
        for some in keys.chunks(REMOVALS) {
            try_join_all(some.iter().map(|(_, key)| store.delete(key))).await?;
        }
        for id in ids {
            desks.tell_facts(id);
        }
        Ok(())
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("store", &self.shared.store)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LogStore for Archive {
    fn capabilities(&self) -> LogStoreCapabilities {
        let can = self.shared.store.capabilities();
        LogStoreCapabilities { exactly_once: can.conditional_create, delete: can.delete }
    }

    async fn begin(&self, run: &RunId, aliases: &[WorkloadId]) -> Result<()> {
        for alias in aliases.iter().filter(|alias| **alias != run.workload) {
            self.put(&layout::owner(alias, &run.workload), &[]).await?;
            self.put(&layout::alias(&run.workload, alias), &[]).await?;
            self.shared.desks.tell_facts(alias);
        }
        self.record(run).await?;
        self.shared.desks.tell_facts(&run.workload);
        Ok(())
    }

    async fn append(&self, output: &LogOutput, lines: &[LogLine]) -> Result<()> {
        if !lines.is_sorted_by(|a, b| a.position < b.position) {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "the positions of lines must increase from line to line",
            )
            .with_context("run", output.run().to_string()));
        }
        let Some(last) = lines.last() else { return Ok(()) };
        let recorder = self.recorder(self.stream(output)).await?;
        let mut rest = lines;
        loop {
            if recorder.is_closed() {
                if !recorder.is_new(last.position) {
                    return Ok(());
                }
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "the run is sealed: its log takes no more lines",
                )
                .with_context("run", output.run().to_string()));
            }
            self.record(output.run()).await?;
            rest = &rest[recorder.take(rest)..];
            self.keep(&recorder);
            self.shared.desks.tell_lines(&output.run().workload);
            if rest.is_empty() {
                return Ok(());
            }
            recorder.room().await;
        }
    }

    async fn position(&self, output: &LogOutput) -> Result<Option<LogPosition>> {
        let Shared { store, settings, writer, held, .. } = self.shared.as_ref();
        let id = self.stream(output);
        let recorder = self.recorder(id.clone()).await?;
        if let StreamId::Output { writer: Some(_), .. } = id {
            let others = Recorder::open(id, store, writer, settings, held).await?;
            return Ok(recorder.end().max(others.end()));
        }
        recorder.catch_up().await?;
        Ok(recorder.end())
    }

    async fn message(&self, workload: &WorkloadId, time: Timestamp, text: &str) -> Result<()> {
        let lines: Vec<_> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
        let Shared { store, settings, writer, held, desks } = self.shared.as_ref();
        if self.messages.load(Ordering::Relaxed).is_multiple_of(TIDY) {
            desks.tidy();
        }
        let recorder = {
            let mut desks = desks.lock();
            let desk = desks.entry(workload.clone()).or_default();
            let id = desk.messages.get_or_insert_with(|| {
                let number = self.messages.fetch_add(1, Ordering::Relaxed);
                StreamId::Messages { workload: workload.clone(), writer: format!("{writer}.{number}") }
            });
            let recorder = desk
                .recorders
                .entry(id.clone())
                .or_insert_with(|| Arc::new(Recorder::begin(id.clone(), store, writer, settings, held)));
            recorder.say(time, &lines);
            let recorder = Arc::clone(recorder);
            desk.tell_lines();
            recorder
        };
        self.keep(&recorder);
        Ok(())
    }

    async fn include(&self, workload: &WorkloadId, other: &WorkloadId) -> Result<()> {
        self.put(&layout::include(workload, other), &[]).await?;
        self.shared.desks.tell_facts(workload);
        Ok(())
    }

    async fn flush(&self, workload: &WorkloadId) -> Result<()> {
        let Shared { store, desks, .. } = self.shared.as_ref();
        let mut waiting = desks.all();
        waiting.retain(|recorder| !recorder.is_settled());
        if waiting.iter().any(|recorder| recorder.id.workload() != workload) {
            let ids = index::ids(store.as_ref(), workload).await?;
            waiting.retain(|recorder| ids.contains(recorder.id.workload()));
        }
        try_join_all(waiting.iter().map(|recorder| recorder.settle())).await.map(drop)
    }

    async fn seal(&self, seal: &Seal) -> Result<()> {
        let Shared { store, desks, .. } = self.shared.as_ref();
        let run = &seal.run;
        self.record(run).await?;
        // Also the messages about it that wait here.
        self.flush(&run.workload).await?;
        let mut streams: BTreeSet<_> = desks
            .recorders([&run.workload])
            .iter()
            .map(|recorder| recorder.id.clone())
            .filter(|id| matches!(id, StreamId::Output { output, .. } if output.run() == run))
            .collect();
        if store.capabilities().conditional_create {
            for prefix in layout::streams_of(run) {
                streams.extend(index::streams(store.as_ref(), &prefix).await?.into_keys());
            }
        }
        for id in streams {
            self.recorder(id).await?.end_stream().await?;
        }
        let text = serde_json::to_vec(seal).map_err(|error| {
            Error::new(ErrorKind::Unexpected, "a seal could not be written as JSON").with_source(error)
        })?;
        // Without a fence it would replace the first one.
        if store.capabilities().conditional_create || !self.is_sealed(run).await? {
            self.put(&layout::seal(run), &text).await?;
        }
        desks.tell_facts(&run.workload);
        desks.forget(run);
        Ok(())
    }

    async fn seals(&self, workload: &WorkloadId) -> Result<Vec<Seal>> {
        let store = self.shared.store.as_ref();
        let log = index::log(store, workload).await?;
        if !index::is_known(&log) && !self.shared.knows(log.keys()) {
            return Err(reading::unknown(workload));
        }
        let runs: BTreeSet<_> = log.values().flat_map(|index| &index.seals).collect();
        try_join_all(runs.into_iter().map(|run| self.shared.seal(run))).await
    }

    async fn read(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
        reading::open(Arc::clone(&self.shared), workload.clone(), query.clone()).await
    }

    async fn delete(&self, workload: &WorkloadId) -> Result<()> {
        self.can_delete()?;
        let ids = index::ids(self.shared.store.as_ref(), workload).await?;
        self.remove(&ids).await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        self.can_delete()?;
        let store = self.shared.store.as_ref();
        let mut count = 0;
        for (id, index) in index::indexes(store, layout::root()).await? {
            let runs = index.all_runs();
            if runs.is_empty() || !runs.iter().all(|run| index.seals.contains(run)) {
                continue;
            }
            let seals = try_join_all(runs.into_iter().map(|run| self.shared.seal(run))).await?;
            if seals.iter().all(|seal| seal.time < before) {
                self.remove(&index::ids_of(&id, &index)).await?;
                count += 1;
            }
        }
        Ok(count)
    }
}

impl Shared {
    /// Whether something under these ids waits on this server.
    pub(crate) fn knows<'a>(&self, ids: impl IntoIterator<Item = &'a WorkloadId>) -> bool {
        self.desks.recorders(ids).iter().any(|recorder| !recorder.is_settled())
    }

    async fn seal(&self, run: &RunId) -> Result<Seal> {
        let chunk = self.store.get(&layout::seal(run)).await?;
        serde_json::from_slice(&chunk.bytes).map_err(|error| {
            Error::new(ErrorKind::Unexpected, "a seal in the archive can't be read")
                .with_context("run", run.to_string())
                .with_source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryChunkStore;

    #[tokio::test(start_paused = true)]
    async fn workloads_of_which_nothing_is_heard_are_forgotten() {
        let archive = Archive::new(Arc::new(MemoryChunkStore::new()), ArchiveSettings::default());
        for number in 0..10 * TIDY {
            let id = WorkloadId::new(format!("w-{number}")).unwrap();
            archive.message(&id, Timestamp::UNIX_EPOCH, "said").await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        assert!(archive.shared.desks.len() < 4 * usize::try_from(TIDY).unwrap());
        let first = WorkloadId::new("w-0").unwrap();
        archive.message(&first, Timestamp::UNIX_EPOCH, "said again").await.unwrap();
        let log = archive.read(&first, &LogQuery::default()).await.unwrap();
        assert_eq!(futures::StreamExt::count(log).await, 2);
    }
}
