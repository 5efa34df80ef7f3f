//! Somebody else's backend: it runs workloads as subprocesses of this machine.
//!
//! `cargo run --example custom_backend` uses it, as it is the default here. A server's configuration selects it so:
//!
//! ```sh
//! export ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE=acme.SubprocessWorkloadManager
//! export ACME_WORKLOAD_MANAGER_DIRECTORY=/tmp
//! ```

#![expect(clippy::print_stdout, reason = "it is a program that shows what it does")]

#[path = "custom_backend/mod.rs"]
mod backend;

use std::error::Error;

use futures::{StreamExt as _, TryStreamExt as _};
use workload_manager::{LogQuery, Setup, Workload, WorkloadId, WorkloadKind};

use backend::{SOURCE, SubprocessFactory};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setup = Setup::from_process().source(SOURCE, SubprocessFactory).default_source(SOURCE);
    let configuration = setup.load()?;
    println!("implementation source: {}", configuration.source());
    let launcher = configuration.launcher().await?;

    let workload = Workload::builder(WorkloadId::new("nightly")?, WorkloadKind::Run)
        .snapshot_image("registry.example.com/team/app:1.2".parse()?)
        .command(["sh", "-c", "echo \"hello from $MODE in $PWD\"; test -n \"$TOKEN\""])
        .variable("MODE", "a subprocess")
        .secret("TOKEN", "never shown".to_owned())
        .build()?;
    let run = launcher.launch(workload).await?;

    let mut states = run.follow();
    while let Some(status) = states.next().await {
        println!("phase: {}", status?.phase);
    }
    let mut log = run.logs(&LogQuery::default()).await?;
    while let Some(record) = log.try_next().await? {
        println!("log: {}", record.text());
    }
    println!("{}", run.wait().await?);
    Ok(())
}
