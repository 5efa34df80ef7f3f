//! A log that is read in batches, each when something has changed.

use futures::{StreamExt as _, stream};
use tokio::sync::watch;
use wm_core::{LogQuery, LogRecord, LogStream};

/// Who reads a log.
pub(crate) trait Reader: Send + 'static {
    /// What it reads from.
    type Kept: Send + Sync + 'static;

    fn changes(&mut self) -> &mut watch::Receiver<Self::Kept>;

    /// What is new, and whether that is the end.
    fn advance(&mut self) -> (Vec<LogRecord>, bool);
}

/// Reads what there is now, and then what comes.
pub(crate) fn read(mut reader: impl Reader) -> LogStream {
    reader.changes().mark_changed();
    let batches = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        reader.changes().changed().await.ok()?;
        let (records, ended) = reader.advance();
        Some((stream::iter(records), (!ended).then_some(reader)))
    });
    batches.flatten().map(Ok).boxed()
}

/// Leaves the last records if the query is for a tail, once; the first ones if that is the fault.
pub(crate) fn keep_tail(records: &mut Vec<LogRecord>, query: &mut LogQuery, is_head: bool) {
    let Some(tail) = query.tail.take() else { return };
    let tail = usize::try_from(tail).unwrap();
    if is_head {
        records.truncate(tail);
    } else {
        records.drain(..records.len().saturating_sub(tail));
    }
}
