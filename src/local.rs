//! The embedded cluster as other processes of the same user find it.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use wm_core::{Error, ErrorKind, Result};
use wm_local::{Cluster, ClusterOptions};

/// Where the state directory is, if not at its usual place.
pub const STATE_VARIABLE: &str = "WM_LOCAL_STATE";

const KUBECONFIG: &str = "kubeconfig";

/// An embedded cluster that another process serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningCluster {
    /// The URL of its API.
    pub url: String,
    /// The kubeconfig that leads to it.
    pub kubeconfig: PathBuf,
}

/// The directory where a served cluster leaves its kubeconfig.
///
/// `$WM_LOCAL_STATE`, else `workload-manager` in `$XDG_RUNTIME_DIR`, in `$XDG_STATE_HOME` or in `~/.local/state`.
///
/// # Errors
/// `InvalidConfig` when none of these variables is set.
pub fn state_directory() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = set(STATE_VARIABLE) {
        return Ok(directory);
    }
    let base = set("XDG_RUNTIME_DIR")
        .or_else(|| set("XDG_STATE_HOME"))
        .or_else(|| set("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("workload-manager")).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidConfig,
            "there is no place for the embedded cluster's state: set WM_LOCAL_STATE",
        )
    })
}

/// Finds the embedded cluster that another process of this user serves; `None` when there is none.
pub async fn running() -> Option<RunningCluster> {
    let kubeconfig = state_directory().ok()?.join(KUBECONFIG);
    let text = tokio::fs::read_to_string(&kubeconfig).await.ok()?;
    let server = text.lines().find_map(|line| line.trim().strip_prefix("server: "))?.trim_matches('"');
    // The token before the @ is a credential, and no part of where the cluster is.
    let authority = server.strip_prefix("http://")?.trim_end_matches('/');
    let address = authority.rsplit_once('@').map_or(authority, |(_token, address)| address);
    let url = format!("http://{address}");
    // A cluster that was killed leaves its kubeconfig behind.
    timeout(Duration::from_secs(2), TcpStream::connect(address)).await.ok()?.ok()?;
    Some(RunningCluster { url, kubeconfig })
}

/// An embedded cluster that this process serves, for others to find.
#[derive(Debug)]
pub struct LocalServer {
    cluster: Cluster,
    kubeconfig: PathBuf,
}

impl LocalServer {
    /// Starts a cluster and leaves its kubeconfig in the [state directory](state_directory).
    ///
    /// # Errors
    /// `Conflict` when one is running; `Unavailable` when it can't be started.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        if let Some(other) = running().await {
            return Err(Error::new(
                ErrorKind::Conflict,
                "an embedded cluster of this user is running; use it, or stop it first",
            )
            .with_context("url", other.url)
            .with_context("kubeconfig", other.kubeconfig.display().to_string()));
        }
        let directory = state_directory()?;
        let cluster = start(options).await?;
        let kubeconfig = directory.join(KUBECONFIG);
        write(&directory, &kubeconfig, &cluster.kubeconfig()).map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("the kubeconfig can't be written: {error}"))
                .with_context("path", kubeconfig.display().to_string())
                .with_source(error)
        })?;
        Ok(Self { cluster, kubeconfig })
    }

    /// The URL of its API.
    pub fn url(&self) -> String {
        self.cluster.url().to_owned()
    }

    /// The kubeconfig that leads to it.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// Ends the cluster with all its processes.
    pub async fn shutdown(self) {
        if let Err(error) = fs::remove_file(&self.kubeconfig) {
            tracing::warn!(%error, path = %self.kubeconfig.display(), "The kubeconfig could not be removed");
        }
        self.cluster.shutdown().await;
    }
}

pub(crate) async fn start(options: ClusterOptions) -> Result<Cluster> {
    Cluster::start(options).await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, format!("the embedded cluster can't be started: {error}"))
            .with_source(error)
    })
}

/// Only this user may read it: whoever has the token runs programs as this user.
fn write(directory: &Path, path: &Path, text: &str) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    fs::rename(fresh, path)
}
