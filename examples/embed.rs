//! A server that launches a run, follows it, reads its log and tells how it ended.
//!
//! `cargo run --example embed` uses the embedded cluster; the variables of the users' guide choose another.

#![expect(clippy::print_stdout, reason = "it shows what a server would do with it")]

use std::error::Error;

use futures::{StreamExt as _, TryStreamExt as _};
use workload_manager::{LogQuery, Setup, Workload, WorkloadId, WorkloadKind};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server that is always configured says `workload_manager::from_env().await?`.
    let launcher = Setup::from_process().default_source("local").load()?.launcher().await?;

    let id = WorkloadId::new("65afb85a-6866-4551-9140-f4f1f74141ff")?;
    let workload = Workload::builder(id, WorkloadKind::Snapshot)
        .snapshot_image("registry.example.com/team/app:1.2".parse()?)
        .command(["sh", "-c", "echo \"hello from $MODE\"; test -n \"$TOKEN\""])
        .variable("MODE", "embed")
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
