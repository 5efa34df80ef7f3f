//! Where an archive of logs keeps its objects: what an object store can do, and nothing more.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::Result;

/// What a store of chunks can do beyond the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChunkStoreCapabilities {
    /// Refuse to create what is there already, also when two servers create it at the same moment: the fence between
    /// two writers. Without it the later one replaces the earlier.
    pub conditional_create: bool,
    /// Remove chunks.
    pub delete: bool,
}

/// What became of a chunk that was to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It is there now, and will stay as it is.
    Created,
    /// There was one of that key, which stays: somebody else's, or one's own whose answer got lost.
    Exists,
}

/// What is kept under a key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk {
    /// The bytes, as they were given.
    pub bytes: Vec<u8>,
    /// Who created it, where the store keeps that.
    pub writer: Option<String>,
}

impl Chunk {
    /// A chunk of an unknown writer.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), writer: None }
    }

    /// Names who created it.
    #[must_use]
    pub fn with_writer(mut self, writer: impl Into<String>) -> Self {
        self.writer = Some(writer.into());
        self
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("bytes", &format_args!("[{} bytes]", self.bytes.len()))
            .field("writer", &self.writer)
            .finish()
    }
}

/// A chunk as a list tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ChunkEntry {
    /// Its key.
    pub key: String,
    /// How many bytes it has.
    pub size: u64,
}

impl ChunkEntry {
    /// Tells of a chunk.
    pub fn new(key: impl Into<String>, size: u64) -> Self {
        Self { key: key.into(), size }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkPage {
    /// Chunks by their keys, in the order of the keys' bytes.
    pub entries: Vec<ChunkEntry>,
    /// Whether there are more behind the last of them.
    pub more: bool,
}

impl ChunkPage {
    /// A part of a list, and whether there is more behind it.
    pub fn new(entries: Vec<ChunkEntry>, more: bool) -> Self {
        Self { entries, more }
    }
}

/// Keeps chunks of bytes under keys: the seam behind which an object store is put under an archive of logs.
///
/// An implementation is a thin layer over a client: S3, another cloud's object store, a directory. It needs to put,
/// get and list; to delete is an ability. A chunk is written once and never changed. What one call has written every
/// later call sees, on any server, in lists too.
///
/// A key is 1 to 700 bytes of `A-Z`, `a-z`, `0-9`, `-`, `_`, `.` and `/`, without an empty part, `.` or `..` between its
/// slashes. The implementation may put something of its own in front, as a bucket's prefix.
///
/// Errors that every method may give: `Unavailable`, `RateLimited` or `Timeout` for what may pass; `PermissionDenied`
/// and `InvalidConfig` with what is to be mended. An implementation may try again by itself for some seconds, not
/// longer: its caller does.
///
/// There are no default methods, so that a wrapper can't silently lose one.
#[async_trait]
pub trait ChunkStore: fmt::Debug + Send + Sync + 'static {
    /// What it can do.
    fn capabilities(&self) -> ChunkStoreCapabilities;

    /// Creates a chunk, whole or not at all, and notes who did.
    ///
    /// The bytes may be none. A call that failed, or was dropped, may have created it all the same.
    ///
    /// # Errors
    /// `Unavailable` too where the store says that somebody else is creating it at this moment.
    async fn create(&self, key: &str, bytes: &[u8], writer: &str) -> Result<Creation>;

    /// Reads a chunk.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    async fn get(&self, key: &str) -> Result<Chunk>;

    /// Lists the chunks whose keys begin with this, in the order of their bytes; only those behind `after`.
    ///
    /// Without more to come a page may be short or empty; with more it has at least one entry.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ChunkPage>;

    /// Removes a chunk. To remove none is no error.
    ///
    /// # Errors
    /// `Unsupported` without [`ChunkStoreCapabilities::delete`].
    async fn delete(&self, key: &str) -> Result<()>;
}
