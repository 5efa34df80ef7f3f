//! A directory that looks as before, but in which mount points can be made that the machine does not have.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt as _, chown, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, open},
    mount::{MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount},
    process::{chdir, pivot_root},
};

/// Each entry is a mount; a namespace has room for many times as many.
const MOST_ENTRIES: usize = 4096;

/// Covers a directory with an empty one in memory, and puts each entry of the old one back by a bind mount. What is made
/// in the directory itself from now on is seen in this namespace alone. `scratch` serves to build a new root.
pub(super) fn mirror(directory: &Path, scratch: &Path) -> io::Result<()> {
    let is_root = directory == Path::new("/");
    let metadata = fs::metadata(directory)?;
    let entries = entries(directory)?;
    let cover = if is_root { scratch } else { directory };
    mount("tmpfs", cover, "tmpfs", MountFlags::NOSUID, None)?;
    fs::set_permissions(cover, metadata.permissions())?;
    chown(cover, Some(metadata.uid()), Some(metadata.gid()))?;
    for (name, entry) in entries {
        let at = cover.join(name);
        match entry.restore(&at) {
            // It was removed meanwhile, as temporary files are.
            Err(error) if error.kind() == io::ErrorKind::NotFound => remove(&at)?,
            restored => restored?,
        }
    }
    if is_root {
        let (old, old_from_inside) = (cover.join(".old"), Path::new("/.old"));
        fs::create_dir(&old)?;
        pivot_root(cover, &old)?;
        chdir("/")?;
        unmount(old_from_inside, UnmountFlags::DETACH)?;
        fs::remove_dir(old_from_inside)?;
    }
    Ok(())
}

fn remove(mount_point: &Path) -> io::Result<()> {
    if mount_point.is_dir() { fs::remove_dir(mount_point) } else { fs::remove_file(mount_point) }
}

enum Entry {
    Directory(OwnedFd, fs::Permissions),
    Other(OwnedFd),
    Link(PathBuf),
}

impl Entry {
    fn restore(self, at: &Path) -> io::Result<()> {
        let tree = match self {
            Self::Link(target) => return symlink(target, at),
            Self::Directory(tree, permissions) => {
                fs::create_dir(at)?;
                fs::set_permissions(at, permissions)?;
                tree
            }
            Self::Other(tree) => {
                File::create(at)?;
                tree
            }
        };
        Ok(move_mount(tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
    }
}

/// The entries, with all that is mounted below them.
fn entries(directory: &Path) -> io::Result<Vec<(OsString, Entry)>> {
    let parent = open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
        | OpenTreeFlags::AT_NO_AUTOMOUNT;
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entries.len() == MOST_ENTRIES {
            let message = format!("{} has more than {MOST_ENTRIES} entries", directory.display());
            return Err(io::Error::other(message));
        }
        let name = entry.file_name();
        let kept = entry.file_type().and_then(|r#type| {
            if r#type.is_symlink() {
                return Ok(Entry::Link(fs::read_link(entry.path())?));
            }
            let tree = open_tree(&parent, &name, flags)?;
            Ok(if r#type.is_dir() {
                Entry::Directory(tree, entry.metadata()?.permissions())
            } else {
                Entry::Other(tree)
            })
        });
        match kept {
            Ok(kept) => entries.push((name, kept)),
            // It was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}
