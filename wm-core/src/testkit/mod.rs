//! The conformance kit: proves that a backend keeps the contract. Not under semantic versioning.
//!
//! A backend's author describes it in a harness of some thirty lines, and names it to a macro, which makes one test of
//! each rule: [`conformance!`](crate::conformance) for a [`WorkloadManager`](crate::WorkloadManager) and a
//! [`ManagerHarness`], [`strategy_conformance!`](crate::strategy_conformance) for an
//! [`ImageStrategy`](crate::ImageStrategy) and a [`StrategyHarness`],
//! [`store_conformance!`](crate::store_conformance) for a [`LogStore`](crate::LogStore) and a [`StoreHarness`],
//! [`chunk_conformance!`](crate::chunk_conformance) for a [`ChunkStore`](crate::ChunkStore) and a [`ChunkHarness`].
//!
//! Each test begins with a harness of its own, so with a backend that knows nothing. A rule that needs a capability
//! becomes, for a backend without it, the rule that asking is `Unsupported`. The kit needs no runtime; the tests run on
//! the `tokio` of the crate that names the macro, with its features `macros`, `rt` and `time`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a check fails by panicking")]
#![allow(clippy::missing_panics_doc, reason = "a check fails by panicking")]

use std::time::Duration;

use futures::future::BoxFuture;

pub mod chunks;
mod macros;
pub mod manager;
pub mod metrics;
mod program;
pub mod store;
pub mod strategy;

pub use self::{
    chunks::ChunkHarness,
    manager::ManagerHarness,
    program::{Program, Step},
    store::StoreHarness,
    strategy::StrategyHarness,
};

/// How long a check may take before it counts as one that waits for what never comes.
pub const LIMIT: Duration = Duration::from_mins(2);

/// One rule of a contract.
#[derive(Debug)]
pub struct Check<H: ?Sized> {
    /// Its name, which states the rule.
    pub name: &'static str,
    /// Proves it, or panics.
    pub run: for<'a> fn(&'a H) -> BoxFuture<'a, ()>,
}

/// Lets others run once.
async fn pause() {
    let mut paused = false;
    futures::future::poll_fn(|context| {
        if paused {
            return std::task::Poll::Ready(());
        }
        paused = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Fails unless the answer is an error of this kind.
#[track_caller]
fn assert_refused<T>(answer: crate::Result<T>, kind: crate::ErrorKind, what: &str) -> crate::Error {
    match answer {
        Ok(_) => panic!("{what}: it succeeded, and should be {kind:?}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{what}: {error}");
            error
        }
    }
}

fn id(text: &str) -> crate::WorkloadId {
    text.parse().expect("the kit's own ids are ids")
}
