//! Starts the process of a container, in namespaces of its own where this user may make them.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, OnceLock},
    thread,
};

use rustix::{io::Errno, process::Pid};
use tokio::{process::Command, runtime::Handle, sync::oneshot};
use tracing::debug;
use uuid::Uuid;

#[cfg(test)]
use super::isolation::Plain;
use super::{
    groups::Groups,
    guard::Guard,
    isolation::{Isolation, Mount},
    process::Process,
    program::find,
};

/// Marks the processes of a container that has no PID namespace, wherever they went.
const MARK: &str = "WM_LOCAL_CONTAINER";

/// Enough for some paths and system calls.
const STACK: usize = 256 * 1024;

/// What is run, and where.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) command: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) directory: PathBuf,
    pub(crate) mounts: Vec<Mount>,
}

/// Why a process does not run.
#[derive(Debug)]
pub(crate) enum LaunchError {
    /// The runtime refuses: the container never starts.
    Start(String),
    /// The kernel refuses to execute it: the container starts, prints this and fails.
    Exec(String),
}

/// Starts processes, and knows all that live.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    /// Begins each mark.
    name: String,
    groups: Groups,
    isolation: OnceLock<Isolation>,
}

impl Launcher {
    /// Keeps what it needs below `directory`, which goes with this process if it is temporary.
    pub(crate) fn new(directory: &Path, is_temporary: bool) -> Self {
        let name = Uuid::new_v4().simple().to_string();
        let mark = format!("{MARK}={name}-");
        // The guard has not been told of a process that is just being started, but that has its home. Another cluster
        // may use the directory too, unless it is temporary.
        let home = is_temporary.then(|| format!("HOME={}/pods/", directory.display()));
        let guard = Guard::start([&mark, home.as_ref().unwrap_or(&mark)], is_temporary.then_some(directory));
        let shared = Shared {
            directory: directory.to_owned(),
            name,
            groups: Groups::new(guard),
            isolation: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// One that makes no namespaces, as for a user who may make none.
    #[cfg(test)]
    pub(crate) fn plain(directory: &Path, plain: Plain) -> Self {
        let launcher = Self::new(directory, false);
        launcher.shared.isolation.set(Isolation::Plain(plain)).unwrap();
        launcher
    }

    /// Kills all processes, now and any that is just being started.
    pub(crate) fn close(&self) {
        self.shared.groups.close();
    }

    /// Starts a process.
    ///
    /// # Cancel safety
    ///
    /// A process that was started when the future is dropped is killed.
    pub(crate) async fn start(&self, launch: Launch) -> Result<Process, LaunchError> {
        let shared = Arc::clone(&self.shared);
        let runtime = Handle::current();
        let (started, is_started) = oneshot::channel();
        let run = move || {
            // A dropped receiver drops the process, which kills it.
            started.send(shared.start(launch, &runtime)).ok();
        };
        // A thread of its own, for it can't leave the namespaces that it makes for its child.
        let thread = thread::Builder::new().name("wm-local-launch".to_owned()).stack_size(STACK).spawn(run);
        thread.map_err(|error| LaunchError::Start(format!("no thread to start it: {error}")))?;
        is_started.await.unwrap_or_else(|_| Err(LaunchError::Start("its thread has panicked".to_owned())))
    }
}

impl Shared {
    fn start(&self, mut launch: Launch, runtime: &Handle) -> Result<Process, LaunchError> {
        let (mut mark, mut wrapper) = (None, None);
        match self.isolation.get_or_init(|| Isolation::detect(&self.directory)) {
            Isolation::Namespaces(base) => {
                base.enter(&launch.mounts).map_err(|error| init_error(&error))?;
                // From here on this thread sees what the container sees.
                launch.mounts.clear();
            }
            Isolation::Plain(plain) => {
                debug!(plain.reason, "Container is a plain process");
                let value = format!("{}-{}", self.name, Uuid::new_v4().simple());
                launch.environment.push((MARK.into(), value.clone().into()));
                mark = Some(format!("{MARK}={value}"));
                let words = [&launch.command].into_iter().chain(&launch.arguments);
                let words = words.chain(launch.environment.iter().map(|(_, value)| value));
                wrapper = plain
                    .wrap(&launch.mounts, &launch.directory, words)
                    .map_err(|error| init_error(&error))?;
            }
        }
        let shown = launch.command.to_string_lossy().into_owned();
        let outside = |path: &Path| outside(&launch.mounts, path);
        let directory = launch.directory.display();
        match std::fs::metadata(outside(&launch.directory)) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(init_error(&format!("mkdir {directory}: not a directory"))),
            Err(_) => {
                let message = format!("chdir to cwd (\"{directory}\") failed: no such file or directory");
                return Err(LaunchError::Start(message));
            }
        }
        let path =
            launch.environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        // An absolute path spares std its own search, and allows it the quick way to start a process.
        let program = find(&launch.command, path.unwrap_or_default(), &launch.directory, outside)
            .map_err(|reason| refusal(&shown, &reason))?;
        let is_wrapped = wrapper.is_some();
        let command = command(program, launch, wrapper);
        let _within = runtime.enter();
        let child =
            Command::from(command).kill_on_drop(true).spawn().map_err(|error| exec_error(&shown, &error))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| refusal(&shown, "the process has no id"))?;
        let group = self.groups.enter(pid, is_wrapped);
        Process::new(child, group, mark).map_err(|error| refusal(&shown, &error.to_string()))
    }
}

fn command(program: PathBuf, launch: Launch, wrapper: Option<Vec<OsString>>) -> std::process::Command {
    let mut command = match wrapper {
        None => {
            let mut command = std::process::Command::new(program);
            command.arg0(&launch.command).current_dir(&launch.directory);
            command
        }
        Some(wrapper) => {
            let mut wrapper = wrapper.into_iter();
            let mut command = std::process::Command::new(wrapper.next().unwrap_or_default());
            // It goes to the directory when that is there.
            command.args(wrapper).arg(program).current_dir("/");
            command
        }
    };
    command
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

/// Where this machine has what a container with these mounts sees at a path.
fn outside(mounts: &[Mount], path: &Path) -> PathBuf {
    let containing = mounts.iter().filter(|mount| path.starts_with(&mount.target));
    let innermost = containing.max_by_key(|mount| mount.target.components().count());
    match innermost.and_then(|mount| Some((&mount.source, path.strip_prefix(&mount.target).ok()?))) {
        Some((source, rest)) if rest.as_os_str().is_empty() => source.clone(),
        Some((source, rest)) => source.join(rest),
        None => path.to_owned(),
    }
}

fn init_error(reason: &str) -> LaunchError {
    LaunchError::Start(format!("unable to start container process: error during container init: {reason}"))
}

fn exec_error(shown: &str, error: &io::Error) -> LaunchError {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::TOOBIG) => LaunchError::Exec(format!("exec {shown}: argument list too long")),
        Some(Errno::NOEXEC) => LaunchError::Exec(format!("exec {shown}: exec format error")),
        _ => refusal(shown, &error.to_string()),
    }
}

fn refusal(command: &str, reason: &str) -> LaunchError {
    LaunchError::Start(format!("unable to start container process: exec: \"{command}\": {reason}"))
}
