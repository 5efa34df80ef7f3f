//! What its implementation source stands for, and its options.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use wm_core::{Error, ErrorKind, ManagerFactory, Result, WorkloadManager};

use super::manager::SubprocessWorkloadManager;

/// The source string that selects this backend.
pub(crate) const SOURCE: &str = "acme.SubprocessWorkloadManager";

const PREFIX: &str = "ACME_WORKLOAD_MANAGER_";
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Makes the backend of the variables `ACME_WORKLOAD_MANAGER_DIRECTORY` and `ACME_WORKLOAD_MANAGER_GRACE_SECONDS`.
#[derive(Debug)]
pub(crate) struct SubprocessFactory;

/// How processes are started and stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Where programs start.
    pub(super) directory: PathBuf,
    /// How long a program may take to end when it is asked to.
    pub(super) grace: Duration,
}

impl Options {
    fn parse(options: &Value) -> Result<Self> {
        let mut parsed = Self { directory: std::env::temp_dir(), grace: DEFAULT_GRACE };
        for (name, value) in options.as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            match name.as_str() {
                // Empty counts as unset.
                _ if text.is_empty() => {}
                "directory" => {
                    parsed.directory = PathBuf::from(text);
                    if !parsed.directory.is_absolute() {
                        return Err(invalid("it must be an absolute path, for example /srv/runs", name));
                    }
                }
                "grace_seconds" => {
                    let seconds = text.parse::<u32>();
                    let seconds = seconds.map_err(|_| invalid("it must be a number of seconds", name))?;
                    parsed.grace = Duration::from_secs(seconds.into());
                }
                _ => {
                    return Err(invalid(
                        "no variable has this name; there are DIRECTORY, GRACE_SECONDS",
                        name,
                    ));
                }
            }
        }
        Ok(parsed)
    }
}

fn invalid(message: &'static str, name: &str) -> Error {
    let variable = format!("{PREFIX}{}", name.to_ascii_uppercase());
    Error::new(ErrorKind::InvalidConfig, message).with_context("variable", variable)
}

#[async_trait]
impl ManagerFactory for SubprocessFactory {
    fn environment_prefix(&self) -> Option<&str> {
        Some(PREFIX)
    }

    fn check(&self, options: &Value) -> Result<()> {
        Options::parse(options).map(drop)
    }

    async fn build(&self, options: &Value) -> Result<Arc<dyn WorkloadManager>> {
        let options = Options::parse(options)?;
        let metadata = tokio::fs::metadata(&options.directory).await;
        if !metadata.is_ok_and(|metadata| metadata.is_dir()) {
            return Err(invalid("there is no such directory; make it first", "directory")
                .with_context("path", options.directory.display().to_string()));
        }
        Ok(Arc::new(SubprocessWorkloadManager::new(options)))
    }
}
