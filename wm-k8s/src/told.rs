//! Which of the manager's messages have been told to who reads a log.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use wm_core::{Attempt, LogRecord, Result, WorkloadId};

use crate::{
    bookmark::Bookmark,
    messages::Messages,
    names,
    shared::Shared,
    view::{JobObject, JobView},
};

/// A message that is to be told.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    time: Option<Timestamp>,
    text: String,
    /// The build whose log stands here instead of the text.
    pub(crate) build: Option<(WorkloadId, Attempt)>,
    holder: Holder,
}

#[derive(Clone, Copy, Debug)]
enum Holder {
    /// The Job of an attempt, and how many of its messages are known with this one.
    Job(Attempt, usize),
    /// This manager's memory, and how many of its messages had this time.
    Memory(u32),
    /// It is made as it is told.
    Nobody,
}

impl Notice {
    pub(crate) fn of_now(time: Option<Timestamp>, text: &str) -> Self {
        Self { time, text: text.to_owned(), build: None, holder: Holder::Nobody }
    }

    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    pub(crate) fn is_before(&self, record: &LogRecord) -> bool {
        self.time <= record.time
    }

    /// Remembers that it is told, and gives its text.
    pub(crate) fn place_in(self, bookmark: &mut Bookmark) -> String {
        match (self.holder, self.time) {
            (Holder::Job(attempt, count), _) => {
                bookmark.told.insert(attempt, count);
            }
            (Holder::Memory(count), Some(time)) => bookmark.unplaced = Some((time, count)),
            _ => {}
        }
        self.text
    }
}

/// What has been heard of, and what of it waits to be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// How many messages of each attempt's Job.
    heard: BTreeMap<Attempt, usize>,
    /// As in [`Bookmark`].
    unplaced: Option<(Timestamp, u32)>,
    /// By which it is known that a Job has others by now.
    hashes: HashMap<Arc<str>, u64>,
    waiting: VecDeque<Notice>,
}

impl Told {
    pub(crate) fn new(bookmark: Option<&Bookmark>) -> Self {
        let heard = bookmark.map(|bookmark| bookmark.told.clone()).unwrap_or_default();
        let unplaced = bookmark.and_then(|bookmark| bookmark.unplaced);
        Self { heard, unplaced, ..Self::default() }
    }

    /// Takes what waits and is older than this.
    pub(crate) fn take_before(&mut self, end: Option<Timestamp>) -> VecDeque<Notice> {
        let count = self.waiting.partition_point(|notice| end.is_none() || notice.time < end);
        self.waiting.drain(..count).collect()
    }

    pub(crate) fn has_more(&self, job: &JobView) -> bool {
        self.hashes.get(&job.name).copied().unwrap_or_default() != job.messages
    }

    /// Reads the messages of a Job.
    pub(crate) async fn hear_job(&mut self, shared: &Shared, job: &JobView) -> Result<()> {
        let object: JobObject = match shared.api.job(&job.name).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into_error("the log could not be read", shared.api.namespace())),
        };
        let now = JobView::new(&object);
        self.hashes.insert(Arc::clone(&job.name), now.map_or(0, |now| now.messages));
        let annotation = object.metadata.annotations.as_ref().and_then(|all| all.get(names::MESSAGES));
        let messages = annotation.map(|text| Messages::decode(text)).unwrap_or_default();
        let attempt = job.run.attempt;
        let heard = match self.heard.get(&attempt) {
            Some(heard) => *heard,
            // Those that this manager told before there was a Job to hold them.
            None => messages.dropped + self.known_of(&messages),
        };
        let new = messages.after(heard);
        let first = messages.count() + 1 - new.len();
        let new = (first..).zip(new).map(|(count, message)| Notice {
            time: Some(message.time),
            text: message.text,
            build: message.build,
            holder: Holder::Job(attempt, count),
        });
        let new = new.collect();
        self.heard.insert(attempt, messages.count());
        self.add(new);
        Ok(())
    }

    fn known_of(&self, messages: &Messages) -> usize {
        let Some((last, count)) = self.unplaced else { return 0 };
        let mut same = 0;
        let known = messages.kept.iter().take_while(|message| {
            same += u32::from(message.time == last);
            message.time < last || (message.time == last && same <= count)
        });
        known.count()
    }

    /// Reads the messages that no Job holds.
    pub(crate) fn hear_unplaced(&mut self, shared: &Shared, ids: &[WorkloadId]) {
        let mut messages: Vec<_> = ids.iter().flat_map(|id| shared.unplaced.of(id)).collect();
        messages.sort_by_key(|message| message.time);
        let mut new = Vec::new();
        let mut same = (None, 0);
        for message in messages {
            same = if same.0 == Some(message.time) { (same.0, same.1 + 1) } else { (Some(message.time), 1) };
            let place = (message.time, same.1);
            if self.unplaced.is_none_or(|known| place > known) {
                self.unplaced = Some(place);
                new.push(Notice {
                    time: Some(message.time),
                    text: message.text,
                    build: message.build,
                    holder: Holder::Memory(place.1),
                });
            }
        }
        self.add(new);
    }

    /// Puts messages among those that wait, by their time; those of one holder keep their order.
    fn add(&mut self, new: Vec<Notice>) {
        let mut from = 0;
        for notice in new {
            let at = self.waiting.partition_point(|waiting| waiting.time <= notice.time).max(from);
            self.waiting.insert(at, notice);
            from = at + 1;
        }
    }
}
