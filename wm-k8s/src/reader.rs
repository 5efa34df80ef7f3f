//! The log of a workload: the messages of the manager and what its containers wrote, over all attempts.

mod telling;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_stream::try_stream;
use futures::{
    FutureExt as _, Stream, StreamExt as _, TryStreamExt as _,
    future::{Either, select},
    pin_mut, stream,
};
use tokio::sync::Notify;
use wm_core::{Attempt, Error, ErrorKind, LogQuery, LogRecord, LogStream, Result, WorkloadId};

use crate::{
    board::{self, Changes},
    bookmark::Bookmark,
    output::{self, Item, Mode, Subject},
    pod_log::{self, Output},
    shared::Shared,
    tail::Tail,
    told::{Notice, Told},
    view::{JobView, PodView},
};

/// How often a manager looks for news that is not told of them.
const PAUSE: Duration = Duration::from_millis(500);

/// Opens the log of a workload: what there is to open is open when it returns, so that who reads it late still can.
pub(crate) async fn open(shared: Arc<Shared>, id: WorkloadId, query: LogQuery) -> Result<LogStream> {
    let bookmark = query.after.as_ref().map(Bookmark::parse).transpose()?;
    let live = query.follow && shared.follow().await;
    let jobs = shared.jobs_of(&id).await?;
    if jobs.is_empty() && shared.unplaced.of(&id).is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "there is no log of this workload: it was never submitted, or it ended and was removed",
        )
        .with_context("workload", id.as_str()));
    }
    if let Some((workload, _)) = bookmark.as_ref().and_then(|bookmark| bookmark.attempt.as_ref())
        && *workload != id
        && !jobs.iter().any(|job| job.run.workload == *workload)
    {
        return Err(Error::new(ErrorKind::InvalidRequest, "this is a place of another workload's log")
            .with_context("workload", id.as_str())
            .with_context("cursor", query.after.as_ref().map(ToString::to_string).unwrap_or_default()));
    }
    let opened = Arc::new(Notify::new());
    let reader = Reader {
        shared,
        id,
        query,
        live,
        start: bookmark.as_ref().and_then(|bookmark| bookmark.attempt.clone()),
        told: Told::new(bookmark.as_ref()),
        bookmark: bookmark.unwrap_or_default(),
        begun: HashMap::new(),
        opened: Arc::clone(&opened),
    };
    let mut records = reader.records().boxed();
    let first = match select(records.next(), opened.notified().boxed()).await {
        Either::Left((None, _)) => return Ok(stream::empty().boxed()),
        Either::Left((Some(record), _)) => Some(record?),
        Either::Right(_) => None,
    };
    Ok(stream::iter(first.map(Ok)).chain(records).boxed())
}

struct Reader {
    shared: Arc<Shared>,
    id: WorkloadId,
    query: LogQuery,
    /// Whether the board tells of changes; else they are looked for.
    live: bool,
    /// The attempt that somebody else has read up to.
    start: Option<(WorkloadId, Attempt)>,
    bookmark: Bookmark,
    told: Told,
    /// The Job of each pod that was read from.
    begun: HashMap<String, Arc<str>>,
    opened: Arc<Notify>,
}

/// What an attempt is to the log that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    New,
    /// It has been read, but for what was not at its end.
    Known,
    /// It is a build, whose log stands in the place of a message; the messages about it are its own.
    Included,
}

/// A record on its way out.
struct Entry {
    record: LogRecord,
    /// Whether a line begins with it.
    first: bool,
}

impl Reader {
    fn records(mut self) -> impl Stream<Item = Result<LogRecord>> + Send {
        try_stream! {
            let mut held = Vec::new();
            // Only what is read last is what somebody waits for.
            let opened = std::mem::take(&mut self.opened);
            if let Some(lines) = self.query.tail {
                let mut tail = Tail::new(lines);
                let start = (self.bookmark.clone(), self.told.clone());
                {
                    let there = self.pass(false);
                    pin_mut!(there);
                    while let Some(entry) = there.try_next().await? {
                        tail.push(entry.record, entry.first);
                    }
                }
                match tail.skipped() {
                    // They are too many to be held, so they are read once more.
                    Some(skipped) => {
                        let count = tail.count();
                        (self.bookmark, self.told) = start;
                        let mut seen = 0;
                        let again = self.pass(false);
                        pin_mut!(again);
                        while let Some(entry) = again.try_next().await? {
                            seen += u64::from(entry.first);
                            if seen > count {
                                break;
                            }
                            if seen > skipped {
                                yield entry.record;
                            }
                        }
                    }
                    None => held.extend(tail.into_records()),
                }
            }
            if self.query.tail.is_some() && !self.query.follow {
                for record in held {
                    yield record;
                }
                return;
            }
            let is_open = Arc::new(Notify::new());
            self.opened = Arc::clone(&is_open);
            let follow = self.query.follow;
            let entries = self.pass(follow);
            pin_mut!(entries);
            let first = match select(entries.next(), is_open.notified().boxed()).await {
                Either::Left((first, _)) => Some(first),
                Either::Right(_) => None,
            };
            opened.notify_one();
            for record in held {
                yield record;
            }
            let first = match first {
                Some(Some(first)) => Some(first?),
                Some(None) => return,
                None => None,
            };
            if let Some(entry) = first {
                yield entry.record;
            }
            while let Some(entry) = entries.try_next().await? {
                yield entry.record;
            }
        }
    }

    /// Reads on from where the last pass ended.
    fn pass(&mut self, follow: bool) -> impl Stream<Item = Result<Entry>> + Send + '_ {
        let since = self.query.since;
        let is_wanted =
            move |record: &LogRecord| since.is_none_or(|since| record.time.is_none_or(|time| time >= since));
        try_stream! {
            let mut read = HashSet::new();
            loop {
                let all = self.shared.jobs_of(&self.id).await?;
                let known = self.known(&all);
                let only = self.query.attempt;
                let attempts: Vec<_> = all
                    .into_iter()
                    .enumerate()
                    .map(|(index, job)| (index < known, Arc::new(job)))
                    .filter(|(_, job)| only.is_none_or(|only| job.run.attempt == only) && !read.contains(&job.uid))
                    .collect();
                if attempts.is_empty() && !read.is_empty() {
                    break;
                }
                // A message may be with a later Job than the one that ran when it was written.
                let jobs: Vec<_> = attempts.iter().map(|(_, job)| Arc::clone(job)).collect();
                self.hear(&jobs).await?;
                for (index, (is_known, job)) in attempts.iter().enumerate() {
                    read.insert(job.uid.clone());
                    let next = attempts.get(index + 1).and_then(|(_, next)| board::begun(next));
                    let own = self.told.take_before(next);
                    let part = if *is_known { Part::Known } else { Part::New };
                    let output = self.attempt(job, follow, part, own);
                    pin_mut!(output);
                    while let Some(entry) = output.try_next().await? {
                        yield entry;
                    }
                }
                self.told.hear_unplaced(&self.shared, &self.ids(&jobs));
                for notice in self.told.take_before(None) {
                    let told = self.tell(notice, follow);
                    pin_mut!(told);
                    while let Some(entry) = told.try_next().await? {
                        yield entry;
                    }
                }
                // Who follows a log follows the attempts that began meanwhile, too.
                if !follow || attempts.is_empty() {
                    break;
                }
            }
        }
        .try_filter(move |entry: &Entry| futures::future::ready(is_wanted(&entry.record)))
    }

    /// How many attempts come before the one that somebody else has read up to.
    fn known(&self, jobs: &[JobView]) -> usize {
        let Some((workload, attempt)) = &self.start else { return 0 };
        let own = |job: &&JobView| job.run.workload == *workload;
        let at = jobs.iter().position(|job| own(&job) && job.run.attempt == *attempt);
        // It may be gone.
        let after = || jobs.iter().position(|job| own(&job) && job.run.attempt > *attempt);
        at.or_else(after).unwrap_or(jobs.len())
    }

    /// Reads one attempt, to its end where it is followed, with the messages that were written in its time.
    fn attempt<'a>(
        &'a mut self,
        job: &'a Arc<JobView>,
        follow: bool,
        part: Part,
        mut waiting: VecDeque<Notice>,
    ) -> impl Stream<Item = Result<Entry>> + Send + 'a {
        try_stream! {
            if part == Part::New {
                self.bookmark.turn_to(&job.run.workload, job.run.attempt);
            }
            let mut news = self.shared.board.subscribe(&job.name);
            let mut unplaced = self.shared.unplaced.subscribe();
            let mut any = part == Part::Known;
            loop {
                news.skip();
                unplaced.borrow_and_update();
                let ended = !follow || self.has_ended(job).await?;
                let mut pods = self.pods(job, follow && ended).await?;
                // Whether changes were heard of that have not been looked at.
                let mut has_changed = false;
                pods.retain(|pod| part != Part::Known || self.bookmark.pods.contains_key(&pod.uid));
                for pod in pods {
                    any = true;
                    if self.bookmark.is_done(&pod.uid) {
                        continue;
                    }
                    // What is known before the program starts is older than all that it will write.
                    if !pod.outputs().any(|output| output.has_started()) {
                        for notice in waiting.drain(..) {
                            let told = self.tell(notice, follow);
                            pin_mut!(told);
                            while let Some(entry) = told.try_next().await? {
                                yield entry;
                            }
                        }
                        continue;
                    }
                    let pod = Arc::new(pod);
                    // What is there already has an order, which a follower would not see.
                    let has_order = !waiting.is_empty() || !pod.others.is_empty();
                    if !follow || pod.is_over() || has_order {
                        let (names, outputs) = self.outputs(job, &pod, false);
                        let merged = pod_log::in_order(outputs);
                        pin_mut!(merged);
                        while let Some((index, item)) = merged.try_next().await? {
                            while item.first
                                && let Some(notice) = waiting.pop_front_if(|notice| notice.is_before(&item.record))
                            {
                                let told = self.tell(notice, follow);
                                pin_mut!(told);
                                while let Some(entry) = told.try_next().await? {
                                    yield entry;
                                }
                            }
                            yield self.put(&pod, &names[index], item);
                        }
                        if pod.is_over() {
                            self.bookmark.finish(&pod.uid);
                        }
                    }
                    if follow && !pod.is_over() {
                        for notice in waiting.drain(..) {
                            let told = self.tell(notice, follow);
                            pin_mut!(told);
                            while let Some(entry) = told.try_next().await? {
                                yield entry;
                            }
                        }
                        let (names, outputs) = self.outputs(job, &pod, true);
                        if outputs.is_empty() {
                            continue;
                        }
                        let merged = pod_log::as_it_comes(outputs);
                        pin_mut!(merged);
                        loop {
                            let changed = changed(&mut news, &mut unplaced, self.live);
                            pin_mut!(changed);
                            match select(merged.next(), changed).await {
                                Either::Left((None, _)) => break,
                                Either::Left((Some(item), _)) => {
                                    let (index, item) = item?;
                                    yield self.put(&pod, &names[index], item);
                                }
                                Either::Right(((), _)) => {
                                    self.hear_meanwhile(job, part).await?;
                                    // Those of the workload come when the build's log is read.
                                    let own = (part != Part::Included).then(|| self.told.take_before(None));
                                    for notice in own.into_iter().flatten() {
                                        let told = self.tell(notice, follow);
                                        pin_mut!(told);
                                        while let Some(entry) = told.try_next().await? {
                                            yield entry;
                                        }
                                    }
                                }
                            }
                        }
                        // They end when nothing more can come, though the board may not know it yet.
                        self.bookmark.finish(&pod.uid);
                        has_changed = true;
                    }
                }
                if ended {
                    if part == Part::Included {
                        // Whoever reads it says so.
                    } else if !any && self.is_gone(job).await? {
                        let text = "the pod of this attempt is gone, and with it whatever it wrote";
                        waiting.push_back(Notice::of_now(job.completed, text));
                    } else if follow && self.has_vanished(job) {
                        let text = "the pod of this attempt is gone, and with it what it wrote after this";
                        waiting.push_back(Notice::of_now(None, text));
                    }
                    break;
                }
                for notice in waiting.drain(..) {
                    let told = self.tell(notice, follow);
                    pin_mut!(told);
                    while let Some(entry) = told.try_next().await? {
                        yield entry;
                    }
                }
                if !has_changed {
                    self.opened.notify_one();
                    changed(&mut news, &mut unplaced, self.live).await;
                }
                self.hear_meanwhile(job, part).await?;
                if part != Part::Included {
                    waiting.extend(self.told.take_before(None));
                }
            }
            if follow && part != Part::Included {
                self.hear(std::slice::from_ref(job)).await?;
                waiting.extend(self.told.take_before(None));
            }
            for notice in waiting {
                let told = self.tell(notice, follow);
                pin_mut!(told);
                while let Some(entry) = told.try_next().await? {
                    yield entry;
                }
            }
        }
    }

    async fn has_ended(&self, job: &JobView) -> Result<bool> {
        Ok(self.shared.status_of(&job.run).await?.is_none_or(|status| status.phase.is_terminal()))
    }

    /// Whether an attempt that has no pods may have had some.
    async fn is_gone(&self, job: &JobView) -> Result<bool> {
        Ok(job.is_finished() || (!job.suspended && self.shared.status_of(&job.run).await?.is_none()))
    }

    /// Whether a pod of an attempt that has ended was not read to its end.
    fn has_vanished(&self, job: &JobView) -> bool {
        let mut own = self.begun.iter().filter(|(_, of)| **of == job.name);
        own.any(|(pod, _)| !self.bookmark.is_done(pod))
    }

    async fn pods(&self, job: &JobView, has_ended: bool) -> Result<Vec<PodView>> {
        let mut pods = if has_ended || job.is_finished() {
            self.shared.ended_pods_of(&job.name, &job.run).await?
        } else {
            self.shared.pods_of(&job.name, &job.run).await?
        };
        pods.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        Ok(pods)
    }

    /// The outputs of a pod's containers, from where they have been read to.
    fn outputs(&self, job: &Arc<JobView>, pod: &Arc<PodView>, follow: bool) -> (Vec<String>, Vec<Output>) {
        let in_parts = !self.query.follow;
        let mode = Mode { follow, live: self.live, in_parts, since: self.query.since };
        let names = pod.outputs().map(|output| output.container);
        let names = names.filter(|name| self.query.container.as_ref().is_none_or(|only| only == name));
        names
            .map(|container| {
                let mark = self.bookmark.mark(&pod.uid, &container);
                let subject =
                    Subject { job: Arc::clone(job), pod: Arc::clone(pod), container: container.clone() };
                let opened = Arc::clone(&self.opened);
                (container, output::read(Arc::clone(&self.shared), subject, mark, mode, opened).boxed())
            })
            .unzip()
    }

    fn put(&mut self, pod: &PodView, container: &str, item: Item) -> Entry {
        self.bookmark.set(&pod.uid, container, item.mark);
        if !self.begun.contains_key(&pod.uid) {
            self.begun.insert(pod.uid.clone(), Arc::clone(&pod.job));
        }
        Entry { record: item.record.with_cursor(self.bookmark.to_cursor()), first: item.first }
    }
}

/// Waits until there may be something new.
async fn changed(news: &mut Changes, unplaced: &mut tokio::sync::watch::Receiver<()>, live: bool) {
    let change = select(news.changed().boxed(), unplaced.changed().boxed());
    if live {
        // The senders live as long as the manager.
        let _either = change.await;
    } else {
        let _either = tokio::time::timeout(PAUSE, change).await;
    }
}
