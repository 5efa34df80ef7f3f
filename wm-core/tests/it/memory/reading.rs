//! Streams of states and of lines.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt as _, stream};
use tokio::sync::watch;
use wm_core::{
    Attempt, Error, ErrorKind, LogQuery, LogRecord, LogSource, LogStream, Result, RunId, RunStatus,
    StatusStream, WorkloadId,
};

use super::{
    Fault,
    world::{State, World},
};
use crate::batches::{self, keep_tail};

/// A run's states from now on.
pub(super) fn follow(world: &Arc<World>, index: usize) -> StatusStream {
    let number = world.change(|state| {
        state.follower += 1;
        state.follower
    });
    let mut changes = world.state.subscribe();
    changes.mark_changed();
    let follower = Follower { world: Arc::clone(world), index, number, changes, last: None };
    let late = world.state.borrow().runs[index].has_ended() && world.has(Fault::LateFollowersHang);
    stream::unfold(Some(follower), move |follower| async move {
        if late {
            futures::future::pending::<()>().await;
        }
        let mut follower = follower?;
        let status = follower.next().await?;
        let ended = status.phase.is_terminal();
        Some((Ok(status), (!ended).then_some(follower)))
    })
    .boxed()
}

struct Follower {
    world: Arc<World>,
    index: usize,
    number: usize,
    changes: watch::Receiver<State>,
    last: Option<RunStatus>,
}

impl Follower {
    async fn next(&mut self) -> Option<RunStatus> {
        loop {
            self.changes.changed().await.ok()?;
            let state = self.changes.borrow_and_update();
            if self.world.has(Fault::FollowersCutEachOther) && state.follower > self.number {
                return None;
            }
            let run = &state.runs[self.index];
            if run.deleted && self.world.has(Fault::DeleteLeavesFollowers) {
                continue;
            }
            if self.last.as_ref() != Some(&run.status) || self.world.has(Fault::StatesAreRepeated) {
                self.last = Some(run.status.clone());
                return self.last.clone();
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if self.world.has(Fault::DroppedStreamStops) {
            self.world.change(|state| state.runs[self.index].stop = true);
        }
    }
}

/// A log from now on.
pub(super) fn read(world: &Arc<World>, id: &WorkloadId, query: &LogQuery) -> Result<LogStream> {
    if query.follow && !world.can.follow_logs && !world.has(Fault::FollowIsIgnored) {
        return Err(Error::new(ErrorKind::Unsupported, "logs can't be followed here"));
    }
    let mut place = 0;
    if let Some(cursor) = query.after.as_ref().filter(|_| !world.has(Fault::CursorIsIgnored)) {
        if !world.can.resume_logs {
            return Err(Error::new(ErrorKind::Unsupported, "logs can't be read from a place here"));
        }
        place =
            cursor.as_str().parse().map_err(|_| Error::new(ErrorKind::InvalidRequest, "that is no place"))?;
        place -= usize::from(world.has(Fault::CursorRepeatsItsLine));
    }
    if world.state.borrow().ids(id).is_empty() && !world.has(Fault::UnknownLogIsEmpty) {
        return Err(Error::new(ErrorKind::NotFound, "nothing is known of this workload")
            .with_context("workload", id.as_str()));
    }
    let number = world.change(|state| {
        state.reader += 1;
        state.reader
    });
    let changes = world.state.subscribe();
    let reader =
        Reader { world: Arc::clone(world), id: id.clone(), query: query.clone(), place, number, changes };
    Ok(batches::read(reader))
}

struct Reader {
    world: Arc<World>,
    id: WorkloadId,
    query: LogQuery,
    place: usize,
    number: usize,
    changes: watch::Receiver<State>,
}

impl batches::Reader for Reader {
    type Kept = State;

    fn changes(&mut self) -> &mut watch::Receiver<State> {
        &mut self.changes
    }

    fn advance(&mut self) -> (Vec<LogRecord>, bool) {
        let world = &self.world;
        let state = self.changes.borrow_and_update();
        if world.has(Fault::ReadersCutEachOther) && state.reader > self.number {
            return (Vec::new(), true);
        }
        let mut ids = state.ids(&self.id);
        if world.has(Fault::EarlyMessagesAreForgotten) {
            ids =
                BTreeSet::from([state.runs.first().map_or(self.id.clone(), |run| run.id().workload.clone())]);
        }
        let runs = state.runs.iter().filter(|run| run.answers_to(&self.id));
        let last = runs.clone().map(|run| run.id().attempt).max();
        let new = state.lines.iter().skip(self.place).flatten().filter(|(id, record)| {
            let attempt = attempt(record);
            ids.contains(id)
                && self.query.attempt.is_none_or(|wanted| attempt == Some(wanted))
                && (world.has(Fault::ContainerIsIgnored)
                    || self.query.container.as_deref().is_none_or(|wanted| container(record) == Some(wanted)))
                && self.query.since.is_none_or(|since| record.time >= Some(since))
                && !(world.has(Fault::SinceIsExclusive)
                    && self.query.since.is_some_and(|s| record.time == Some(s)))
                && !(world.has(Fault::LastAttemptHidesOthers) && attempt.is_some() && attempt != last)
        });
        let mut records: Vec<_> = new.map(|(_, record)| record.clone()).collect();
        if world.has(Fault::MessagesComeFirst) {
            records.sort_by_key(|record| record.source != LogSource::Manager);
        }
        keep_tail(&mut records, &mut self.query, world.has(Fault::TailIsHead));
        self.place = state.lines.len();
        let wanted = |id: &RunId| self.query.attempt.is_none_or(|attempt| id.attempt == attempt);
        let open = runs.filter(|run| wanted(run.id())).any(|run| !run.has_ended());
        let follows = self.query.follow && (open || world.has(Fault::FollowNeverEnds));
        (records, !follows)
    }
}

fn container(record: &LogRecord) -> Option<&str> {
    match &record.source {
        LogSource::Output { container, .. } => Some(container),
        _ => None,
    }
}

fn attempt(record: &LogRecord) -> Option<Attempt> {
    match &record.source {
        LogSource::Output { attempt, .. } => Some(*attempt),
        _ => None,
    }
}
