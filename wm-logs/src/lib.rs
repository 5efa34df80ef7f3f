//! Keeps the logs of workloads, also when the pods that wrote them are gone.
//!
//! An [`Archive`] is a [`LogStore`](wm_core::LogStore) over any [`ChunkStore`](wm_core::ChunkStore): an object store, a
//! [directory](FileChunkStore), or [memory](MemoryChunkStore). Each output of a run is a stream of chunks, and the key of a chunk
//! is its offset in the stream: two servers that write the same output can't write the same chunk, so each line is
//! there once, whichever of them goes away.
//!
//! ```
//! use std::sync::Arc;
//!
//! use futures::TryStreamExt as _;
//! use wm_core::{LogQuery, LogStore as _};
//! use wm_logs::{Archive, ArchiveSettings, MemoryChunkStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> wm_core::Result<()> {
//! let archive = Archive::new(Arc::new(MemoryChunkStore::new()), ArchiveSettings::default());
//! let workload = "nightly".parse()?;
//! archive.message(&workload, jiff::Timestamp::UNIX_EPOCH, "queued").await?;
//! let log: Vec<_> = archive.read(&workload, &LogQuery::default()).await?.try_collect().await?;
//! assert_eq!(log[0].text(), "queued");
//! # Ok(())
//! # }
//! ```

mod archive;
mod archived;
mod bookmark;
mod capture;
mod captures;
mod desk;
mod file;
mod index;
mod layout;
mod memory;
mod merge;
mod playback;
mod reading;
mod record;
mod recorder;
mod settings;
mod sorter;
mod tape;

pub use crate::{
    archive::Archive, archived::ArchivedWorkloadManager, file::FileChunkStore, memory::MemoryChunkStore,
    settings::ArchiveSettings,
};
