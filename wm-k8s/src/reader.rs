//! The log of a workload: the messages of the manager and what its containers wrote, over all attempts.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    iter,
    sync::Arc,
    time::Duration,
};

use async_stream::try_stream;
use futures::{Stream, StreamExt as _, TryStreamExt as _, pin_mut};
use kube::api::LogParams;
use wm_core::{Error, ErrorKind, LogQuery, LogRecord, LogSource, LogStream, Result, WorkloadId};

use crate::{
    board,
    lines::{Cursor, Line, Lines},
    messages::{self, Message},
    names,
    shared::Shared,
    view::{JobObject, JobView, PodView},
};

/// How long to wait before a log is opened again, or a role without `watch` looks again.
const PAUSE: Duration = Duration::from_millis(500);

/// Opens the log of a workload.
pub(crate) async fn open(shared: Arc<Shared>, id: WorkloadId, query: LogQuery) -> Result<LogStream> {
    if query.after.is_some() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "a log of pods can't be read on from a place; read it since a time",
        ));
    }
    let live = query.follow && shared.follow().await;
    let known = !shared.jobs_of(&id).await?.is_empty() || !shared.unplaced.of(&id).is_empty();
    if !known {
        return Err(Error::new(
            ErrorKind::NotFound,
            "there is no log of this workload: it was never submitted, or it ended and was removed",
        )
        .with_context("workload", id.as_str()));
    }
    let mut reader = Reader { shared, id, query, live, cursors: HashMap::new(), told: HashMap::new() };
    Ok(try_stream! {
        if let Some(tail) = reader.query.tail {
            let tail = usize::try_from(tail).unwrap_or(usize::MAX);
            let mut last = VecDeque::new();
            {
                let snapshot = reader.pass(false);
                pin_mut!(snapshot);
                while let Some(record) = snapshot.try_next().await? {
                    last.push_back(record);
                    if last.len() > tail {
                        last.pop_front();
                    }
                }
            }
            for record in last {
                yield record;
            }
        }
        if reader.query.tail.is_none() || reader.query.follow {
            let follow = reader.query.follow;
            let records = reader.pass(follow);
            pin_mut!(records);
            while let Some(record) = records.try_next().await? {
                yield record;
            }
        }
    }
    .boxed())
}

#[derive(Debug)]
struct Reader {
    shared: Arc<Shared>,
    id: WorkloadId,
    query: LogQuery,
    /// Whether the board tells of changes; else they are looked for.
    live: bool,
    /// How far each pod has been read, by its UID.
    cursors: HashMap<String, Cursor>,
    /// How many messages of each Job have been told.
    told: HashMap<String, usize>,
}

/// How pods are read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    since: Option<jiff::Timestamp>,
    /// As in [`Reader`].
    live: bool,
    /// Whether a line that is still being written is given as far as it goes, to who does not wait for the rest.
    in_parts: bool,
}

impl Reader {
    /// Reads on from where the last pass ended.
    fn pass(&mut self, follow: bool) -> impl Stream<Item = Result<LogRecord>> + Send + '_ {
        let since = self.query.since;
        try_stream! {
            let jobs = self.shared.jobs_of(&self.id).await?;
            let attempts = jobs.into_iter().filter(|job| self.query.attempt.is_none_or(|only| job.run.attempt == only));
            let attempts = attempts.collect::<Vec<_>>();
            // A message may be with a later Job than the one that ran when it was written.
            let mut messages = self.unplaced(&attempts);
            for job in &attempts {
                messages.extend(self.messages(job).await?);
            }
            messages.sort_by_key(|message| message.time);
            let mut messages = messages.into_iter().peekable();
            for (index, job) in attempts.iter().enumerate() {
                let next = attempts.get(index + 1).and_then(board::begun);
                let own = iter::from_fn(|| messages.next_if(|message| next.is_none() || message.time < next));
                let own = own.collect();
                let output = self.attempt(job, follow, own);
                pin_mut!(output);
                while let Some(record) = output.try_next().await? {
                    yield record;
                }
            }
            for record in messages {
                yield record;
            }
            for record in self.unplaced(&attempts) {
                yield record;
            }
        }
        .try_filter(move |record: &LogRecord| futures::future::ready(is_wanted(record, since)))
    }

    /// Reads one attempt, to its end where it is followed, with the messages that were written in its time.
    fn attempt<'a>(
        &'a mut self,
        job: &'a JobView,
        follow: bool,
        mut waiting: VecDeque<LogRecord>,
    ) -> impl Stream<Item = Result<LogRecord>> + Send + 'a {
        let reading = Reading { since: self.query.since, live: self.live, in_parts: !self.query.follow };
        try_stream! {
            loop {
                let mut change = self.shared.board.subscribe(&job.name);
                let ended = !follow || self.has_ended(job).await?;
                let finished = job.is_finished() || (follow && ended);
                let mut pods = if finished {
                    self.shared.ended_pods_of(&job.name, &job.run).await?
                } else {
                    self.shared.pods_of(&job.name, &job.run).await?
                };
                pods.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
                let mut any = false;
                for pod in pods {
                    any = true;
                    // What is known before the program starts is older than all that it will write.
                    if !pod.has_started() {
                        for message in waiting.drain(..) {
                            yield message;
                        }
                    }
                    let output = pod_output(&self.shared, &mut self.cursors, &pod, job, follow && !pod.has_ended(), reading);
                    pin_mut!(output);
                    while let Some(record) = output.try_next().await? {
                        while waiting.front().is_some_and(|message: &LogRecord| message.time <= record.time) {
                            if let Some(message) = waiting.pop_front() {
                                yield message;
                            }
                        }
                        yield record;
                    }
                }
                if ended {
                    if !any && self.cursors.is_empty() && job.is_finished() {
                        waiting.push_back(LogRecord::new(
                            job.completed,
                            LogSource::Manager,
                            "the pod of this attempt is gone, and with it what it wrote",
                        ));
                    }
                    break;
                }
                for message in waiting.drain(..) {
                    yield message;
                }
                if self.live {
                    // The sender goes only with the board.
                    change.changed().await;
                } else {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            if follow {
                waiting.extend(self.messages(job).await.unwrap_or_default());
            }
            for message in waiting {
                yield message;
            }
        }
    }

    async fn has_ended(&self, job: &JobView) -> Result<bool> {
        Ok(self.shared.status_of(&job.run).await?.is_none_or(|status| status.phase.is_terminal()))
    }

    /// The messages of a Job that have not been told.
    async fn messages(&mut self, job: &JobView) -> Result<Vec<LogRecord>> {
        let object: JobObject = match self.shared.api.job(&job.name).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => {
                return Err(error.into_error("the log could not be read", self.shared.api.namespace()));
            }
        };
        let annotation = object.metadata.annotations.as_ref().and_then(|all| all.get(names::MESSAGES));
        let all = annotation.map(|text| messages::decode(text)).unwrap_or_default();
        Ok(self.untold(&job.name, &all))
    }

    /// The messages that no Job holds and that have not been told.
    fn unplaced(&mut self, jobs: &[JobView]) -> Vec<LogRecord> {
        let ids = jobs.iter().flat_map(|job| job.aliases.iter().chain([&job.run.workload]));
        let ids: BTreeSet<_> = ids.chain([&self.id]).cloned().collect();
        let told = ids.into_iter().flat_map(|id| {
            let messages = self.shared.unplaced.of(&id);
            self.untold(&format!("messages of {id}"), &messages)
        });
        told.collect()
    }

    fn untold(&mut self, key: &str, all: &[Message]) -> Vec<LogRecord> {
        let told = self.told.entry(key.to_owned()).or_default();
        let new = all.get(*told..).unwrap_or_default();
        let records = new
            .iter()
            .map(|message| LogRecord::new(Some(message.time), LogSource::Manager, message.text.clone()));
        let records = records.collect();
        *told = all.len();
        records
    }
}

fn is_wanted(record: &LogRecord, since: Option<jiff::Timestamp>) -> bool {
    since.is_none_or(|since| record.time.is_none_or(|time| time >= since))
}

/// Reads what one pod's container wrote, from its cursor; to the end of the container where it is followed.
fn pod_output<'a>(
    shared: &'a Shared,
    cursors: &'a mut HashMap<String, Cursor>,
    pod: &'a PodView,
    job: &'a JobView,
    follow: bool,
    reading: Reading,
) -> impl Stream<Item = Result<LogRecord>> + Send + 'a {
    try_stream! {
        let cursor = cursors.entry(pod.uid.clone()).or_default();
        let source = || LogSource::Output {
            attempt: job.run.attempt,
            instance: pod.name.to_string(),
            container: names::CONTAINER.to_owned(),
        };
        let mut failures = 0;
        loop {
            // What is known before the log is opened: if the container had ended by then, the log is whole.
            let mut changes = shared.board.subscribe(&job.name);
            let now = shared.pods_of(&job.name, &job.run).await?.into_iter().find(|now| now.uid == pod.uid);
            // What the caller has seen may be newer than what the watch has told.
            let now = if pod.has_ended() { Some(pod.clone()) } else { now };
            let ended = now.as_ref().is_none_or(PodView::has_ended);
            if now.as_ref().is_some_and(PodView::has_started) || now.is_none() {
                cursor.reopen();
                let params = LogParams {
                    container: Some(names::CONTAINER.to_owned()),
                    follow: follow && !ended,
                    timestamps: true,
                    since_time: cursor.since().max(reading.since.and_then(|time| jiff::Timestamp::from_second(time.as_second()).ok())),
                    ..LogParams::default()
                };
                match shared.api.log(&pod.name, &params).await {
                    Ok(stream) => {
                        let mut lines = Lines::default();
                        let mut broken = None;
                        pin_mut!(stream);
                        loop {
                            match stream.try_next().await {
                                Ok(Some(chunk)) => {
                                    lines.push(&chunk);
                                    for line in lines.take() {
                                        if let Some(record) = record(line, cursor, source()) {
                                            failures = 0;
                                            yield record;
                                        }
                                    }
                                }
                                Ok(None) => break,
                                Err(error) => {
                                    broken = Some(error);
                                    break;
                                }
                            }
                        }
                        match broken {
                            // A cut may have split the last line, so it is read again.
                            Some(error) => {
                                tracing::debug!(%error, pod = &*pod.name, "A log stream broke, it is taken up again");
                                failures += 1;
                                // Most breaks are one connection's; only what breaks again at once is given time.
                                if failures > 1 {
                                    tokio::time::sleep(PAUSE).await;
                                }
                                if failures > 20 && !follow {
                                    Err(Error::new(ErrorKind::Unavailable, "the log stream broke again and again")
                                        .with_source(error))?;
                                }
                                continue;
                            }
                            None => {
                                // A stream that ends may have been cut as well, unless the container had ended.
                                if (ended || reading.in_parts)
                                    && let Some(record) = lines.finish().and_then(|line| record(line, cursor, source()))
                                {
                                    yield record;
                                }
                            }
                        }
                    }
                    // Gone, or nothing has been written yet.
                    Err(error) if error.is_not_found() => break,
                    Err(error) if error.refusal().is_some_and(|refusal| matches!(refusal.code, 204 | 400)) => {}
                    Err(error) if error.is_temporary() && failures < 20 => {
                        failures += 1;
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    Err(error) => {
                        Err(error
                            .into_error("the log could not be read", shared.api.namespace())
                            .with_context("pod", &*pod.name))?;
                    }
                }
            }
            if ended || !follow {
                break;
            }
            if reading.live {
                changes.changed().await;
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn record(line: Line, cursor: &mut Cursor, source: LogSource) -> Option<LogRecord> {
    match line {
        Line::Output { time, bytes, ended } => cursor.accept(time).then(|| {
            let mut record = LogRecord::new(Some(time), source, bytes);
            record.ended = ended;
            record
        }),
        Line::Foreign(text) => {
            Some(LogRecord::new(None, LogSource::Manager, format!("the node can't read the log: {text}")))
        }
    }
}
