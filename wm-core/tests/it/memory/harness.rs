use std::sync::Arc;

use async_trait::async_trait;
use wm_core::{
    Capabilities, WorkloadBuilder, WorkloadManager,
    testkit::{ManagerHarness, Program},
};

use super::{Fault, manager::MemoryManager, world::World};

/// Describes the backend in memory to the kit.
pub(crate) struct MemoryHarness {
    world: Arc<World>,
    alone: bool,
}

impl MemoryHarness {
    /// Can all that there is.
    pub(crate) fn able(fault: Option<Fault>) -> Self {
        let all = Capabilities {
            hold_runs: true,
            watch: true,
            keep_secrets: true,
            cancel: true,
            follow_logs: true,
            resume_logs: true,
            build_images: true,
        };
        Self { world: World::new(all, fault), alone: false }
    }

    /// Can the least.
    pub(crate) fn least(fault: Option<Fault>) -> Self {
        Self { world: World::new(Capabilities::default(), fault), alone: true }
    }
}

#[async_trait]
impl ManagerHarness for MemoryHarness {
    async fn manager(&self) -> Arc<dyn WorkloadManager> {
        Arc::new(MemoryManager::new(Arc::clone(&self.world)))
    }

    async fn another(&self) -> Option<Arc<dyn WorkloadManager>> {
        if self.alone { None } else { Some(self.manager().await) }
    }

    fn program(&self, workload: WorkloadBuilder, program: &Program) -> WorkloadBuilder {
        workload.command([self.world.know(program)])
    }

    async fn open(&self, gate: &str) {
        self.world.change(|state| {
            state.gates.insert(gate.to_owned());
        });
    }
}
