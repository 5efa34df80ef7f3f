//! The rules of the contract, each by its name, on the embedded cluster.

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use wm_core::{
    WorkloadBuilder, WorkloadManager,
    testkit::{ManagerHarness, Program},
};
use wm_k8s::KubernetesSettings;

use crate::stage::Stage;

/// Runs the kit's programs as shell scripts, whose gates are files of this machine.
struct Cluster {
    stage: Stage,
    gates: TempDir,
}

impl Cluster {
    async fn new() -> Self {
        Self { stage: Stage::new().await, gates: tempfile::tempdir().unwrap() }
    }
}

#[async_trait]
impl ManagerHarness for Cluster {
    async fn manager(&self) -> Arc<dyn WorkloadManager> {
        let settings = KubernetesSettings::new("default", "default");
        Arc::new(self.stage.manager_with(settings).await.unwrap())
    }

    async fn another(&self) -> Option<Arc<dyn WorkloadManager>> {
        Some(Arc::new(self.stage.observer().await))
    }

    fn program(&self, workload: WorkloadBuilder, program: &Program) -> WorkloadBuilder {
        workload.command(["sh", "-c", &program.script(self.gates.path().to_str().unwrap())])
    }

    async fn open(&self, gate: &str) {
        std::fs::write(self.gates.path().join(gate), "").unwrap();
    }
}

wm_core::conformance!(Cluster::new().await);
