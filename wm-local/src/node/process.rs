//! Processes: how a container's command is found, started and signalled, with everything that it starts.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::{
    net::unix::pipe::Receiver,
    process::{Child, Command},
};
use tracing::debug;

/// What is run, and where.
pub(crate) struct Launch {
    pub(crate) command: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) directory: PathBuf,
}

/// Why a process does not run.
#[derive(Debug)]
pub(crate) enum LaunchError {
    /// The runtime refuses: the container never starts.
    Start(String),
    /// The kernel refuses to execute it: the container starts, prints this and fails.
    Exec(String),
}

/// A process that leads its own group, and its output.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Group,
    pub(crate) output: Option<(Receiver, Receiver)>,
}

impl Process {
    pub(crate) async fn start(launch: Launch, groups: &Groups) -> Result<Self, LaunchError> {
        let shown = launch.command.to_string_lossy().into_owned();
        // Looked for beforehand, or the error could be either that of the directory or that of the program.
        if !tokio::fs::metadata(&launch.directory).await.is_ok_and(|metadata| metadata.is_dir()) {
            let directory = launch.directory.display();
            let message = format!("chdir to cwd (\"{directory}\") failed: no such file or directory");
            return Err(LaunchError::Start(message));
        }
        let path =
            launch.environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        // An absolute path spares std its own search, and allows it the quick way to start a process.
        let program = find(&launch.command, path.unwrap_or_default(), &launch.directory).await?;
        let mut command = Command::new(program);
        command
            .arg0(&launch.command)
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment)
            .current_dir(&launch.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::TOOBIG) => {
                    LaunchError::Exec(format!("exec {shown}: argument list too long"))
                }
                Some(rustix::io::Errno::NOEXEC) => {
                    LaunchError::Exec(format!("exec {shown}: exec format error"))
                }
                _ => refusal(&shown, &error.to_string()),
            }
        })?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let group = groups.enter(pid.ok_or_else(|| refusal(&shown, "the process has no id"))?);
        let output = match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), Some(stderr)) => stdout
                .into_owned_fd()
                .and_then(Receiver::from_owned_fd)
                .and_then(|stdout| Ok((stdout, Receiver::from_owned_fd(stderr.into_owned_fd()?)?)))
                .map_err(|error| refusal(&shown, &error.to_string()))
                .map(Some)?,
            _ => None,
        };
        Ok(Self { child, group, output })
    }

    /// Waits for the leader, then ends what it left behind, as the end of a container's first process does.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.group.leave();
        status
    }

    /// Sends signals while somebody waits for the process.
    pub(crate) fn signaller(&self) -> Signaller {
        Signaller { leader: self.group.leader, groups: self.group.groups.clone() }
    }
}

/// Sends signals to the group of a process, as long as that lives.
#[derive(Debug)]
pub(crate) struct Signaller {
    leader: Pid,
    groups: Groups,
}

impl Signaller {
    pub(crate) fn send(&self, signal: Signal) {
        let members = self.groups.0.lock().unwrap_or_else(PoisonError::into_inner);
        if members.leaders.contains(&self.leader) {
            kill(self.leader, signal);
        }
    }
}

/// The exit code as a shell and a runtime count it: 128 and the signal for one that was killed.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn refusal(command: &str, reason: &str) -> LaunchError {
    LaunchError::Start(format!("unable to start container process: exec: \"{command}\": {reason}"))
}

/// Finds a program as a runtime does: by `PATH` unless its name has a slash.
async fn find(command: &OsStr, path: &OsStr, directory: &Path) -> Result<PathBuf, LaunchError> {
    let shown = command.to_string_lossy();
    if command.as_bytes().contains(&b'/') {
        let program = directory.join(command);
        return match tokio::fs::metadata(&program).await {
            Ok(metadata) if is_executable(&metadata) => Ok(program),
            Ok(_) => Err(refusal(&shown, "permission denied")),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(refusal(&shown, "permission denied"))
            }
            Err(_) => Err(refusal(&shown, &format!("stat {shown}: no such file or directory"))),
        };
    }
    for entry in std::env::split_paths(path) {
        let program = directory.join(entry).join(command);
        if tokio::fs::metadata(&program).await.is_ok_and(|metadata| is_executable(&metadata)) {
            return Ok(program);
        }
    }
    Err(refusal(&shown, "executable file not found in $PATH"))
}

fn is_executable(metadata: &std::fs::Metadata) -> bool {
    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}

/// All process groups that live, so that none outlives the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(Arc<Mutex<Members>>);

#[derive(Debug, Default)]
struct Members {
    leaders: HashSet<Pid>,
    is_closed: bool,
}

impl Groups {
    /// Kills all groups, now and of any process that is just being started.
    pub(crate) fn close(&self) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.is_closed = true;
        for leader in &members.leaders {
            kill(*leader, Signal::KILL);
        }
    }

    fn enter(&self, leader: Pid) -> Group {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.leaders.insert(leader);
        if members.is_closed {
            kill(leader, Signal::KILL);
        }
        Group { leader, groups: self.clone() }
    }
}

/// Membership in `Groups`; dropping it kills the group.
#[derive(Debug)]
struct Group {
    leader: Pid,
    groups: Groups,
}

impl Group {
    /// Kills what is left of the group. Idempotent, since an id that is free again may become somebody else's.
    fn leave(&self) {
        let mut members = self.groups.0.lock().unwrap_or_else(PoisonError::into_inner);
        if members.leaders.remove(&self.leader) {
            kill(self.leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.leave();
    }
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

fn kill(leader: Pid, signal: Signal) {
    // It fails only if nobody is left in the group, which is what a kill is for.
    rustix::process::kill_process_group(leader, signal).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(command: &str, arguments: &[&str]) -> Launch {
        Launch {
            command: command.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            environment: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            directory: std::env::temp_dir(),
        }
    }

    async fn refused(launch: Launch) -> String {
        match Process::start(launch, &Groups::default()).await.unwrap_err() {
            LaunchError::Start(message) | LaunchError::Exec(message) => message,
        }
    }

    #[tokio::test]
    async fn exit_codes_and_signals_are_told() {
        let groups = Groups::default();
        let mut process = Process::start(launch("sh", &["-c", "exit 3"]), &groups).await.unwrap();
        assert_eq!(exit_code(process.wait().await.unwrap()), 3);
        let mut process = Process::start(launch("sh", &["-c", "kill -TERM $$"]), &groups).await.unwrap();
        assert_eq!(exit_code(process.wait().await.unwrap()), 143);
    }

    #[tokio::test]
    async fn refusals_are_worded_as_the_runtimes() {
        let not_found =
            "unable to start container process: exec: \"no-such\": executable file not found in $PATH";
        assert_eq!(refused(launch("no-such", &[])).await, not_found);
        let denied = "unable to start container process: exec: \"/etc\": permission denied";
        assert_eq!(refused(launch("/etc", &[])).await, denied);
        let absent = "exec: \"/no/such\": stat /no/such: no such file or directory";
        assert!(refused(launch("/no/such", &[])).await.ends_with(absent));
    }

    #[tokio::test]
    async fn an_environment_that_is_too_large_fails_in_the_container() {
        let mut huge = launch("true", &[]);
        huge.environment.push(("X".into(), "x".repeat(200 * 1024).into()));
        assert_eq!(refused(huge).await, "exec true: argument list too long");
    }

    #[tokio::test]
    async fn closing_kills_running_groups_and_those_to_come() {
        let groups = Groups::default();
        let mut running = Process::start(launch("sleep", &["600"]), &groups).await.unwrap();
        groups.close();
        assert_eq!(exit_code(running.wait().await.unwrap()), 137);
        let mut late = Process::start(launch("sleep", &["600"]), &groups).await.unwrap();
        assert_eq!(exit_code(late.wait().await.unwrap()), 137);
    }

    #[tokio::test]
    async fn what_the_leader_leaves_behind_ends_with_it() {
        let mut process =
            Process::start(launch("sh", &["-c", "sleep 600 & echo $!"]), &Groups::default()).await.unwrap();
        let (stdout, _stderr) = process.output.take().unwrap();
        process.wait().await.unwrap();
        // The pipe is closed once the sleeping child, which holds it as well, is gone.
        let mut printed = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut { stdout }, &mut printed).await.unwrap();
        assert!(printed.trim().parse::<u32>().is_ok(), "{printed:?}");
    }
}
