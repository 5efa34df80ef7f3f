//! A log as it is read: what the store has under its ids, merged by time with what waits on this server, and on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_stream::try_stream;
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    future::{select_all, try_join_all},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use wm_core::{Error, ErrorKind, LogQuery, LogRecord, LogSource, LogStream, Result, WorkloadId};

use crate::{
    archive::Shared,
    bookmark::{self, Bookmark},
    desk::News,
    index::{self, Log},
    layout::StreamId,
    merge::Merged,
    playback::{Entry, Track},
};

/// How many chunks are fetched at once.
const FETCHES: usize = 8;
/// How much longer than at first a follower waits at most before it looks again.
const MOST_PATIENCE: u32 = 5;

pub(crate) fn unknown(id: &WorkloadId) -> Error {
    Error::new(ErrorKind::NotFound, "the archive has no log of this workload")
        .with_context("workload", id.as_str())
}

/// Opens a log; what is known of it is looked up when this returns.
pub(crate) async fn open(shared: Arc<Shared>, id: WorkloadId, query: LogQuery) -> Result<LogStream> {
    let bookmark = query.after.as_ref().map(Bookmark::parse).transpose()?.unwrap_or_default();
    let news = BTreeMap::from_iter([(id.clone(), (shared.desks.subscribe(&id), 0))]);
    let (own, included) = (Log::new(), Log::new());
    let mut reader = Reader { shared, id, query, bookmark, own, included, news, cut: BTreeSet::new() };
    let tracks = reader.look().await?;
    if !index::is_known(&reader.own) && !reader.shared.knows(reader.own.keys()) {
        return Err(unknown(&reader.id));
    }
    if let Some(cursor) = &reader.query.after
        && !reader.bookmark.streams().map(StreamId::workload).all(|id| reader.has(id))
    {
        return Err(bookmark::foreign(cursor));
    }
    Ok(reader.records(tracks).boxed())
}

struct Reader {
    shared: Arc<Shared>,
    id: WorkloadId,
    query: LogQuery,
    bookmark: Bookmark,
    /// As they were when they were listed last.
    own: Log,
    included: Log,
    /// What this server writes under each id of the log, and how many facts it had written at the last look.
    news: BTreeMap<WorkloadId, (watch::Receiver<News>, u64)>,
    /// Streams that are in a line whose beginning is left out.
    cut: BTreeSet<StreamId>,
}

impl Reader {
    fn records(mut self, mut tracks: Vec<Track>) -> impl Stream<Item = Result<LogRecord>> + Send {
        try_stream! {
            let mut patience = 1;
            let mut next_look = Instant::now() + self.shared.settings.poll;
            loop {
                let has_ended = !self.query.follow || self.is_sealed();
                let mut skip = self.rewind(&mut tracks).await?;
                let ahead = (FETCHES / tracks.len().max(1)).max(1);
                let mut merged = Merged::new(std::mem::take(&mut tracks), &self.shared.store, ahead);
                while let Some((stream, entry)) = merged.next().await? {
                    self.bookmark.set(&stream, entry.mark());
                    if self.is_wanted(&stream, &entry, &mut skip) {
                        patience = 1;
                        yield record(&stream, entry).with_cursor(self.bookmark.to_cursor());
                    }
                }
                if has_ended {
                    break;
                }
                let is_due = self.wait(next_look).await;
                tracks = if is_due { self.look().await? } else { self.peek().await? };
                if is_due {
                    next_look = Instant::now() + self.shared.settings.poll * patience;
                    patience = (patience + 1).min(MOST_PATIENCE);
                }
            }
        }
    }

    fn has(&self, id: &WorkloadId) -> bool {
        self.own.contains_key(id) || self.included.contains_key(id)
    }

    /// Whether nothing more can come.
    fn is_sealed(&self) -> bool {
        let only = self.query.attempt;
        self.own.values().all(|index| {
            let mut runs = index.all_runs().into_iter();
            runs.all(|run| only.is_some_and(|only| run.attempt != only) || index.seals.contains(run))
        })
    }

    /// Lists what the store has of the log, and finds what there is to be read of it.
    async fn look(&mut self) -> Result<Vec<Track>> {
        self.news.values_mut().for_each(|(news, facts)| *facts = news.borrow_and_update().facts);
        let store = Arc::clone(&self.shared.store);
        self.own = index::log(store.as_ref(), &self.id).await?;
        self.included = index::included(store.as_ref(), &self.own).await?;
        for id in self.own.keys().chain(self.included.keys()) {
            if !self.news.contains_key(id) {
                let news = self.shared.desks.subscribe(id);
                let facts = news.borrow().facts;
                self.news.insert(id.clone(), (news, facts));
            }
        }
        let mut tracks = BTreeMap::new();
        for (stream, spans) in
            self.own.values_mut().chain(self.included.values_mut()).flat_map(|index| index.streams.iter_mut())
        {
            // The reader holds many of these for a long time, and needs them once.
            tracks.insert(stream.clone(), std::mem::take(spans));
        }
        let mut tracks: BTreeMap<_, _> = tracks
            .into_iter()
            .map(|(id, spans)| {
                let mark = self.bookmark.mark(&id);
                (id.clone(), Track { id, spans, waiting: None, mark })
            })
            .collect();
        self.add_waiting(&mut tracks);
        self.finish(tracks).await
    }

    /// Finds what this server has taken or written since.
    async fn peek(&mut self) -> Result<Vec<Track>> {
        self.news.values_mut().for_each(|(news, _)| news.mark_unchanged());
        let mut tracks = BTreeMap::new();
        self.add_waiting(&mut tracks);
        self.finish(tracks).await
    }

    fn add_waiting(&self, tracks: &mut BTreeMap<StreamId, Track>) {
        for recorder in self.shared.desks.recorders(self.own.keys().chain(self.included.keys())) {
            let id = recorder.id.clone();
            let mark = self.bookmark.mark(&id);
            let track =
                tracks.entry(id.clone()).or_insert(Track { id, spans: Vec::new(), waiting: None, mark });
            track.waiting = Some(recorder.waiting());
        }
    }

    async fn finish(&self, tracks: BTreeMap<StreamId, Track>) -> Result<Vec<Track>> {
        let mut tracks: Vec<_> = tracks.into_values().filter(|track| self.is_asked_for(&track.id)).collect();
        let store = self.shared.store.as_ref();
        try_join_all(tracks.iter_mut().map(|track| track.complete(store))).await?;
        Ok(tracks)
    }

    fn is_asked_for(&self, stream: &StreamId) -> bool {
        let LogQuery { attempt, container, .. } = &self.query;
        match stream {
            StreamId::Messages { .. } => attempt.is_none() && container.is_none(),
            StreamId::Output { output, .. } => {
                let is_own = self.own.contains_key(&output.run().workload);
                attempt.is_none_or(|attempt| is_own && output.run().attempt == attempt)
                    && container.as_ref().is_none_or(|container| output.container() == container)
            }
        }
    }

    /// Leaves out what can't be of the tail, if that is asked for, and tells how many lines to skip of the rest.
    async fn rewind(&mut self, tracks: &mut [Track]) -> Result<u64> {
        let Some(lines) = self.query.tail.take() else { return Ok(0) };
        let since = self.query.since;
        let mut count = 0;
        for track in tracks.iter_mut() {
            let from = track.mark.offset;
            let is_wanted =
                |record: &crate::record::Record| since.is_none_or(|since| record.place.time >= since);
            count += track.rewind(&self.shared.store, lines, is_wanted).await?;
            if track.mark.offset > from {
                self.cut.insert(track.id.clone());
            }
        }
        Ok(count - count.min(lines))
    }

    fn is_wanted(&mut self, stream: &StreamId, entry: &Entry, skip: &mut u64) -> bool {
        let Entry::Record(record, _) = entry else { return *skip == 0 };
        if self.query.since.is_some_and(|since| record.place.time < since) {
            return false;
        }
        if record.continued {
            return !self.cut.contains(stream);
        }
        let is_skipped = *skip > 0;
        *skip -= u64::from(is_skipped);
        if is_skipped {
            self.cut.insert(stream.clone());
        } else if !self.cut.is_empty() {
            self.cut.remove(stream);
        }
        !is_skipped
    }

    /// Waits until there may be more; true when the store is to be looked at again.
    async fn wait(&mut self, next_look: Instant) -> bool {
        let changes = self.news.values_mut().map(|(news, facts)| {
            let facts = *facts;
            async move {
                match news.changed().await {
                    Ok(()) => news.borrow().facts != facts,
                    Err(_) => std::future::pending().await,
                }
            }
            .boxed()
        });
        match timeout_at(next_look, select_all(changes)).await {
            Ok((is_fact, ..)) => is_fact,
            Err(_) => true,
        }
    }
}

fn record(stream: &StreamId, entry: Entry) -> LogRecord {
    match entry {
        Entry::Record(record, _) => {
            let source = match stream {
                StreamId::Output { output, .. } if !output.is_manager() && !record.note => {
                    LogSource::Output {
                        attempt: output.run().attempt,
                        instance: output.instance().to_owned(),
                        container: output.container().to_owned(),
                        restart: output.restart(),
                    }
                }
                _ => LogSource::Manager,
            };
            let mut told = LogRecord::new(Some(record.place.time), source, record.line);
            told.ended = record.ended;
            told
        }
        Entry::Hole { bytes, mark } => {
            let text = format!("{bytes} bytes are missing here: the archive has lost them");
            LogRecord::new(mark.place.map(|place| place.time), LogSource::Manager, text)
        }
    }
}
