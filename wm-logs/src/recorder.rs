//! A stream on the server that writes it: lines are put in from any side, one task at a time writes them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use wm_core::{ChunkStore, Creation, Error, ErrorKind, LogLine, LogPosition, Result};

use crate::{
    index::{self, Span},
    layout::StreamId,
    record::{self, Order, Record},
    settings::ArchiveSettings,
    tape::{Bounds, Tape},
};

/// How long to wait before the store is tried again; it doubles with each time in vain.
const PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_secs(30);
/// A stream into which nothing came for this long is written soon again.
const IDLE: Duration = Duration::from_secs(30);
/// How many lingers a server leaves a stream to another one that writes it.
const DEFERENCE: u32 = 3;

#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) id: StreamId,
    store: Arc<dyn ChunkStore>,
    writer: Arc<str>,
    settings: ArchiveSettings,
    /// Of all outputs of this archive.
    held: Arc<AtomicUsize>,
    state: Mutex<State>,
    /// Hears of each chunk that is kept and each try that failed.
    progress: watch::Sender<()>,
    nudge: Notify,
}

#[derive(Debug)]
struct State {
    tape: Tape,
    is_running: bool,
    /// Whether somebody waits for what is there to be kept.
    is_wanted: bool,
    linger: Duration,
    /// When the next chunk is to be written.
    due: Instant,
    last_write: Instant,
    tries_in_vain: u32,
    /// How many tries have failed, and why the last did.
    failures: u64,
    failure: Option<(ErrorKind, String)>,
}

/// What of a stream is not in the store yet.
pub(crate) struct Waiting {
    /// Where it will be, or behind that.
    pub(crate) offset: u64,
    pub(crate) records: Vec<Record>,
}

impl Recorder {
    /// Takes up a stream where it ends in the store.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn open(
        id: StreamId,
        store: &Arc<dyn ChunkStore>,
        writer: &Arc<str>,
        settings: &ArchiveSettings,
        held: &Arc<AtomicUsize>,
    ) -> Result<Self> {
        let streams = index::streams(store.as_ref(), &id.all_writers()).await?;
        let own = streams.get(&id).map(Vec::as_slice).unwrap_or_default();
        let is_closed = own.last().is_some_and(|span| span.size == 0);
        let tail = own.last().map_or(0, Span::end);
        let mut end: Option<Record> = None;
        for (stream, spans) in &streams {
            // One that can't be read has no place in it that counts.
            for span in spans.iter().rev().filter(|span| span.size > 0) {
                let last = match store.get(&stream.chunk(span.offset)).await {
                    Ok(chunk) => record::decode(chunk.bytes.into(), id.order()),
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                };
                if let Some(last) = last.and_then(|records| records.last().cloned()) {
                    if id.order().is_after(last.place, end.as_ref().map(|end| end.place)) {
                        end = Some(last);
                    }
                    break;
                }
            }
        }
        let recorder = Self::new(id, store, writer, settings, held, (tail, end.as_ref()));
        if is_closed {
            recorder.lock().tape.close();
        }
        Ok(recorder)
    }

    /// Begins a stream that no other server writes.
    pub(crate) fn begin(
        id: StreamId,
        store: &Arc<dyn ChunkStore>,
        writer: &Arc<str>,
        settings: &ArchiveSettings,
        held: &Arc<AtomicUsize>,
    ) -> Self {
        Self::new(id, store, writer, settings, held, (0, None))
    }

    fn new(
        id: StreamId,
        store: &Arc<dyn ChunkStore>,
        writer: &Arc<str>,
        settings: &ArchiveSettings,
        held: &Arc<AtomicUsize>,
        (tail, last): (u64, Option<&Record>),
    ) -> Self {
        let order = id.order();
        let (waiting, stream) = match order {
            Order::Time => (settings.chunk_bytes * 2, settings.output_bytes),
            Order::Count => (settings.message_bytes, u64::MAX),
        };
        let bounds = Bounds { chunk: settings.chunk_bytes, waiting, stream };
        let now = Instant::now();
        let state = State {
            tape: Tape::new(order, bounds, tail, last),
            is_running: false,
            is_wanted: false,
            linger: settings.linger,
            due: now,
            last_write: now,
            tries_in_vain: 0,
            failures: 0,
            failure: None,
        };
        Self {
            id,
            store: Arc::clone(store),
            writer: Arc::clone(writer),
            settings: settings.clone(),
            held: Arc::clone(held),
            state: Mutex::new(state),
            progress: watch::Sender::default(),
            nudge: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What panicked left a state that is whole: each change of it is one assignment or of one method of the tape.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the tape and keeps the account of what waits.
    fn change<T>(&self, state: &mut State, change: impl FnOnce(&mut Tape) -> T) -> T {
        let before = state.tape.waiting_bytes();
        let result = change(&mut state.tape);
        let after = state.tape.waiting_bytes();
        if self.id.order() == Order::Time {
            if after >= before {
                self.held.fetch_add(after - before, Ordering::Relaxed);
            } else {
                self.held.fetch_sub(before - after, Ordering::Relaxed);
            }
        }
        result
    }

    pub(crate) fn end(&self) -> Option<LogPosition> {
        self.lock().tape.end()
    }

    pub(crate) fn is_new(&self, place: LogPosition) -> bool {
        self.lock().tape.is_new(place)
    }

    /// Whether nothing waits.
    pub(crate) fn is_settled(&self) -> bool {
        self.lock().tape.waiting_bytes() == 0
    }

    /// Whether nothing has been written for this long, and nothing waits.
    pub(crate) fn is_idle_for(&self, time: Duration) -> bool {
        let state = self.lock();
        !state.is_running && state.tape.waiting_bytes() == 0 && state.last_write.elapsed() >= time
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().tape.is_closed()
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        self.change(&mut state, Tape::close);
        drop(state);
        self.progress.send_replace(());
        self.nudge.notify_one();
    }

    pub(crate) fn waiting(&self) -> Waiting {
        let state = self.lock();
        let records =
            state.tape.waiting().map(|record| Record { line: state.tape.text(record), ..record.clone() });
        Waiting { offset: state.tape.tail(), records: records.collect() }
    }

    /// Takes the first of these lines, as many as there is room for, and tells how many.
    pub(crate) fn take(&self, lines: &[LogLine]) -> usize {
        let mut state = self.lock();
        let budget = self.settings.waiting_bytes;
        let count = lines.iter().take_while(|line| {
            let is_crowded = self.held.load(Ordering::Relaxed) >= budget && state.tape.waiting_bytes() > 0;
            let has_room = state.tape.has_room() && !is_crowded;
            if has_room {
                self.change(&mut state, |tape| tape.take(line));
            }
            has_room
        });
        let count = count.count();
        self.schedule(&mut state);
        count
    }

    pub(crate) fn say(&self, time: Timestamp, lines: &[&str]) {
        let mut state = self.lock();
        for line in lines {
            state.tape.say(time, line);
        }
        self.schedule(&mut state);
    }

    /// Sets when a chunk is to be written, if one is begun.
    fn schedule(&self, state: &mut State) {
        let now = Instant::now();
        if !state.is_running && now.duration_since(state.last_write) > IDLE {
            state.linger = self.settings.linger;
        }
        if !state.is_running {
            state.due = state.due.max(now + state.linger);
        }
        if state.tape.has_chunk() {
            self.nudge.notify_one();
        }
    }

    /// Whether a task is to be started that [`keep`](Self::keep)s it; says so once.
    pub(crate) fn starts(&self) -> bool {
        let mut state = self.lock();
        let starts = !state.is_running && state.tape.waiting_bytes() > 0;
        state.is_running |= starts;
        starts
    }

    /// Writes chunks until nothing waits.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            let due = {
                let mut state = self.lock();
                if state.tape.waiting_bytes() == 0 {
                    state.is_running = false;
                    state.is_wanted = false;
                    self.progress.send_replace(());
                    return;
                }
                let at_once = state.is_wanted || (state.tape.has_chunk() && state.tries_in_vain == 0);
                (!at_once).then_some(state.due)
            };
            if let Some(due) = due {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = self.nudge.notified() => continue,
                }
            }
            self.write().await;
        }
    }

    async fn write(&self) {
        let Some(draft) = self.lock().tape.draft() else { return };
        let key = self.id.chunk(draft.offset);
        let met = match self.store.create(&key, &draft.bytes, &self.writer).await {
            Ok(Creation::Created) => Ok(None),
            Ok(Creation::Exists) => self.store.get(&key).await.map(Some),
            Err(error) => Err(error),
        };
        let mut state = self.lock();
        let now = Instant::now();
        match met {
            Ok(chunk) => {
                let is_foreign = chunk.as_ref().is_some_and(|chunk| {
                    chunk.writer.as_deref().map_or(chunk.bytes != draft.bytes, |by| *by != *self.writer)
                });
                self.change(&mut state, |tape| match chunk {
                    Some(chunk) => tape.met(&Bytes::from(chunk.bytes)),
                    None => tape.created(&draft),
                });
                state.tries_in_vain = 0;
                state.failure = None;
                state.last_write = now;
                state.linger = (state.linger * 2).min(self.settings.most_linger);
                state.due = now + state.linger * if is_foreign { DEFERENCE } else { 1 };
                state.is_wanted &= state.tape.waiting_bytes() > 0;
            }
            Err(error) => {
                let pause = PAUSE * (1 << state.tries_in_vain.min(5));
                state.due = now + error.retry_after().unwrap_or(pause).min(MOST_PAUSE);
                if state.tries_in_vain == 0 {
                    tracing::warn!(%error, stream = %self.id, "The archive can't be written to, lines wait");
                }
                state.tries_in_vain += 1;
                state.failures += 1;
                state.failure = Some((error.kind(), error.to_string()));
                state.is_wanted = false;
            }
        }
        drop(state);
        self.progress.send_replace(());
    }

    /// Waits until there may be room for more.
    pub(crate) async fn room(&self) {
        let mut progress = self.progress.subscribe();
        loop {
            {
                let state = self.lock();
                let is_crowded = self.held.load(Ordering::Relaxed) >= self.settings.waiting_bytes;
                let has_room = state.tape.has_room() && (!is_crowded || state.tape.waiting_bytes() == 0);
                if state.tape.is_closed() || has_room {
                    return;
                }
            }
            // The room of other streams is not told of.
            let _either = tokio::time::timeout(PAUSE, progress.changed()).await;
        }
    }

    /// Waits until all that waits now is kept, and fails when a try to keep it does.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn settle(&self) -> Result<()> {
        let mut progress = self.progress.subscribe();
        let (end, failures) = {
            let mut state = self.lock();
            let end = state.tape.end();
            if state.tape.has_kept(end) {
                return Ok(());
            }
            state.is_wanted = true;
            (end, state.failures)
        };
        self.nudge.notify_one();
        loop {
            {
                let mut state = self.lock();
                if state.tape.has_kept(end) {
                    return Ok(());
                }
                if state.failures > failures
                    && let Some((kind, message)) = &state.failure
                {
                    return Err(
                        Error::new(*kind, message.clone()).with_context("stream", self.id.to_string())
                    );
                }
                state.is_wanted = true;
            }
            if progress.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Counts what other servers have kept meanwhile.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        loop {
            let tail = self.lock().tape.tail();
            let key = self.id.chunk(tail);
            let chunk = match self.store.get(&key).await {
                Ok(chunk) => Bytes::from(chunk.bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            let is_end = chunk.is_empty();
            let mut state = self.lock();
            if state.tape.tail() == tail {
                self.change(&mut state, |tape| tape.met(&chunk));
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// Waits until nothing is being written; to be called when nothing more comes.
    pub(crate) async fn idle(&self) {
        let mut progress = self.progress.subscribe();
        while self.lock().is_running && progress.changed().await.is_ok() {}
    }

    /// The end of the stream in the store, and none behind it: no server writes it any more.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn end_stream(&self) -> Result<()> {
        loop {
            self.settle().await?;
            let (tail, is_closed) = {
                let state = self.lock();
                (state.tape.tail(), state.tape.is_closed())
            };
            if is_closed {
                return Ok(());
            }
            let key = self.id.chunk(tail);
            if self.store.create(&key, &[], &self.writer).await? == Creation::Created {
                self.close();
                return Ok(());
            }
            let chunk = self.store.get(&key).await?;
            let mut state = self.lock();
            if state.tape.tail() == tail {
                self.change(&mut state, |tape| tape.met(&chunk.bytes.into()));
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.change(&mut state, Tape::close);
    }
}
