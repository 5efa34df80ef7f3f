//! The contract between a workload manager and its backends.
//!
//! A *workload* is something that a workspace server runs on demand: an id, an image, a command, an environment. A
//! *backend* implements [`WorkloadManager`] and is found in a [`Registry`] by its implementation source, a string in
//! the server's configuration. Each try at running a workload is a *run*, named by its [`RunId`]; it ends with a
//! [`Verdict`]. This crate does no I/O and knows no backend and no runtime: a third party needs nothing else.
//!
//! ```
//! use wm_core::{Workload, WorkloadId, WorkloadKind};
//!
//! let id = WorkloadId::new("65afb85a-6866-4551-9140-f4f1f74141ff")?;
//! let workload = Workload::builder(id, WorkloadKind::Snapshot)
//!     .snapshot_image("registry.example.com/team/app:1.2".parse()?)
//!     .command(["python", "-m", "app"])
//!     .variable("MODE", "fast")
//!     .secret("TOKEN", "never shown".to_owned())
//!     .build()?;
//! assert!(!format!("{workload:?}").contains("never shown"));
//! # Ok::<(), wm_core::Error>(())
//! ```

mod chunk_store;
mod error;
mod id;
mod image;
mod image_registry;
mod log;
mod log_store;
mod manager;
mod metric;
mod place;
mod preflight;
mod registry;
mod run;
#[cfg(feature = "testkit")]
pub mod testkit;
mod verdict;
mod workload;

pub use crate::{
    chunk_store::{Chunk, ChunkEntry, ChunkPage, ChunkStore, ChunkStoreCapabilities, Creation},
    error::{Error, ErrorKind, Result},
    id::{Attempt, MAX_WORKLOAD_ID, RunId, WorkloadId, WorkloadKind},
    image::{
        ImageReference, ImageRequest, ImageRequirements, ImageStrategy, PullPolicy, PythonInstaller,
        ResolvedImage,
    },
    image_registry::{ManifestProbe, PlainRegistry, Probe, RegistrySetup},
    log::{Cursor, LOG_PIECE, LogQuery, LogRecord, LogSource, LogStream},
    log_store::{LogLine, LogOutput, LogPosition, LogStore, LogStoreCapabilities, Seal},
    manager::{Capabilities, StatusStream, WorkloadManager, WorkloadManagerExt},
    metric::{Metric, MetricKind, MetricUnit, metrics_table},
    place::Place,
    preflight::{Finding, Mend, Report, Severity},
    registry::{ManagerFactory, Registry},
    run::{Phase, RunFilter, RunRequest, RunStatus, Submission},
    verdict::{Evidence, Outcome, Reason, Verdict},
    workload::{AttemptRequest, EnvironmentValue, Workload, WorkloadBuilder},
};
