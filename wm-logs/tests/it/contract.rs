//! The archive keeps the contract of a log store, whatever its chunks are kept in.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use wm_core::{
    ChunkStore, ChunkStoreCapabilities, LogStore,
    testkit::{ChunkHarness, StoreHarness},
};
use wm_logs::{Archive, ArchiveSettings, FileChunkStore, MemoryChunkStore};

/// Each store of logs is another server's, all over one store of chunks.
struct Servers {
    chunks: Arc<dyn ChunkStore>,
    _directory: Option<tempfile::TempDir>,
}

impl Servers {
    fn memory(conditional_create: bool, delete: bool) -> Self {
        let can = ChunkStoreCapabilities { conditional_create, delete };
        Self { chunks: Arc::new(MemoryChunkStore::with_capabilities(can)), _directory: None }
    }

    fn files() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root: PathBuf = directory.path().join("logs");
        Self { chunks: Arc::new(FileChunkStore::new(root)), _directory: Some(directory) }
    }
}

#[async_trait]
impl StoreHarness for Servers {
    async fn store(&self) -> Arc<dyn LogStore> {
        Arc::new(Archive::new(Arc::clone(&self.chunks), ArchiveSettings::default()))
    }
}

#[async_trait]
impl ChunkHarness for Servers {
    async fn store(&self) -> Arc<dyn ChunkStore> {
        Arc::clone(&self.chunks)
    }
}

mod chunks_in_memory {
    wm_core::chunk_conformance!(super::Servers::memory(true, true));
}

mod chunks_in_memory_that_can_the_least {
    wm_core::chunk_conformance!(super::Servers::memory(false, false));
}

mod chunks_in_files {
    wm_core::chunk_conformance!(super::Servers::files());
}

mod memory {
    wm_core::store_conformance!(super::Servers::memory(true, true));
}

mod memory_that_can_not_delete {
    wm_core::store_conformance!(super::Servers::memory(true, false));
}

mod memory_without_a_fence {
    wm_core::store_conformance!(super::Servers::memory(false, true));
}

mod files {
    wm_core::store_conformance!(super::Servers::files());
}
