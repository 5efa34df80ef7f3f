//! The rules of the contract, each by its name, for what the implementation sources build.

use std::{fs, sync::Arc};

use async_trait::async_trait;
use tempfile::TempDir;
use wm_core::testkit::{ManagerHarness, Program};
use workload_manager::{Setup, WorkloadBuilder, WorkloadManager};

/// Runs the kit's programs as shell scripts of this machine, whose gates are files.
struct Source {
    setup: Setup,
    gates: TempDir,
}

impl Source {
    fn new(setup: Setup, source: &str) -> Self {
        let selected = ("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", source);
        Self { setup: setup.environment([selected]), gates: TempDir::new().unwrap() }
    }
}

#[async_trait]
impl ManagerHarness for Source {
    async fn manager(&self) -> Arc<dyn WorkloadManager> {
        self.setup.clone().load().unwrap().manager().await.unwrap()
    }

    async fn another(&self) -> Option<Arc<dyn WorkloadManager>> {
        // Each of both has what it runs on in its own process.
        None
    }

    fn program(&self, workload: WorkloadBuilder, program: &Program) -> WorkloadBuilder {
        workload.command(["sh", "-c", &program.script(self.gates.path().to_str().unwrap())])
    }

    async fn open(&self, gate: &str) {
        fs::write(self.gates.path().join(gate), "").unwrap();
    }
}

mod subprocesses {
    use super::{Setup, Source};
    use crate::custom_backend::backend::{SOURCE, SubprocessFactory};

    wm_core::conformance!(Source::new(Setup::new().source(SOURCE, SubprocessFactory), SOURCE));
}

mod local {
    use super::{Setup, Source};

    wm_core::conformance!(Source::new(Setup::new(), "local"));
}
