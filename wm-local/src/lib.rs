//! An embedded Kubernetes API whose pods are processes of this machine.
//!
//! A [`Cluster`] is a real HTTP server on the loopback interface that speaks the part of the Kubernetes API that a
//! launcher of Jobs uses, as a real cluster answers it: kubectl and any client library work against it. Its Job
//! controller and its node are in this process, and its pods are process groups of this machine, which run with the
//! rights of this user. What it can't do it refuses, with 501 or in the status of the pod, and never pretends to do.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), wm_local::StartError> {
//! use wm_local::{Cluster, ClusterOptions};
//!
//! let cluster = Cluster::start(ClusterOptions::default()).await?;
//! let kubeconfig = cluster.kubeconfig(); // for `kubectl --kubeconfig`, or a client library
//! assert!(kubeconfig.contains(cluster.token()));
//! cluster.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod access;
mod api;
mod clock;
mod cluster;
mod controller;
mod error;
mod faults;
mod kind;
mod kubeconfig;
mod node;
mod quantity;
mod recorder;
mod schema;
mod store;
mod timestamp;

pub use access::{Grant, Identity, Role, RoleError, Rule};
pub use clock::Clock;
pub use cluster::{Cluster, ClusterOptions, StartError};
pub use faults::{
    ActiveFault, CATALOG, CatalogEntry, Effect, Fault, FaultError, Faults, ImageFault, Injection,
    OutOfMemory, Refusal, RetryAfter, Selector, Shortage,
};
pub use node::{NodeOptions, Taint};
