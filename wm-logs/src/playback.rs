//! One stream as it is read: chunk after chunk, then what waits on this server.

use std::sync::Arc;

use async_stream::try_stream;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use wm_core::{ChunkStore, ErrorKind, Result};

use crate::{
    bookmark::Mark,
    index::{self, Span},
    layout::StreamId,
    record::{self, Record},
    recorder::Waiting,
};

/// What there is of a stream to be read.
pub(crate) struct Track {
    pub(crate) id: StreamId,
    pub(crate) spans: Vec<Span>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) mark: Mark,
}

/// A record on its way out, or a hole in the stream before the next one.
#[derive(Debug)]
pub(crate) enum Entry {
    Record(Record, Mark),
    Hole { bytes: u64, mark: Mark },
}

impl Entry {
    /// How far the stream has been read with it.
    pub(crate) fn mark(&self) -> Mark {
        match self {
            Self::Record(_, mark) | Self::Hole { mark, .. } => *mark,
        }
    }
}

impl Track {
    /// Adds the chunks that were written since the others were listed.
    pub(crate) async fn complete(&mut self, store: &dyn ChunkStore) -> Result<()> {
        let listed = self.spans.last().map_or(0, Span::end).max(self.mark.offset);
        if self.waiting.as_ref().is_some_and(|waiting| waiting.offset > listed) {
            self.spans.extend(index::spans_from(store, &self.id, listed).await?);
        }
        Ok(())
    }

    /// Where the stream ends, as far as is known.
    fn end(&self) -> u64 {
        let kept = self.spans.last().map_or(0, Span::end);
        self.waiting.as_ref().map_or(kept, |waiting| waiting.offset.max(kept))
    }

    /// Reads from the mark on, `ahead` chunks at a time.
    pub(crate) fn play(
        self,
        store: Arc<dyn ChunkStore>,
        ahead: usize,
    ) -> impl Stream<Item = Result<Entry>> + Send + 'static {
        let end = self.end();
        let Self { id, spans, waiting, mut mark } = self;
        try_stream! {
            let order = id.order();
            let unread = spans.into_iter().filter(move |span| span.end() > mark.offset && span.size > 0);
            let chunks = stream::iter(unread).map(|span| fetch(Arc::clone(&store), id.clone(), span)).buffered(ahead);
            futures::pin_mut!(chunks);
            while let Some((span, chunk)) = chunks.try_next().await? {
                let records = chunk.and_then(|bytes| record::decode(bytes, order));
                // One that is gone or can't be read is a hole up to the next.
                let Some(records) = records else { continue };
                if span.offset > mark.offset {
                    let bytes = span.offset - mark.offset;
                    mark.offset = span.offset;
                    yield Entry::Hole { bytes, mark };
                }
                let count = records.len();
                for (index, record) in records.into_iter().enumerate() {
                    if order.is_after(record.place, mark.place) {
                        let offset = if index + 1 == count { span.end() } else { span.offset };
                        mark = Mark { offset, place: Some(record.place) };
                        yield Entry::Record(record, mark);
                    }
                }
                mark.offset = span.end();
            }
            if end > mark.offset {
                let bytes = end - mark.offset;
                mark.offset = end;
                yield Entry::Hole { bytes, mark };
            }
            for record in waiting.into_iter().flat_map(|waiting| waiting.records) {
                if order.is_after(record.place, mark.place) {
                    mark.place = Some(record.place);
                    yield Entry::Record(record, mark);
                }
            }
        }
    }

    /// Leaves out the chunks that have none of the last lines, this many; tells how many lines the rest has.
    pub(crate) async fn rewind(
        &mut self,
        store: &Arc<dyn ChunkStore>,
        lines: u64,
        is_wanted: impl Fn(&Record) -> bool + Send + Sync,
    ) -> Result<u64> {
        let (order, start) = (self.id.order(), self.mark);
        let counts = |record: &Record| {
            !record.continued && order.is_after(record.place, start.place) && is_wanted(record)
        };
        let count_all = |records: &[Record]| records.iter().filter(|record| counts(record)).count() as u64;
        let mut waiting = self.waiting.take();
        let mut count = None;
        let mut first = self.spans.len();
        for (index, span) in self.spans.iter().enumerate().rev() {
            if span.end() <= start.offset || count.is_some_and(|count| count >= lines) {
                break;
            }
            if span.size == 0 {
                continue;
            }
            let (_, chunk) = fetch(Arc::clone(store), self.id.clone(), *span).await?;
            let records = chunk.and_then(|bytes| record::decode(bytes, order)).unwrap_or_default();
            if count.is_none() {
                // Those that waited may be in the last chunk by now.
                let last = records.last().map(|record| record.place).max(start.place);
                let rest = waiting.as_mut().map(|waiting| &mut waiting.records);
                count = Some(rest.map_or(0, |rest| {
                    rest.retain(|record| order.is_after(record.place, last));
                    count_all(rest)
                }));
                if count.is_some_and(|count| count >= lines) {
                    self.mark.place = last;
                    break;
                }
            }
            count = count.map(|count| count + count_all(&records));
            first = index;
        }
        let count =
            count.unwrap_or_else(|| waiting.as_ref().map_or(0, |waiting| count_all(&waiting.records)));
        self.waiting = waiting;
        if count >= lines {
            let offset = self.spans.get(first).map_or_else(|| self.end(), |span| span.offset);
            self.mark.offset = self.mark.offset.max(offset);
            self.spans.drain(..first);
        }
        Ok(count)
    }
}

/// A chunk's bytes; none when it is gone.
async fn fetch(store: Arc<dyn ChunkStore>, id: StreamId, span: Span) -> Result<(Span, Option<Bytes>)> {
    match store.get(&id.chunk(span.offset)).await {
        Ok(chunk) if chunk.bytes.len() as u64 == span.size => Ok((span, Some(chunk.bytes.into()))),
        Ok(_) => Ok((span, None)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((span, None)),
        Err(error) => Err(error),
    }
}
