//! Each rule of a store of chunks is checked by a test that can fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use wm_core::{
    Chunk, ChunkEntry, ChunkPage, ChunkStore, ChunkStoreCapabilities, Creation, Error, ErrorKind, Result,
    testkit::{ChunkHarness, chunks::CHECKS},
};

use crate::faults::{prove, prove_some};

mod able {
    wm_core::chunk_conformance!(super::Own::able(None));
}

mod least {
    wm_core::chunk_conformance!(super::Own::least(None));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkFault {
    EmptyIsLost,
    LooksThenCreates,
    LastOneWins,
    MissingIsEmpty,
    OrderIsThatOfDirectories,
    PrefixIsADirectory,
    OnePageIsAll,
    AfterHasToBeThere,
    DeletesAPrefix,
    DeleteIsIgnored,
}

/// Chunks in memory, which can be told to do it wrong.
#[derive(Clone, Debug)]
struct Own {
    chunks: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    can: ChunkStoreCapabilities,
    fault: Option<ChunkFault>,
}

impl Own {
    fn able(fault: Option<ChunkFault>) -> Self {
        let can = ChunkStoreCapabilities { conditional_create: true, delete: true };
        Self { chunks: Arc::default(), can, fault }
    }

    fn least(fault: Option<ChunkFault>) -> Self {
        Self { chunks: Arc::default(), can: ChunkStoreCapabilities::default(), fault }
    }

    fn has(&self, fault: ChunkFault) -> bool {
        self.fault == Some(fault)
    }
}

#[async_trait]
impl ChunkHarness for Own {
    async fn store(&self) -> Arc<dyn ChunkStore> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl ChunkStore for Own {
    fn capabilities(&self) -> ChunkStoreCapabilities {
        self.can
    }

    async fn create(&self, key: &str, bytes: &[u8], _writer: &str) -> Result<Creation> {
        let mut exists = self.chunks.lock().unwrap().contains_key(key);
        // Others come in between.
        tokio::task::yield_now().await;
        let mut chunks = self.chunks.lock().unwrap();
        if !self.has(ChunkFault::LooksThenCreates) {
            exists = chunks.contains_key(key);
        }
        let exists = exists && self.can.conditional_create;
        if (!exists || self.has(ChunkFault::LastOneWins))
            && !(bytes.is_empty() && self.has(ChunkFault::EmptyIsLost))
        {
            chunks.insert(key.to_owned(), bytes.to_vec());
        }
        Ok(if exists { Creation::Exists } else { Creation::Created })
    }

    async fn get(&self, key: &str) -> Result<Chunk> {
        let chunk = self.chunks.lock().unwrap().get(key).cloned();
        match chunk {
            None if self.has(ChunkFault::MissingIsEmpty) => Ok(Chunk::new(Vec::new())),
            None => Err(Error::new(ErrorKind::NotFound, "there is no such chunk")),
            Some(bytes) => Ok(Chunk::new(bytes)),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ChunkPage> {
        let chunks = self.chunks.lock().unwrap();
        let directory = prefix.rsplit_once('/').map_or("", |(directory, _)| directory);
        let matches = |key: &str| {
            if self.has(ChunkFault::PrefixIsADirectory) {
                key.starts_with(&format!("{directory}/"))
            } else {
                key.starts_with(prefix)
            }
        };
        let mut all: Vec<_> = chunks.iter().filter(|(key, _)| matches(key)).collect();
        if self.has(ChunkFault::OrderIsThatOfDirectories) {
            all.sort_by_key(|(key, _)| key.split('/').collect::<Vec<_>>());
        }
        let is_known =
            after.is_none_or(|after| chunks.contains_key(after) || !self.has(ChunkFault::AfterHasToBeThere));
        if let Some(after) = after.filter(|_| is_known) {
            all.retain(|(key, _)| key.as_str() > after);
        }
        let more = all.len() > 1000 && !self.has(ChunkFault::OnePageIsAll);
        let page = all.into_iter().take(1000).map(|(key, bytes)| ChunkEntry::new(key, bytes.len() as u64));
        Ok(ChunkPage::new(page.collect(), more))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        if self.has(ChunkFault::DeleteIsIgnored) {
            return Ok(());
        }
        if !self.can.delete {
            return Err(Error::new(ErrorKind::Unsupported, "this store can't remove chunks"));
        }
        let prefixes = self.has(ChunkFault::DeletesAPrefix);
        self.chunks.lock().unwrap().retain(|known, _| known != key && !(prefixes && known.starts_with(key)));
        Ok(())
    }
}

const FAULTS: &[(&str, ChunkFault)] = &[
    ("a_chunk_comes_back_as_it_was", ChunkFault::EmptyIsLost),
    ("a_chunk_is_created_once", ChunkFault::LooksThenCreates),
    ("a_chunk_is_created_once", ChunkFault::LastOneWins),
    ("a_missing_chunk_is_not_found", ChunkFault::MissingIsEmpty),
    ("a_list_has_keys_in_the_order_of_their_bytes", ChunkFault::OrderIsThatOfDirectories),
    ("a_list_has_keys_in_the_order_of_their_bytes", ChunkFault::PrefixIsADirectory),
    ("a_list_goes_on_behind_a_key", ChunkFault::OnePageIsAll),
    ("a_list_goes_on_behind_a_key", ChunkFault::AfterHasToBeThere),
    ("deleting_removes_one_chunk", ChunkFault::DeletesAPrefix),
    ("deleting_removes_one_chunk", ChunkFault::DeleteIsIgnored),
];

#[tokio::test(start_paused = true)]
async fn each_check_catches_its_fault() {
    prove(CHECKS, FAULTS, |fault| Box::new(Own::able(fault)) as Box<dyn ChunkHarness>).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_ignored_in_silence_is_caught() {
    let silent = [("deleting_removes_one_chunk", ChunkFault::DeleteIsIgnored)];
    prove_some(CHECKS, &silent, |fault| Box::new(Own::least(fault)) as Box<dyn ChunkHarness>).await;
}
