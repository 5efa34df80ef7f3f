//! The rules of the contract for a backend whose logs are archived, on two servers of one cluster.

use std::{fs, sync::Arc};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use wm_core::{
    ChunkStore,
    testkit::{ManagerHarness, Program},
};
use wm_logs::{Archive, ArchiveSettings, ArchivedWorkloadManager, MemoryChunkStore};
use workload_manager::{Setup, WorkloadBuilder, WorkloadManager};

/// Servers that share a cluster and a store of chunks, and nothing else.
struct Servers {
    cluster: OnceCell<Arc<dyn WorkloadManager>>,
    chunks: Arc<dyn ChunkStore>,
    gates: TempDir,
}

impl Servers {
    fn new() -> Self {
        let chunks = Arc::new(MemoryChunkStore::new());
        Self { cluster: OnceCell::new(), chunks, gates: TempDir::new().unwrap() }
    }

    async fn server(&self) -> Arc<dyn WorkloadManager> {
        let local = ("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", "local");
        let setup = Setup::new().environment([local]).load().unwrap();
        let cluster = self.cluster.get_or_init(async || setup.manager().await.unwrap()).await;
        let archive = Archive::new(Arc::clone(&self.chunks), ArchiveSettings::default());
        Arc::new(ArchivedWorkloadManager::new(Arc::clone(cluster), Arc::new(archive)))
    }
}

#[async_trait]
impl ManagerHarness for Servers {
    async fn manager(&self) -> Arc<dyn WorkloadManager> {
        self.server().await
    }

    async fn another(&self) -> Option<Arc<dyn WorkloadManager>> {
        Some(self.server().await)
    }

    fn program(&self, workload: WorkloadBuilder, program: &Program) -> WorkloadBuilder {
        workload.command(["sh", "-c", &program.script(self.gates.path().to_str().unwrap())])
    }

    async fn open(&self, gate: &str) {
        fs::write(self.gates.path().join(gate), "").unwrap();
    }
}

wm_core::conformance!(Servers::new());
