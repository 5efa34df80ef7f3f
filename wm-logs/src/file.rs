use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use wm_core::{
    Chunk, ChunkEntry, ChunkPage, ChunkStore, ChunkStoreCapabilities, Creation, Error, ErrorKind, Result,
};

/// As many entries has a page of a list at most.
const PAGE: usize = 1000;
/// Where files are written before they get their names; no key begins like this.
const UNFINISHED: &str = ".unfinished";

/// Keeps chunks as files of a directory, one a chunk, whose path is the key: for one machine, or several that share a
/// file system with hard links.
#[derive(Clone, Debug)]
pub struct FileChunkStore {
    root: Arc<Path>,
}

impl FileChunkStore {
    /// Makes a store of a directory, which is made when the first chunk is created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into().into() }
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\0', '\\']);
        if key.split('/').all(is_part) {
            return Ok(self.root.join(key));
        }
        Err(Error::new(ErrorKind::InvalidRequest, "this is no key of a chunk").with_context("key", key))
    }

    async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            Error::new(ErrorKind::Unexpected, "an access to a file of the archive came to nothing")
                .with_source(error)
        })?
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for FileChunkStore {
    fn capabilities(&self) -> ChunkStoreCapabilities {
        ChunkStoreCapabilities { conditional_create: true, delete: true }
    }

    /// The file gets its name when it is whole, and only if no other has it. Who wrote it is not kept.
    async fn create(&self, key: &str, bytes: &[u8], _writer: &str) -> Result<Creation> {
        let (path, unfinished, bytes) = (self.path(key)?, self.root.join(UNFINISHED), bytes.to_vec());
        Self::run(move || create(&path, &unfinished, &bytes).map_err(|error| failed("written", &path, error)))
            .await
    }

    async fn get(&self, key: &str) -> Result<Chunk> {
        let path = self.path(key)?;
        Self::run(move || match std::fs::read(&path) {
            Ok(bytes) => Ok(Chunk::new(bytes)),
            // Other keys begin with this one, or it begins with another.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory) =>
            {
                Err(failed("read", &path, io::ErrorKind::NotFound.into()))
            }
            Err(error) => Err(failed("read", &path, error)),
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ChunkPage> {
        let (root, prefix) = (Arc::clone(&self.root), prefix.to_owned());
        let after = after.map(str::to_owned);
        Self::run(move || {
            let mut walk = Walk { prefix: &prefix, after: after.as_deref(), found: Vec::new() };
            // Only below this can there be any.
            let (start, _) = prefix.rsplit_once('/').unwrap_or_default();
            walk.enter(&root.join(start), start).map_err(|error| failed("listed", &root, error))?;
            let more = walk.found.len() > PAGE;
            walk.found.truncate(PAGE);
            Ok(ChunkPage::new(walk.found, more))
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let (path, root) = (self.path(key)?, Arc::clone(&self.root));
        Self::run(move || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("removed", &path, error));
                }
                _ => {}
            }
            // Directories go with their last file; one that is not empty stays.
            let parents = path.ancestors().skip(1).take_while(|parent| **parent != *root);
            for parent in parents {
                if std::fs::remove_dir(parent).is_err() {
                    break;
                }
            }
            Ok(())
        })
        .await
    }
}

fn create(path: &Path, unfinished: &Path, bytes: &[u8]) -> io::Result<Creation> {
    std::fs::create_dir_all(unfinished)?;
    let mut file = tempfile::NamedTempFile::new_in(unfinished)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    loop {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match std::fs::hard_link(file.path(), path) {
            Ok(()) => return Ok(Creation::Created),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Creation::Exists),
            // The directory went with its last file in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.path().exists() => {}
            Err(error) => return Err(error),
        }
    }
}

struct Walk<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    found: Vec<ChunkEntry>,
}

impl Walk<'_> {
    /// Finds files in the order of their keys, up to one more than a page.
    fn enter(&mut self, directory: &Path, key: &str) -> io::Result<()> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            // It may be removed at any moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut children = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let mut child = if key.is_empty() { name } else { format!("{key}/{name}") };
            let is_directory = entry.file_type()?.is_dir();
            if is_directory {
                child.push('/');
            }
            children.push((child, is_directory, entry));
        }
        children.sort_by(|a, b| a.0.cmp(&b.0));
        for (child, is_directory, entry) in children {
            if self.found.len() > PAGE {
                break;
            }
            let may_match = child.starts_with(self.prefix) || self.prefix.starts_with(&child);
            let is_behind = self.after.is_none_or(|after| *child > *after || after.starts_with(&child));
            if !may_match || !is_behind {
                continue;
            }
            if is_directory {
                self.enter(&entry.path(), child.trim_end_matches('/'))?;
            } else if child.starts_with(self.prefix) && self.after.is_none_or(|after| *child > *after) {
                match entry.metadata() {
                    Ok(metadata) => self.found.push(ChunkEntry::new(child, metadata.len())),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Unavailable,
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => ErrorKind::InvalidConfig,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("a file of the archive could not be {what}: {}", error.kind()))
        .with_context("path", path.display().to_string())
        .with_source(error)
}
