//! A store of chunks that fails in the ways of an object store, by a seed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use wm_core::{Chunk, ChunkPage, ChunkStore, ChunkStoreCapabilities, Creation, Error, ErrorKind, Result};

/// Numbers that look random, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Answers every fifth creation with an error although it was carried out, and has bursts in which it does nothing.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    inner: Arc<dyn ChunkStore>,
    state: Arc<Mutex<State>>,
    pub(crate) is_on: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    creations: u64,
    /// How many calls of a burst are to come.
    burst: u64,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn ChunkStore>, seed: u64) -> Self {
        let state = State { dice: Dice::new(seed), creations: 0, burst: 0 };
        Self { inner, state: Arc::new(Mutex::new(state)), is_on: Arc::new(AtomicBool::new(true)) }
    }

    fn is_busy(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        if !self.is_on.load(Ordering::Relaxed) {
            return Ok(());
        }
        if state.burst == 0 && state.dice.below(40) == 0 {
            state.burst = state.dice.below(12);
        }
        if state.burst > 0 {
            state.burst -= 1;
            return Err(Error::new(ErrorKind::Unavailable, "503 slow down"));
        }
        Ok(())
    }

    fn loses_the_answer(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.creations += 1;
        self.is_on.load(Ordering::Relaxed) && state.creations.is_multiple_of(5)
    }
}

#[async_trait]
impl ChunkStore for Faulty {
    fn capabilities(&self) -> ChunkStoreCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, key: &str, bytes: &[u8], writer: &str) -> Result<Creation> {
        self.is_busy()?;
        // Others come in between.
        tokio::task::yield_now().await;
        let answer = self.inner.create(key, bytes, writer).await?;
        tokio::task::yield_now().await;
        if self.loses_the_answer() {
            return Err(Error::new(ErrorKind::Unavailable, "500 internal error"));
        }
        Ok(answer)
    }

    async fn get(&self, key: &str) -> Result<Chunk> {
        self.is_busy()?;
        tokio::task::yield_now().await;
        self.inner.get(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ChunkPage> {
        self.is_busy()?;
        self.inner.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.inner.delete(key).await
    }
}

/// Answers nothing but one error while it is away.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    inner: Arc<dyn ChunkStore>,
    pub(crate) is_away: Arc<AtomicBool>,
    pub(crate) answer: Arc<Mutex<fn() -> Error>>,
}

impl Outage {
    pub(crate) fn new(inner: Arc<dyn ChunkStore>) -> Self {
        let answer: fn() -> Error = || Error::new(ErrorKind::Unavailable, "503 service unavailable");
        Self { inner, is_away: Arc::default(), answer: Arc::new(Mutex::new(answer)) }
    }

    fn here(&self) -> Result<()> {
        if self.is_away.load(Ordering::Relaxed) { Err(self.answer.lock().unwrap()()) } else { Ok(()) }
    }
}

#[async_trait]
impl ChunkStore for Outage {
    fn capabilities(&self) -> ChunkStoreCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, key: &str, bytes: &[u8], writer: &str) -> Result<Creation> {
        self.here()?;
        self.inner.create(key, bytes, writer).await
    }

    async fn get(&self, key: &str) -> Result<Chunk> {
        self.here()?;
        self.inner.get(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ChunkPage> {
        self.here()?;
        self.inner.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.here()?;
        self.inner.delete(key).await
    }
}
