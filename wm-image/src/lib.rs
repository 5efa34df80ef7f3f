//! Chooses the image that a runner starts from, and builds it where that is asked for.
//!
//! Each way is an [`ImageStrategy`](wm_core::ImageStrategy): [`Reuse`] takes the image of the workload's snapshot,
//! [`Prebuilt`] one image for all, [`Build`] makes one for each Dockerfile, once. Nothing here talks to a cluster or a
//! cloud: a build is a pod template that a [`BuilderEngine`] makes (pure), and [`BuilderJobs`] is the seam behind which it
//! runs. [`RegistryProbe`] asks registries over the OCI protocol.
//!
//! ```
//! use wm_core::{ImageRequest, ImageStrategy as _, WorkloadId, WorkloadKind};
//! use wm_image::Prebuilt;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let strategy = Prebuilt::new("registry.example.com/runner:1".parse()?);
//! let request = ImageRequest::new(WorkloadId::new("nightly")?, WorkloadKind::Run, None);
//! assert_eq!(strategy.resolve(&request).await?.image.as_str(), "registry.example.com/runner:1");
//! # Ok::<(), wm_core::Error>(())
//! # }).unwrap();
//! ```

mod build;
mod dockerfile;
mod engine;
mod failure;
#[cfg(test)]
mod fixture;
mod flight;
mod jobs;
mod lookup;
mod naming;
mod plan;
mod settings;
mod strategy;

pub use crate::{
    build::Build,
    dockerfile::{LONGEST_DOCKERFILE, dockerfile_hash, generate_dockerfile},
    engine::{BuildKit, Buildah, BuilderEngine, Kaniko, Work},
    failure::BuildFailed,
    jobs::{BuildEnd, BuildSubmission, BuilderJobs},
    lookup::{RegistryCredentials, RegistryProbe},
    plan::{BuildId, BuildPlan},
    settings::{BuilderSettings, EngineName, Mirror, Platform},
    strategy::{Pinned, Prebuilt, Reuse},
};
