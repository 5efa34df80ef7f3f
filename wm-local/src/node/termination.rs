//! The termination message: what a container has to say last.

use std::{io, path::PathBuf};

use serde_json::Value;
use tokio::{
    fs::{self, File},
    io::AsyncReadExt as _,
};
use tracing::warn;

use super::{
    Shared,
    isolation::{Mount, TERMINATION_LOG},
    log::{LogHandle, tail},
};
use crate::store::meta;

/// How much is taken of the file, and of the messages of all containers of a pod together.
const MOST: u64 = 4096;
const MOST_OF_POD: u64 = 12 * 1024;

/// How much of the log stands in for a file that is empty.
const LAST_LINES: u64 = 80;
const LAST_BYTES: usize = 2048;

/// The message of one run of a container.
pub(super) struct TerminationMessage {
    file: PathBuf,
    path: PathBuf,
    falls_back_to_log: bool,
    most: u64,
}

impl TerminationMessage {
    pub(super) fn new(shared: &Shared, pod: &Value, container: &Value, run: u32) -> Self {
        let text = |field: &str| container[field].as_str().unwrap_or_default();
        let path = Some(text("terminationMessagePath")).filter(|path| !path.is_empty());
        let lists = ["initContainers", "containers"].into_iter();
        let count: usize = lists.map(|list| pod["spec"][list].as_array().map_or(0, Vec::len)).sum();
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        Self {
            file: shared.directories.termination_message(meta(pod, "uid"), text("name"), run),
            path: path.unwrap_or(TERMINATION_LOG).into(),
            falls_back_to_log: text("terminationMessagePolicy") == "FallbackToLogsOnError",
            most: MOST.min(MOST_OF_POD / count),
        }
    }

    /// Makes the file, and tells where the container is to see it.
    pub(super) async fn create(&self) -> io::Result<Mount> {
        File::create(&self.file).await?;
        // Without a mount namespace the container runs all the same, and has no message.
        Ok(Mount {
            source: self.file.clone(),
            target: self.path.clone(),
            is_read_only: false,
            is_needed: false,
        })
    }

    /// What was written; or, of a failure, the end of its log if the container asks for that.
    pub(super) async fn read(&self, exit_code: i32, log: LogHandle) -> String {
        let message = match self.written().await {
            Ok(written) if written.is_empty() && exit_code != 0 && self.falls_back_to_log => {
                tail(log, LAST_LINES, LAST_BYTES).await
            }
            written => written,
        };
        match message {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                warn!(%error, "Termination message can't be read");
                String::new()
            }
        }
    }

    async fn written(&self) -> io::Result<Vec<u8>> {
        // Most have nothing to say.
        if fs::metadata(&self.file).await?.len() == 0 {
            return Ok(Vec::new());
        }
        let mut message = Vec::new();
        File::open(&self.file).await?.take(self.most).read_to_end(&mut message).await?;
        Ok(message)
    }
}
