//! What is sent to S3, and what its answers mean.

use std::sync::{Arc, atomic::Ordering};

use wm_aws::{S3ChunkStore, S3Encryption};
use wm_core::{ChunkStore as _, ChunkStoreCapabilities, Creation, ErrorKind};

use crate::bucket::Bucket;

#[tokio::test]
async fn a_chunk_is_created_once_and_read_with_its_writer() {
    let bucket = Arc::<Bucket>::default();
    let (account, settings) = bucket.serve().await;
    let store = S3ChunkStore::connect(&account, settings).await.unwrap();
    assert_eq!(store.capabilities(), ChunkStoreCapabilities { conditional_create: true, delete: true });
    assert_eq!(store.create("v1/a/1.log", b"one", "me").await.unwrap(), Creation::Created);
    assert_eq!(store.create("v1/a/1.log", b"two", "you").await.unwrap(), Creation::Exists);
    let chunk = store.get("v1/a/1.log").await.unwrap();
    assert_eq!((chunk.bytes.as_slice(), chunk.writer.as_deref()), (b"one".as_slice(), Some("me")));
    assert_eq!(bucket.bytes("team/logs/v1/a/1.log"), b"one");
    assert_eq!(store.get("v1/a/2.log").await.unwrap_err().kind(), ErrorKind::NotFound);
    store.delete("v1/a/1.log").await.unwrap();
    store.delete("v1/a/1.log").await.unwrap();
    assert_eq!(bucket.keys(), ["team/logs/v1/probe"]);
}

#[tokio::test]
async fn a_list_comes_in_pages_and_begins_where_it_is_told() {
    let bucket = Arc::<Bucket>::default();
    let (account, settings) = bucket.serve().await;
    let store = S3ChunkStore::connect(&account, settings).await.unwrap();
    for number in 0..45 {
        store.create(&format!("v1/w/a/{number:02}"), &vec![b'x'; number], "me").await.unwrap();
    }
    store.create("v1/w/a-1/00", b"", "me").await.unwrap();
    let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = store.list("v1/w/a/", after.as_deref()).await.unwrap();
        all.extend(page.entries);
        pages += 1;
        after = all.last().map(|entry| entry.key.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(pages, 3);
    assert!(
        all.iter()
            .zip(0..)
            .all(|(entry, number)| entry.key == format!("v1/w/a/{number:02}") && entry.size == number)
    );
    assert_eq!(all.len(), 45);
}

#[tokio::test]
async fn an_own_endpoint_is_addressed_by_path_and_sent_no_checksums() {
    let bucket = Arc::<Bucket>::default();
    let (account, settings) = bucket.serve().await;
    let store = S3ChunkStore::connect(&account, settings).await.unwrap();
    store.create("v1/x.log", b"text", "me").await.unwrap();
    let (line, headers) = bucket.last("PUT");
    assert_eq!(line, "PUT /my-logs/team/logs/v1/x.log?x-id=PutObject");
    assert_eq!(headers["if-none-match"], "*");
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(headers["x-amz-meta-writer"], "me");
    for name in headers.keys() {
        assert!(!name.as_str().contains("checksum") && name != "x-amz-trailer", "{name}");
    }
}

#[tokio::test]
async fn objects_are_encrypted_as_it_is_set() {
    for (encryption, expected) in [
        (None, [None, None, None]),
        (Some(S3Encryption::S3), [Some("AES256"), None, None]),
        (Some(S3Encryption::Kms { key: None }), [Some("aws:kms"), None, Some("true")]),
        (
            Some(S3Encryption::Kms { key: Some("alias/logs".to_owned()) }),
            [Some("aws:kms"), Some("alias/logs"), Some("true")],
        ),
    ] {
        let bucket = Arc::<Bucket>::default();
        let (account, mut settings) = bucket.serve().await;
        settings.encryption = encryption;
        settings.capabilities = Some(ChunkStoreCapabilities::default());
        let store = S3ChunkStore::connect(&account, settings).await.unwrap();
        store.create("v1/x.log", b"text", "me").await.unwrap();
        let (_, headers) = bucket.last("PUT");
        assert!(!headers.contains_key("if-none-match"), "the store can't");
        let names = [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-server-side-encryption-bucket-key-enabled",
        ];
        let sent = names.map(|name| headers.get(name).map(|value| value.to_str().unwrap()));
        assert_eq!(sent, expected);
    }
}

#[tokio::test]
async fn what_a_bucket_allows_is_tried_out() {
    let bucket = Arc::<Bucket>::default();
    let (account, settings) = bucket.serve().await;
    bucket.ignores_conditions.store(true, Ordering::Relaxed);
    bucket.refuses_to_delete.store(true, Ordering::Relaxed);
    let store = S3ChunkStore::connect(&account, settings.clone()).await.unwrap();
    assert_eq!(store.capabilities(), ChunkStoreCapabilities::default());
    assert_eq!(store.delete("v1/x.log").await.unwrap_err().kind(), ErrorKind::Unsupported);
    bucket.refuses_all.store(true, Ordering::Relaxed);
    let error = S3ChunkStore::connect(&account, settings.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("s3:PutObject"), "{error}");
    let mut other = settings.clone();
    other.bucket = "other-logs".to_owned();
    let error = S3ChunkStore::connect(&account, other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("there is no such bucket"), "{error}");
    let mut directory = settings;
    directory.bucket = "logs--euc1-az1--x-s3".to_owned();
    let error = S3ChunkStore::connect(&account, directory).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn a_bucket_that_is_away_is_taken_for_one_that_can_the_least() {
    let bucket = Arc::<Bucket>::default();
    let (account, mut settings) = bucket.serve().await;
    // Nothing listens there.
    settings.endpoint = Some("http://127.0.0.1:1".to_owned());
    let store = S3ChunkStore::connect(&account, settings).await.unwrap();
    assert_eq!(store.capabilities(), ChunkStoreCapabilities::default());
    let error = store.get("v1/x.log").await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}
