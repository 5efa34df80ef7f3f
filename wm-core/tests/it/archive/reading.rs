//! A log that is read.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use tokio::sync::watch;
use wm_core::{Cursor, Error, ErrorKind, LogQuery, LogRecord, LogSource, LogStream, Result, WorkloadId};

use super::{StoreFault, kept::Kept, store::MemoryStore};
use crate::batches::{self, keep_tail};

/// How many records of each stream have been read.
type Read = BTreeMap<String, usize>;

pub(super) fn read(store: &MemoryStore, id: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
    let mut read = Read::new();
    if let Some(cursor) = &query.after {
        let refused = || Error::new(ErrorKind::InvalidRequest, "that is no place of this log");
        match serde_json::from_str(cursor.as_str()) {
            Ok(place) => read = place,
            Err(_) if store.has(StoreFault::BadCursorIsTheStart) => {}
            Err(_) => return Err(refused()),
        }
    }
    let kept = store.kept.borrow();
    if !kept.is_known(&kept.ids(id)) && !store.has(StoreFault::UnknownIsEmpty) {
        return Err(unknown(id));
    }
    drop(kept);
    let changes = store.kept.subscribe();
    let reader = Reader { store: store.clone(), id: id.clone(), query: query.clone(), read, changes };
    Ok(batches::read(reader))
}

struct Reader {
    store: MemoryStore,
    id: WorkloadId,
    query: LogQuery,
    read: Read,
    changes: watch::Receiver<Kept>,
}

impl batches::Reader for Reader {
    type Kept = Kept;

    fn changes(&mut self) -> &mut watch::Receiver<Kept> {
        &mut self.changes
    }

    fn advance(&mut self) -> (Vec<LogRecord>, bool) {
        let kept = self.changes.borrow_and_update();
        let store = &self.store;
        let own = kept.ids(&self.id);
        let mut streams = streams(store, &kept, &own, &self.query);
        let mut records = Vec::new();
        // Of each stream what has not been read.
        for (name, stream) in &mut streams {
            stream.drain(..self.read.get(name).copied().unwrap_or_default().min(stream.len()));
        }
        let merges = !store.has(StoreFault::OutputsAreNotMerged);
        let first = |streams: &BTreeMap<String, VecDeque<LogRecord>>| {
            let heads =
                streams.iter().filter_map(|(name, stream)| Some((stream.front()?.time, name.clone())));
            if merges { heads.min() } else { heads.min_by(|a, b| a.1.cmp(&b.1)) }
        };
        while let Some((_, name)) = first(&streams) {
            let Some(record) = streams.get_mut(&name).and_then(VecDeque::pop_front) else { break };
            *self.read.entry(name).or_default() += 1;
            let wanted = self.query.since.is_none_or(|since| {
                record.time > Some(since)
                    || (record.time == Some(since) && !store.has(StoreFault::SinceIsExclusive))
            });
            if wanted {
                let place = serde_json::to_string(&self.read).unwrap();
                records.push(record.with_cursor(Cursor::new(place)));
            }
        }
        if self.query.after.take().is_some() && store.has(StoreFault::CursorIsATime) {
            records.retain(|record| record.text() != "late 2");
        }
        keep_tail(&mut records, &mut self.query, store.has(StoreFault::TailIsHead));
        let wanted = self.query.attempt;
        let mut runs = kept
            .runs
            .iter()
            .filter(|run| own.contains(&run.workload) && wanted.is_none_or(|attempt| run.attempt == attempt));
        let open = if store.has(StoreFault::FollowEndsWithAnySeal) {
            runs.clone().count() > 0 && !runs.any(|run| kept.seals.contains_key(run))
        } else {
            runs.any(|run| !kept.seals.contains_key(run))
        };
        (records, !(self.query.follow && open))
    }
}

/// All records of a log that a server knows, by the stream that they are of.
fn streams(
    store: &MemoryStore,
    kept: &Kept,
    own: &BTreeSet<WorkloadId>,
    query: &LogQuery,
) -> BTreeMap<String, VecDeque<LogRecord>> {
    let mut streams = BTreeMap::new();
    let attempt = query.attempt.filter(|_| !store.has(StoreFault::AttemptIsIgnored));
    let container = query.container.as_deref().filter(|_| !store.has(StoreFault::ContainerIsIgnored));
    let mut ids = own.clone();
    if attempt.is_none() && !store.has(StoreFault::IncludeIsIgnored) {
        let included = kept.includes.iter().filter(|(id, _)| own.contains(id));
        ids.extend(included.flat_map(|(_, other)| kept.ids(other)));
    }
    let has = |id: &WorkloadId| {
        ids.contains(id)
            || (store.has(StoreFault::IdsArePrefixes)
                && ids.iter().any(|own| id.as_str().starts_with(own.as_str())))
    };
    let taken = kept.taken.keys().filter(|(server, _)| *server == store.server).map(|(_, output)| output);
    let outputs: BTreeSet<_> = kept.outputs.keys().chain(taken).collect();
    for output in outputs {
        let run = output.run();
        if !has(&run.workload)
            || attempt.is_some_and(|attempt| run.attempt != attempt)
            || container.is_some_and(|container| output.container() != container)
        {
            continue;
        }
        let forgotten = store.has(StoreFault::InstanceIsForgotten);
        let source = if output.is_manager() && !store.has(StoreFault::ManagerIsAContainer) {
            LogSource::Manager
        } else {
            LogSource::Output {
                attempt: run.attempt,
                instance: if forgotten { "pod".to_owned() } else { output.instance().to_owned() },
                container: output.container().to_owned(),
                restart: output.restart(),
            }
        };
        let deaf = store.has(StoreFault::FollowersHearNoOthers) && query.follow && store.server > 0;
        let lines = kept.lines(store.server, output).take(if deaf { 10 } else { usize::MAX });
        let records = lines.map(|line| {
            let mut record = LogRecord::new(Some(line.position.time), source.clone(), line.line.clone());
            record.ended = line.ended;
            record
        });
        streams.insert(serde_json::to_string(output).unwrap(), records.collect());
    }
    if attempt.is_some() || container.is_some() {
        return streams;
    }
    let alias = |id: &WorkloadId| kept.aliases.iter().any(|(_, alias)| alias == id);
    let mut said = |id: &WorkloadId, server: usize, messages: &[(jiff::Timestamp, String)]| {
        if !has(id) || (store.has(StoreFault::EarlyMessagesAreForgotten) && alias(id)) {
            return;
        }
        let records = messages
            .iter()
            .map(|(time, text)| LogRecord::new(Some(*time), LogSource::Manager, text.as_bytes()));
        // What was kept comes before what was taken.
        streams.entry(format!("{id} {server}")).or_insert_with(VecDeque::new).extend(records);
    };
    for ((id, server), messages) in &kept.messages {
        said(id, *server, messages);
    }
    for ((server, id), messages) in kept.said.iter().filter(|((server, _), _)| *server == store.server) {
        said(id, *server, messages);
    }
    streams
}

pub(super) fn unknown(id: &WorkloadId) -> Error {
    Error::new(ErrorKind::NotFound, "nothing is known of this workload").with_context("workload", id.as_str())
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), ..*self }
    }
}
