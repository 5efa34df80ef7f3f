//! Runs workloads as Kubernetes Jobs: one Job a run, one watch for all.
//!
//! [`KubernetesWorkloadManager`] submits a run as a Job of a deterministic name, so that a second submission finds the
//! first, and keeps its secret values in a Secret that the Job owns. What is sent ([`render`]) and what is concluded
//! from the answers are pure functions; the manager only calls. Nothing here knows where an image comes from: that is
//! an [`ImageStrategy`](wm_core::ImageStrategy).
//!
//! ```
//! use wm_core::{RunRequest, Workload, WorkloadId, WorkloadKind};
//! use wm_k8s::{KubernetesSettings, render};
//!
//! let workload = Workload::builder(WorkloadId::new("nightly")?, WorkloadKind::Run).command(["true"]).build()?;
//! let request = RunRequest::new(workload, "registry.example.com/app:1".parse()?);
//! let objects = render(&request, &KubernetesSettings::new("runs", "runner"))?;
//! assert_eq!(objects[0]["metadata"]["name"], "runner-nightly-1");
//! # Ok::<(), wm_core::Error>(())
//! ```

mod api;
mod board;
mod bookmark;
mod builds;
mod clocks;
mod connect;
mod connection;
mod diagnosis;
mod error;
mod event;
#[cfg(test)]
mod fixture;
mod follow;
mod lines;
mod lost;
mod manager;
mod manifest;
mod messages;
mod metrics;
mod names;
mod order;
mod output;
mod place;
mod pod_log;
mod preflight;
mod reader;
mod record;
mod rights;
mod role;
pub mod rules;
mod security;
mod settings;
mod shared;
mod status;
mod steward;
mod submit;
mod tail;
mod template_patch;
mod told;
mod unplaced;
mod view;
mod vigil;
mod watch;

pub use crate::{
    builds::{BuildRequest, Builds},
    connect::{Credentials, connect},
    manager::{KubernetesWorkloadManager, render},
    metrics::METRICS,
    role::{RoleScope, role},
    settings::{KubernetesSettings, PlainSecrets, PodSecurity},
};
