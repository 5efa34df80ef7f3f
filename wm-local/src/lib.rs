//! An embedded Kubernetes API whose pods are processes of this machine.
//!
//! A [`Cluster`] is a real HTTP server on the loopback interface that speaks the part of the Kubernetes API that a
//! launcher of Jobs uses, as a real cluster answers it: kubectl and any client library work against it. Its Job
//! controller and its node are in this process, and its pods are processes of this machine, which run with the rights of
//! this user. What it can't do it refuses, with 501 or in the status of the pod, and never pretends to do.
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
//!
//! # What a pod is
//!
//! A container is a process of this machine with the environment, directory, command and arguments of its spec. Where
//! this user may make namespaces (root, or `CAP_SYS_ADMIN`), each container has two of its own:
//!
//! - a mount namespace, in which volumes (emptyDir, Secret, `ConfigMap`, downward API, and these projected) and the file
//!   of the termination message are mounted. The machine never sees them, and apart from them the container sees the
//!   machine's files: images are named, checked and never pulled. A directory in which a mount point had to be made is
//!   the container's own as well: what is made right there goes with it;
//! - a PID namespace: its first process is number 1, and when that ends all others end.
//!
//! Elsewhere the program `unshare` is asked for both, in a namespace of users, for a container that has volumes, or names
//! the file of its termination message in its command or environment; it then sees itself as root. Where that is not
//! allowed either, a volume is refused in the pod's status, with what the kernel said, and there is no such file. What a plain
//! process started is found by the variable `WM_LOCAL_CONTAINER` in its environment, so that it ends with the container
//! unless it clears that.
//!
//! In all cases, as in any container: only the first process is asked to end by SIGTERM, and if it has no handler
//! nothing happens until it is killed after its grace. No process outlives the cluster, even if this process is killed:
//! a guard, a shell that waits for that, ends what is left and removes a temporary directory.
//!
//! # What it does not do
//!
//! All processes run as this user: `runAsUser`, `runAsGroup`, `fsGroup`, capabilities, seccomp profiles and a read-only
//! root are accepted and have no effect, except that root which is both asked for and forbidden is refused. There is
//! one network. Limits of memory, CPU and storage are not enforced; an emptyDir in memory is one on disk, without a limit. A
//! Secret or `ConfigMap` that changes does not change a volume that was made from it. Probes, lifecycle hooks, service account
//! tokens and other kinds of volumes are refused in the pod's status.
//!
//! The log of a container is kept as a kubelet keeps it: rotated, and only the last file can be read back. Who needs all
//! of it follows it from the start.

mod access;
mod api;
mod chance;
mod clock;
mod cluster;
mod controller;
mod error;
mod faults;
mod kind;
mod kubeconfig;
mod node;
mod policy;
mod quantity;
mod recorder;
mod schema;
mod store;
mod timestamp;
mod value;

pub use access::{Grant, Identity, Role, RoleError, Rule};
pub use clock::Clock;
pub use cluster::{Cluster, ClusterOptions, StartError};
pub use faults::{
    ActiveFault, CATALOG, CatalogEntry, Effect, Fault, FaultError, Faults, ImageFault, Injection,
    OutOfMemory, Refusal, RetryAfter, Selector, Shortage,
};
pub use node::{NodeOptions, Taint};
