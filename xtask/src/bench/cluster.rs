//! The embedded cluster in a process of its own, so that its costs are not the launcher's.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::Failure;

pub(crate) struct LocalCluster {
    process: Child,
    state: TempDir,
    // Closed, it would end a server that writes to it.
    _output: Lines<BufReader<ChildStdout>>,
}

impl LocalCluster {
    /// Starts `wm local`, by default the one beside this program, and waits until it serves.
    pub(crate) async fn start(wm: Option<&Path>) -> Result<Self, Failure> {
        let wm = wm.map_or_else(beside, |path| Ok(path.to_owned()))?;
        let state = TempDir::new()?;
        let mut process = Command::new(&wm)
            .args(["--json", "local"])
            .env("WM_LOCAL_STATE", state.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} can't be started: {error}", wm.display()))?;
        let output = process.stdout.take().ok_or("the output of `wm local` is not ours")?;
        let mut output = BufReader::new(output).lines();
        // Its first line says that it serves.
        if output.next_line().await?.is_none() {
            return Err(format!("`wm local` did not start: {}", process.wait().await?).into());
        }
        Ok(Self { process, state, _output: output })
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.state.path().join("kubeconfig")
    }

    /// The id of its process, unless that has ended.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Asks it to end, with its pods, and waits.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        let id = self.process.id().and_then(|id| id.try_into().ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            kill_process(id, Signal::TERM)?;
        }
        self.process.wait().await?;
        Ok(())
    }
}

fn beside() -> Result<PathBuf, Failure> {
    let wm = env::current_exe()?.with_file_name("wm");
    if wm.exists() {
        Ok(wm)
    } else {
        Err("there is no `wm` beside this program: use `cargo xtask bench`".into())
    }
}
