use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use wm_core::{
    Chunk, ChunkEntry, ChunkPage, ChunkStore, ChunkStoreCapabilities, Creation, Error, ErrorKind, Result,
};

/// As many entries has a page of a list at most.
const PAGE: usize = 1000;

/// Keeps chunks in memory, for tests and for servers that need no more; a clone is the same store.
#[derive(Clone)]
pub struct MemoryChunkStore {
    chunks: Arc<Mutex<BTreeMap<String, Chunk>>>,
    can: ChunkStoreCapabilities,
}

impl MemoryChunkStore {
    /// Makes an empty store that can all that there is.
    pub fn new() -> Self {
        Self::with_capabilities(ChunkStoreCapabilities { conditional_create: true, delete: true })
    }

    /// Makes an empty store that can only this.
    pub fn with_capabilities(can: ChunkStoreCapabilities) -> Self {
        Self { chunks: Arc::default(), can }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Chunk>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryChunkStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryChunkStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryChunkStore").field("can", &self.can).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for MemoryChunkStore {
    fn capabilities(&self) -> ChunkStoreCapabilities {
        self.can
    }

    async fn create(&self, key: &str, bytes: &[u8], writer: &str) -> Result<Creation> {
        let mut chunks = self.lock();
        if self.can.conditional_create && chunks.contains_key(key) {
            return Ok(Creation::Exists);
        }
        chunks.insert(key.to_owned(), Chunk::new(bytes).with_writer(writer));
        Ok(Creation::Created)
    }

    async fn get(&self, key: &str) -> Result<Chunk> {
        let chunk = self.lock().get(key).cloned();
        chunk
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such chunk").with_context("key", key))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ChunkPage> {
        let chunks = self.lock();
        let from = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let all = chunks.range::<str, _>((from, Bound::Unbounded));
        let mut found = all.take_while(|(key, _)| key.starts_with(prefix));
        let page =
            found.by_ref().take(PAGE).map(|(key, chunk)| ChunkEntry::new(key, chunk.bytes.len() as u64));
        let page = page.collect();
        Ok(ChunkPage::new(page, found.next().is_some()))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        if !self.can.delete {
            return Err(Error::new(ErrorKind::Unsupported, "this store can't remove chunks"));
        }
        self.lock().remove(key);
        Ok(())
    }
}
