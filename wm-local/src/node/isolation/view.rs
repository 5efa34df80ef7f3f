//! The mounts of one container.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use rustix::mount::{MountFlags, mount_bind_recursive, mount_remount};

use super::{Mount, mirror::mirror};

/// The file system of a thread that has its mount namespace to itself.
pub(super) struct View<'a> {
    scratch: &'a Path,
    /// The file systems in memory that mount points may be made in.
    own: Vec<u64>,
    /// Where volumes are mounted.
    volumes: Vec<PathBuf>,
}

impl<'a> View<'a> {
    pub(super) fn new(scratch: &'a Path) -> Self {
        Self { scratch, own: Vec::new(), volumes: Vec::new() }
    }

    pub(super) fn add(&mut self, mount: &Mount) -> Result<(), String> {
        self.bind(mount).map_err(|error| {
            format!(
                "error mounting \"{}\" to rootfs at \"{}\": {error}",
                mount.source.display(),
                mount.target.display(),
            )
        })
    }

    fn bind(&mut self, mount: &Mount) -> io::Result<()> {
        let is_directory = fs::metadata(&mount.source)?.is_dir();
        let target = self.mount_point(&mount.target, is_directory)?;
        mount_bind_recursive(&mount.source, &target)?;
        if mount.is_read_only {
            mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, c"")?;
        }
        self.volumes.push(target);
        Ok(())
    }

    /// Something to mount on, made without touching the machine's file system.
    fn mount_point(&mut self, wanted: &Path, is_directory: bool) -> io::Result<PathBuf> {
        if wanted.components().any(|component| component == Component::ParentDir) {
            return Err(io::Error::other("a mount path must not contain \"..\""));
        }
        let target = Path::new("/").join(wanted);
        match target.canonicalize() {
            Ok(found) if found.is_dir() != is_directory => {
                return Err(io::Error::other(
                    "not a directory: Are you trying to mount a directory onto a file (or vice-versa)?",
                ));
            }
            Ok(found) if found == Path::new("/") => {
                return Err(io::Error::other("a volume can't be the whole file system"));
            }
            Ok(found) => return Ok(found),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let (existing, missing) = nearest(&target)?;
        if !self.may_make_in(&existing)? {
            mirror(&existing, self.scratch)?;
            self.own.push(fs::metadata(&existing)?.dev());
        }
        let (last, between) = missing.split_last().ok_or(io::ErrorKind::NotFound)?;
        let parent = existing.join(between.iter().collect::<PathBuf>());
        fs::create_dir_all(&parent)?;
        let made = parent.join(last);
        if is_directory { fs::create_dir(&made) } else { File::create(&made).map(drop) }?;
        Ok(made)
    }

    fn may_make_in(&self, directory: &Path) -> io::Result<bool> {
        let is_in_volume = self.volumes.iter().any(|volume| directory.starts_with(volume));
        Ok(is_in_volume || self.own.contains(&fs::metadata(directory)?.dev()))
    }
}

/// The nearest directory that exists, and what is missing below it.
fn nearest(target: &Path) -> io::Result<(PathBuf, Vec<OsString>)> {
    let mut missing = Vec::new();
    for ancestor in target.ancestors() {
        match ancestor.canonicalize() {
            Ok(existing) if existing.is_dir() => {
                missing.reverse();
                return Ok((existing, missing));
            }
            Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if ancestor.is_symlink() => {
                let message = format!("{} is a link to nowhere", ancestor.display());
                return Err(io::Error::other(message));
            }
            Err(_) => missing.extend(ancestor.file_name().map(ToOwned::to_owned)),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}
