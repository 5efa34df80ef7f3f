//! What keeps the processes of a container together, and gives them a file system of their own.
//!
//! Where this user may make namespaces, each container has a PID namespace, whose first process is the container's: when
//! it ends the kernel ends all the others, whatever they did to get away. And it has a mount namespace, in which volumes
//! are mounted, and nothing of that is seen on the machine outside.

#[cfg(target_os = "linux")]
mod base;
#[cfg(not(target_os = "linux"))]
#[path = "isolation/no_base.rs"]
mod base;
#[cfg(target_os = "linux")]
mod mirror;
#[cfg(target_os = "linux")]
mod view;

#[cfg(target_os = "linux")]
use std::io;
use std::path::{Path, PathBuf};

use self::base::Base;

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
    /// They are plain processes, because the kernel said this.
    Plain(String),
}

impl Isolation {
    /// Tries it. The files that it needs are kept below `directory`. It blocks for about a millisecond.
    pub(crate) fn detect(directory: &Path) -> Self {
        match Base::prepare(directory) {
            Ok(base) => Self::Namespaces(base),
            Err(error) => Self::Plain(error.to_string()),
        }
    }

    /// Moves this thread, and what it starts, into new namespaces with these mounts.
    ///
    /// The thread must be one that ends after it has started a process: it can't go back, nor start threads.
    pub(crate) fn enter(&self, mounts: &[Mount]) -> Result<(), String> {
        match self {
            Self::Namespaces(base) => base.enter(mounts),
            Self::Plain(reason) => match mounts.iter().find(|mount| mount.is_needed) {
                None => Ok(()),
                Some(mount) => Err(format!(
                    "error mounting \"{}\" to rootfs at \"{}\": a mount namespace is needed for that, and the kernel \
                     said: {reason}: run the embedded cluster as root (in a container, with CAP_SYS_ADMIN), or do \
                     without volumes",
                    mount.source.display(),
                    mount.target.display(),
                )),
            },
        }
    }
}

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
