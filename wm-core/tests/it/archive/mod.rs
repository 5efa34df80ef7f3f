//! An archive in memory that keeps the contract of a log store, and can be told to break it in one way.

mod fault;
mod kept;
mod reading;
mod store;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use tokio::sync::watch;
use wm_core::{LogStore, LogStoreCapabilities, testkit::StoreHarness};

pub(crate) use self::fault::StoreFault;
use self::{kept::Kept, store::MemoryStore};

/// Describes the archive in memory to the kit.
pub(crate) struct Archive {
    kept: Arc<watch::Sender<Kept>>,
    can: LogStoreCapabilities,
    fault: Option<StoreFault>,
    servers: AtomicUsize,
}

impl Archive {
    /// Can all that there is.
    pub(crate) fn able(fault: Option<StoreFault>) -> Self {
        Self::new(LogStoreCapabilities { exactly_once: true, delete: true }, fault)
    }

    /// Can the least: several writers leave lines twice, and nothing is removed.
    pub(crate) fn least(fault: Option<StoreFault>) -> Self {
        Self::new(LogStoreCapabilities::default(), Some(fault.unwrap_or(StoreFault::WritersHaveNoFence)))
    }

    fn new(can: LogStoreCapabilities, fault: Option<StoreFault>) -> Self {
        Self { kept: Arc::default(), can, fault, servers: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl StoreHarness for Archive {
    async fn store(&self) -> Arc<dyn LogStore> {
        let server = self.servers.fetch_add(1, Ordering::Relaxed);
        Arc::new(MemoryStore { kept: Arc::clone(&self.kept), can: self.can, fault: self.fault, server })
    }
}
