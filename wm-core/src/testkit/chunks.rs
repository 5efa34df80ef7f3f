//! The rules of [`ChunkStore`].

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::{join_all, try_join_all};

use super::{Check, assert_refused};
use crate::{ChunkStore, Creation, ErrorKind};

/// All checks.
pub const CHECKS: &[Check<dyn ChunkHarness>] = crate::__chunk_checks!(__checks);

/// Tells the kit how a store of chunks is opened.
#[async_trait]
pub trait ChunkHarness: Send + Sync {
    /// Opens the harness's store, which is empty at first: each time as another server that shares it with those before.
    async fn store(&self) -> Arc<dyn ChunkStore>;
}

async fn create(store: &dyn ChunkStore, key: &str, bytes: &[u8]) -> Creation {
    store.create(key, bytes, "kit").await.unwrap_or_else(|error| panic!("{key} is created: {error}"))
}

/// All keys, page by page.
async fn keys(store: &dyn ChunkStore, prefix: &str, after: Option<&str>) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), after.map(str::to_owned));
    loop {
        let page = store.list(prefix, after.as_deref()).await.expect("chunks are listed");
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        if !page.more {
            return keys;
        }
        assert!(after.as_ref() < keys.last(), "a page with more behind it has entries that go on");
        after = keys.last().cloned();
    }
}

/// Bytes come back as they were given, on every server, also none and many; and their writer, where that is kept.
pub async fn a_chunk_comes_back_as_it_was(harness: &dyn ChunkHarness) {
    let store = harness.store().await;
    let large: Vec<u8> = (0_u8..=250).cycle().take(1_000_000).collect();
    let chunks: [(&str, &[u8]); 4] =
        [("v1/none", b""), ("v1/bytes", b"\xff\0\r\n"), ("v1/a/text", b"text\n"), ("v1/large", &large)];
    for (key, bytes) in chunks {
        assert_eq!(create(store.as_ref(), key, bytes).await, Creation::Created, "{key}");
    }
    for store in [store, harness.store().await] {
        for (key, bytes) in chunks {
            let chunk = store.get(key).await.expect("a chunk is read");
            assert!(chunk.bytes == bytes, "{key} is another: {chunk:?}");
            assert!(chunk.writer.is_none_or(|writer| writer == "kit"), "{key} has another writer");
        }
    }
}

/// What is there is not created again: of any number that create a key, one does; without `conditional_create` the last
/// one stays.
pub async fn a_chunk_is_created_once(harness: &dyn ChunkHarness) {
    let stores = [harness.store().await, harness.store().await];
    let can = stores[0].capabilities();
    assert_eq!(create(stores[0].as_ref(), "v1/first", b"one").await, Creation::Created);
    let second = create(stores[1].as_ref(), "v1/first", b"another").await;
    let kept = stores[0].get("v1/first").await.expect("a chunk is read").bytes;
    if !can.conditional_create {
        assert_eq!((second, kept.as_slice()), (Creation::Created, b"another".as_slice()));
        return;
    }
    assert_eq!((second, kept.as_slice()), (Creation::Exists, b"one".as_slice()), "the first one stays");
    let creations = join_all((0..8).map(|number| {
        let store = Arc::clone(&stores[number % 2]);
        async move { store.create("v1/race", format!("from {number}").as_bytes(), "kit").await }
    }));
    let created: Vec<_> = (0..)
        .zip(creations.await)
        .filter(|(_, creation)| matches!(creation, Ok(Creation::Created)))
        .collect();
    assert_eq!(created.len(), 1, "one of those that come at the same time creates it");
    let kept = stores[1].get("v1/race").await.expect("a chunk is read").bytes;
    assert_eq!(kept, format!("from {}", created[0].0).into_bytes());
}

/// A chunk that is not there is `NotFound`, also where others have keys that begin with its own.
pub async fn a_missing_chunk_is_not_found(harness: &dyn ChunkHarness) {
    let store = harness.store().await;
    create(store.as_ref(), "v1/a/b", b"text").await;
    for key in ["v1/a", "v1/a/b/c", "v1/b"] {
        assert_refused(store.get(key).await, ErrorKind::NotFound, key);
    }
}

/// A list has the keys that begin with its prefix, in the order of their bytes, with their sizes, at once on any server.
pub async fn a_list_has_keys_in_the_order_of_their_bytes(harness: &dyn ChunkHarness) {
    let stores = [harness.store().await, harness.store().await];
    assert_eq!(keys(stores[0].as_ref(), "v1/", None).await, [""; 0]);
    // As bytes, `-` and `.` come before `/`, and upper case before lower.
    let sorted =
        ["v1/B/1", "v1/a-1/1", "v1/a.b", "v1/a/0", "v1/a/0a", "v1/a/b/c", "v1/a/b0", "v1/a1/1", "v1/b"];
    for (number, key) in [7, 2, 5, 0, 8, 3, 1, 6, 4].into_iter().map(|number| (number, sorted[number])) {
        create(stores[number % 2].as_ref(), key, &vec![b'x'; number]).await;
    }
    create(stores[0].as_ref(), "v2/a/1", b"").await;
    for store in &stores {
        assert_eq!(keys(store.as_ref(), "v1/", None).await, sorted);
        assert_eq!(keys(store.as_ref(), "v1/a/", None).await, sorted[3..7]);
        assert_eq!(keys(store.as_ref(), "v1/a/0", None).await, sorted[3..5], "a prefix may end anywhere");
        let page = store.list("v1/a/", None).await.expect("chunks are listed");
        let sizes: Vec<_> = page.entries.iter().map(|entry| entry.size).collect();
        assert_eq!(sizes, [3, 4, 5, 6]);
    }
}

/// A list goes on behind a key, whether or not there is a chunk of that key, through all of its pages.
pub async fn a_list_goes_on_behind_a_key(harness: &dyn ChunkHarness) {
    let store = harness.store().await;
    let all: Vec<_> = (0..1100).map(|number| format!("v1/many/{number:04}")).collect();
    for some in all.chunks(50) {
        let creations = some.iter().map(|key| store.create(key, b"x", "kit"));
        try_join_all(creations).await.expect("chunks are created");
    }
    create(store.as_ref(), "v1/more", b"").await;
    assert_eq!(keys(store.as_ref(), "v1/many/", None).await, all);
    for (after, from) in [
        ("v1/many/0099", 100),
        ("v1/many/0099a", 100),
        ("v1/many/", 0),
        ("a", 0),
        ("v1/many/1099", 1100),
        ("v1/n", 1100),
    ] {
        assert_eq!(keys(store.as_ref(), "v1/many/", Some(after)).await, all[from..], "behind {after}");
    }
}

/// To delete removes that chunk and no other; to delete nothing is no error.
pub async fn deleting_removes_one_chunk(harness: &dyn ChunkHarness) {
    let store = harness.store().await;
    for key in ["v1/a", "v1/ab", "v1/b/c", "v1/b/d"] {
        create(store.as_ref(), key, b"text").await;
    }
    if !store.capabilities().delete {
        assert_refused(store.delete("v1/a").await, ErrorKind::Unsupported, "to delete without `delete`");
        assert_eq!(keys(store.as_ref(), "v1/", None).await.len(), 4);
        return;
    }
    for key in ["v1/a", "v1/a", "v1/b/c", "v1/nothing"] {
        store.delete(key).await.expect("a chunk is deleted");
    }
    for store in [store, harness.store().await] {
        assert_refused(store.get("v1/a").await, ErrorKind::NotFound, "what was deleted");
        assert_eq!(keys(store.as_ref(), "v1/", None).await, ["v1/ab", "v1/b/d"]);
    }
    let again = harness.store().await;
    assert_eq!(create(again.as_ref(), "v1/a", b"anew").await, Creation::Created);
}
