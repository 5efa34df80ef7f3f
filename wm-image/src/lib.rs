//! Chooses the image that a runner starts from.
//!
//! Each way is an [`ImageStrategy`](wm_core::ImageStrategy): [`Reuse`] takes the image of the workload's snapshot,
//! [`Prebuilt`] one image for all. Nothing here talks to a cluster or a cloud.
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

mod strategy;

pub use crate::strategy::{Prebuilt, Reuse};
