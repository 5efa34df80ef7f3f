//! A store that speaks S3 and runs somewhere: `MinIO`, Ceph, `moto_server`, AWS itself.
//!
//! `WM_TEST_S3_ENDPOINT` is its address, `WM_TEST_S3_BUCKET` a bucket in it that may be filled; credentials and region are
//! found as ever.

use std::sync::Arc;

use async_trait::async_trait;
use wm_aws::{AwsAccount, S3ChunkStore, S3Settings};
use wm_core::{
    ChunkStore, LogStore,
    testkit::{StoreHarness, store::CHECKS},
};
use wm_logs::{Archive, ArchiveSettings};

struct Servers(Arc<dyn ChunkStore>);

#[async_trait]
impl StoreHarness for Servers {
    async fn store(&self) -> Arc<dyn LogStore> {
        Arc::new(Archive::new(Arc::clone(&self.0), ArchiveSettings::default()))
    }
}

#[tokio::test]
#[ignore = "needs a store that speaks S3"]
async fn an_archive_keeps_its_contract_there() {
    let account = AwsAccount::load(None).await;
    let mut settings = S3Settings::new(std::env::var("WM_TEST_S3_BUCKET").unwrap());
    settings.endpoint = std::env::var("WM_TEST_S3_ENDPOINT").ok();
    let run = std::process::id();
    for check in CHECKS {
        settings.prefix = Some(format!("{run}/{}", check.name));
        let store = S3ChunkStore::connect(&account, settings.clone()).await.unwrap();
        (check.run)(&Servers(Arc::new(store))).await;
    }
}
