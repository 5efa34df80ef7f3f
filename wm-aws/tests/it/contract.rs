//! An archive in S3 keeps the contract of a log store.

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use wm_aws::S3ChunkStore;
use wm_core::{
    ChunkStore, LogStore,
    testkit::{ChunkHarness, StoreHarness},
};
use wm_logs::{Archive, ArchiveSettings};

use crate::bucket::Bucket;

struct Servers {
    bucket: Arc<Bucket>,
    store: OnceCell<Arc<dyn ChunkStore>>,
}

impl Servers {
    fn new(set: impl FnOnce(&Bucket)) -> Self {
        let bucket = Arc::<Bucket>::default();
        set(&bucket);
        Self { bucket, store: OnceCell::new() }
    }
}

#[async_trait]
impl ChunkHarness for Servers {
    async fn store(&self) -> Arc<dyn ChunkStore> {
        let connect = async || {
            let (account, mut settings) = self.bucket.serve().await;
            settings.prefix = Some("kit".to_owned());
            Arc::new(S3ChunkStore::connect(&account, settings).await.unwrap()) as Arc<dyn ChunkStore>
        };
        let store = Arc::clone(self.store.get_or_init(connect).await);
        // Of no log, and beside what the kit looks at.
        self.bucket.forget("kit/v1/probe");
        store
    }
}

#[async_trait]
impl StoreHarness for Servers {
    async fn store(&self) -> Arc<dyn LogStore> {
        let chunks = ChunkHarness::store(self).await;
        Arc::new(Archive::new(chunks, ArchiveSettings::default()))
    }
}

mod chunks_in_s3 {
    wm_core::chunk_conformance!(super::Servers::new(|_| ()));
}

mod s3 {
    wm_core::store_conformance!(super::Servers::new(|_| ()));
}

mod s3_that_loses_answers {
    use super::Ordering;

    wm_core::store_conformance!(super::Servers::new(|bucket| bucket
        .loses_answers
        .store(5, Ordering::Relaxed)));
}

mod a_store_that_knows_no_conditions {
    use super::Ordering;

    wm_core::store_conformance!(super::Servers::new(|bucket| {
        bucket.ignores_conditions.store(true, Ordering::Relaxed);
        bucket.refuses_to_delete.store(true, Ordering::Relaxed);
    }));
}
