//! What keeps the processes of a container together, and gives them a file system of their own.
//!
//! Where this user may make namespaces, each container has a PID namespace, whose first process is the container's: when
//! it ends the kernel ends all the others, whatever they did to get away. And it has a mount namespace, in which volumes
//! are mounted, and nothing of that is seen on the machine outside.

#[cfg(target_os = "linux")]
mod base;
#[cfg(not(target_os = "linux"))]
#[path = "isolation/none.rs"]
mod base;
#[cfg(target_os = "linux")]
mod mirror;
#[cfg(target_os = "linux")]
mod unshared;
#[cfg(target_os = "linux")]
mod view;

#[cfg(target_os = "linux")]
use std::io;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::OnceLock,
};

pub(crate) use self::base::Base;
#[cfg(not(target_os = "linux"))]
use self::base::Unshared;
#[cfg(target_os = "linux")]
use self::unshared::Unshared;

/// A file or directory of this machine, and where a container sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) is_read_only: bool,
    /// Whether the container can't do without.
    pub(crate) is_needed: bool,
}

/// Whether containers have namespaces of their own. It is found out once, when the first one is started.
#[derive(Debug)]
pub(crate) enum Isolation {
    /// They have, made from this.
    Namespaces(Base),
    /// They are plain processes, as far as they can be, because the kernel said this.
    Plain(Plain),
}

/// How containers do without namespaces of this process' making.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) reason: String,
    directory: PathBuf,
    /// Found out when it is needed.
    unshared: OnceLock<Result<Unshared, String>>,
}

impl Isolation {
    /// Tries it. The files that it needs are kept below `directory`. It blocks for about a millisecond.
    pub(crate) fn detect(directory: &Path) -> Self {
        match Base::prepare(directory) {
            Ok(base) => Self::Namespaces(base),
            Err(error) => Self::Plain(Plain::new(directory, error.to_string())),
        }
    }
}

impl Plain {
    pub(crate) fn new(directory: &Path, reason: String) -> Self {
        Self { reason, directory: directory.to_owned(), unshared: OnceLock::new() }
    }

    /// One that has no namespace of users either.
    #[cfg(test)]
    pub(crate) fn helpless(directory: &Path) -> Self {
        let unshared = OnceLock::from(Err("nor that".to_owned()));
        Self { reason: "not in this test".to_owned(), directory: directory.to_owned(), unshared }
    }

    /// The command of `unshare` with which it mounts these and goes on in a directory; `None` if there is nothing that
    /// is worth it. `words` are all that the container is told. What it can't do is refused, in words.
    pub(crate) fn wrap<'a>(
        &self,
        mounts: &[Mount],
        directory: &Path,
        words: impl Iterator<Item = &'a OsString>,
    ) -> Result<Option<Vec<OsString>>, String> {
        // The usual file of the termination message is so only for who names it, since each container has it.
        let is_named = words.map(|word| word.to_string_lossy()).any(|word| word.contains(TERMINATION_LOG));
        let is_worth_it =
            |mount: &&Mount| mount.is_needed || is_named || mount.target != Path::new(TERMINATION_LOG);
        let Some(mount) = mounts.iter().find(is_worth_it) else { return Ok(None) };
        let failed = |mount: &Mount, why: &str| {
            format!(
                "error mounting \"{}\" to rootfs at \"{}\": {why}",
                mount.source.display(),
                mount.target.display()
            )
        };
        match self.unshared.get_or_init(|| Unshared::detect(&self.directory)) {
            Ok(unshared) => unshared
                .command(mounts, directory)
                .map(Some)
                .map_err(|error| failed(mount, &error.to_string())),
            Err(said) => match mounts.iter().find(|mount| mount.is_needed) {
                None => Ok(None),
                Some(mount) => Err(failed(
                    mount,
                    &format!(
                        "a mount namespace is needed for that, and the kernel said: {}; in a namespace of users: {said}: run \
                         the embedded cluster as root (in a container, with CAP_SYS_ADMIN), or do without volumes",
                        self.reason,
                    ),
                )),
            },
        }
    }
}

/// Where the API server has containers write their termination message by default.
pub(super) const TERMINATION_LOG: &str = "/dev/termination-log";

/// Leaves the namespaces that `flags` name, for new ones of this thread alone.
#[cfg(target_os = "linux")]
fn unshare(flags: rustix::thread::UnshareFlags) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "only a new table of open files, which is never asked for, makes it unsafe"
    )]
    let unshared = rustix::thread::unshare(flags);
    Ok(unshared?)
}
