//! The file system that all containers begin with: the machine's, and a place for the termination message.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    fs::CWD,
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
        move_mount, open_tree, unmount,
    },
    process::chdir,
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};

use super::{Mount, TERMINATION_LOG, mirror::mirror, unshare, view::View};

/// A mount namespace that is kept for others to be copied from.
#[derive(Debug)]
pub(crate) struct Base {
    mounts: OwnedFd,
    /// An empty directory that a new root can be built in.
    scratch: PathBuf,
}

impl Base {
    pub(super) fn prepare(directory: &Path) -> io::Result<Self> {
        let scratch = directory.join("view");
        fs::create_dir_all(&scratch)?;
        let scratch = scratch.canonicalize()?;
        let mounts = on_a_thread(|| {
            unshare(UnshareFlags::FS | UnshareFlags::NEWNS)?;
            // What is mounted outside is seen inside as well, but never the other way round.
            mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)?;
            if !Path::new(TERMINATION_LOG).exists() {
                extend_dev(&scratch)?;
            }
            Ok(File::open("/proc/thread-self/ns/mnt")?.into())
        })?;
        let base = Self { mounts, scratch };
        // Whatever may be refused is tried now, rather than in a container.
        on_a_thread(|| base.enter(&[]).map_err(io::Error::other))?;
        Ok(base)
    }

    /// Moves this thread, and what it starts, into new namespaces with these mounts.
    ///
    /// The thread must be one that ends after it has started a process: it can't go back, nor start threads.
    pub(crate) fn enter(&self, mounts: &[Mount]) -> Result<(), String> {
        self.copy().map_err(|error| format!("namespaces can't be made: {error}"))?;
        let mut view = View::new(&self.scratch);
        let mut mounts: Vec<_> = mounts.iter().collect();
        // The outer ones first, or they would hide the inner ones.
        mounts.sort_by_key(|mount| mount.target.components().count());
        for mount in mounts {
            view.add(mount)?;
        }
        // Last, for it shows the processes of the new namespace, to which this thread does not belong.
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "/proc", "proc", flags, None)
            .map_err(|error| format!("error mounting \"proc\": {error}"))
    }

    fn copy(&self) -> io::Result<()> {
        unshare(UnshareFlags::FS)?;
        move_into_link_name_space(self.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        unshare(UnshareFlags::NEWNS | UnshareFlags::NEWPID)
    }
}

/// Lays a directory over `/dev` in which there is the file as well, and all devices are the machine's.
fn extend_dev(scratch: &Path) -> io::Result<()> {
    mount("tmpfs", scratch, "tmpfs", MountFlags::NOSUID, None)?;
    chdir(scratch)?;
    for name in ["upper", "work"] {
        fs::create_dir(name)?;
    }
    File::create("upper/termination-log")?;
    if overlay_dev().is_err() {
        mirror(Path::new("/dev"), scratch)?;
        File::create(TERMINATION_LOG)?;
    }
    chdir("/")?;
    // The overlay keeps what it needs of it.
    unmount(scratch, UnmountFlags::DETACH)?;
    OpenOptions::new().write(true).open("/dev/null").map(drop)
}

fn overlay_dev() -> io::Result<()> {
    let inner = mount_points_below("/dev/")?;
    let clone =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let inner: Vec<_> =
        inner.into_iter().filter_map(|path| Some((open_tree(CWD, &path, clone).ok()?, path))).collect();
    let options = CString::new("lowerdir=/dev,upperdir=upper,workdir=work")?;
    mount("overlay", "/dev", "overlay", MountFlags::NOSUID | MountFlags::NOEXEC, Some(options.as_c_str()))?;
    for (tree, path) in inner {
        move_mount(tree, "", CWD, &path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    Ok(())
}

/// The outermost mount points below a directory.
fn mount_points_below(directory: &str) -> io::Result<Vec<String>> {
    let table = fs::read_to_string("/proc/thread-self/mountinfo")?;
    let mut found: Vec<String> = Vec::new();
    for path in table.lines().filter_map(|line| line.split(' ').nth(4)) {
        let is_within = |outer: &String| Path::new(path).starts_with(outer);
        if path.starts_with(directory) && !found.iter().any(is_within) {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}

/// Runs it on a thread of its own, since its namespaces are the thread's.
fn on_a_thread<T: Send>(run: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")))
}
