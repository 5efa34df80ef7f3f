//! Several streams as one, by time.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt as _, future::try_join_all, stream::BoxStream};
use jiff::Timestamp;
use wm_core::{ChunkStore, LogOutput, LogPosition, Result};

use crate::{
    layout::StreamId,
    playback::{Entry, Track},
};

/// The streams of a log, merged: of what has the same time, messages come first, and each stream keeps its order.
pub(crate) struct Merged {
    lanes: Vec<Lane>,
    /// The last line of an output that was given: without a fence other streams may have it too.
    last: Option<(usize, LogPosition)>,
}

struct Lane {
    id: StreamId,
    /// The same for streams of one output.
    rank: usize,
    entries: BoxStream<'static, Result<Entry>>,
    head: Option<Entry>,
    is_read: bool,
}

impl Merged {
    pub(crate) fn new(mut tracks: Vec<Track>, store: &Arc<dyn ChunkStore>, ahead: usize) -> Self {
        tracks.sort_by(|a, b| source(&a.id).cmp(&source(&b.id)));
        let sources: BTreeSet<_> = tracks.iter().map(|track| source(&track.id)).collect();
        let ranks: Vec<_> = tracks.iter().map(|track| sources.range(..source(&track.id)).count()).collect();
        let lanes = tracks.into_iter().zip(ranks).map(|(track, rank)| Lane {
            id: track.id.clone(),
            rank,
            entries: track.play(Arc::clone(store), ahead).boxed(),
            head: None,
            is_read: false,
        });
        Self { lanes: lanes.collect(), last: None }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<(StreamId, Entry)>> {
        loop {
            let empty = self.lanes.iter_mut().filter(|lane| lane.head.is_none() && !lane.is_read);
            try_join_all(empty.map(Lane::fill)).await?;
            let lanes = self.lanes.iter().enumerate();
            let first = lanes.filter_map(|(index, lane)| Some((lane.key()?, index))).min();
            let Some((_, index)) = first else { return Ok(None) };
            let lane = &mut self.lanes[index];
            let Some(entry) = lane.head.take() else { return Ok(None) };
            if let (Entry::Record(record, _), StreamId::Output { writer: Some(_), .. }) = (&entry, &lane.id) {
                let line = Some((lane.rank, record.place));
                if self.last == line {
                    continue;
                }
                self.last = line;
            }
            return Ok(Some((lane.id.clone(), entry)));
        }
    }
}

impl Lane {
    async fn fill(&mut self) -> Result<()> {
        self.head = self.entries.next().await.transpose()?;
        self.is_read = self.head.is_none();
        Ok(())
    }

    fn key(&self) -> Option<(Timestamp, usize, u32)> {
        Some(match self.head.as_ref()? {
            Entry::Record(record, _) => (record.place.time, self.rank, record.place.count),
            // Where it is, is known by what comes before it alone.
            Entry::Hole { .. } => (Timestamp::MIN, self.rank, 0),
        })
    }
}

/// Whose lines a stream has, messages first.
fn source(id: &StreamId) -> (u8, Option<&LogOutput>, String) {
    match id {
        StreamId::Messages { .. } => (0, None, id.to_string()),
        StreamId::Output { output, .. } if output.is_manager() => (1, Some(output), String::new()),
        StreamId::Output { output, .. } => (2, Some(output), String::new()),
    }
}
