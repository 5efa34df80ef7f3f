//! Processes: how one is waited for, with everything that it starts.

use std::{io, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::unix::pipe::Receiver, process::Child};
use tracing::debug;

use super::{
    groups::{Group, Signaller},
    strays,
};

/// A process that leads its own group, and its output.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Group,
    /// What the environment of all that it starts has, if there is no PID namespace to hold them.
    mark: Option<String>,
    started: Instant,
    pub(crate) output: Option<(Receiver, Receiver)>,
}

impl Process {
    pub(super) fn new(mut child: Child, group: Group, mark: Option<String>) -> io::Result<Self> {
        let output = match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), Some(stderr)) => Some((
                Receiver::from_owned_fd(stdout.into_owned_fd()?)?,
                Receiver::from_owned_fd(stderr.into_owned_fd()?)?,
            )),
            _ => None,
        };
        Ok(Self { child, group, mark, started: Instant::now(), output })
    }

    /// Waits for the leader, then ends what it left behind, as the end of a container's first process does.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.group.leave();
        if let Some(mark) = self.mark.clone() {
            let (leader, ran) = (self.group.leader(), self.started.elapsed());
            let killed = tokio::task::spawn_blocking(move || strays::kill(&mark, leader, ran)).await;
            killed.map_err(io::Error::other)?;
            self.mark = None;
        }
        status
    }

    /// Sends signals while somebody waits for the process.
    pub(crate) fn signaller(&self) -> Signaller {
        self.group.signaller()
    }
}

/// The exit code as a shell and a runtime count it: 128 and the signal for one that was killed.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Raises this process's limit of open files, of which each pod takes a few, as far as it may: many systems
/// set it for programs of long ago. The processes of pods inherit it.
pub(crate) fn allow_many_files() {
    const ENOUGH: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            debug!(%error, "Limit of open files stays as it is");
        }
    }
}

#[cfg(test)]
mod tests;
