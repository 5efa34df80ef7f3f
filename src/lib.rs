//! Runs things on demand: a Kubernetes Job per run, followed, logged and explained.
//!
//! [`from_env`] reads the environment variables of the users' guide and gives a [`Launcher`]. It admits runs, a bounded
//! number at once, and hands each to the workload manager that the implementation source names. A [`RunHandle`] follows
//! a run, reads its log, waits for its [`Verdict`] or cancels it.
//!
//! ```
//! use workload_manager::{Setup, Workload, WorkloadId, WorkloadKind};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! // On a server: `workload_manager::from_env().await?`.
//! let launcher = Setup::new().default_source("local").load().unwrap().launcher().await?;
//! let workload = Workload::builder(WorkloadId::new("nightly")?, WorkloadKind::Run)
//!     .snapshot_image("registry.example.com/app:1".parse()?)
//!     .command(["sh", "-c", "exit 3"])
//!     .build()?;
//! let verdict = launcher.launch(workload).await?.wait().await?;
//! assert_eq!(verdict.evidence.exit_code, Some(3));
//! # Ok::<(), workload_manager::Error>(())
//! # }).unwrap();
//! ```

mod images;
mod launcher;
#[cfg(feature = "local")]
pub mod local;
mod metrics;
mod server;
mod setup;
mod sources;

pub use wm_core::{
    Attempt, Capabilities, Cursor, Error, ErrorKind, Finding, ImageReference, LogQuery, LogRecord, LogSource,
    ManagerFactory, Mend, Outcome, Phase, Place, Probe, Reason, Registry, Report, Result, RunFilter, RunId,
    RunStatus, Severity, Verdict, Workload, WorkloadBuilder, WorkloadId, WorkloadKind, WorkloadManager,
    WorkloadManagerExt,
};

pub use crate::{
    images::PlannedBuild,
    launcher::{Launcher, LauncherSettings, RunHandle},
    metrics::{describe_metrics, metrics},
    server::{ImageCall, RunnerCall, ServerInterface, SnapshotImages},
    setup::{Configuration, Setup, from_env},
    sources::{AWS, KUBERNETES, LOCAL, registry},
};
