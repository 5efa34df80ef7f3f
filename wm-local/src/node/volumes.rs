//! The volumes of a pod: directories of this machine that are made before its containers start, and go with the pod.

mod content;
mod mounts;

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use serde_json::Value;

use self::content::File;
pub(super) use self::{
    content::{Problem, unsupported},
    mounts::mounts,
};
use super::{directories::Directories, environment::Lookup};
use crate::{store::Kind, value::list};

/// Why a volume can't be set up; `Display` is the kubelet's message.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {problem}")]
pub(crate) struct VolumeError {
    volume: String,
    problem: Problem,
}

impl VolumeError {
    pub(crate) fn from_panic(error: &tokio::task::JoinError) -> Self {
        Self { volume: String::new(), problem: Problem::Disk(error.to_string()) }
    }

    /// Whether this object, created or changed, may mend it.
    pub(crate) fn may_be_mended_by(&self, kind: Kind, name: &str) -> bool {
        self.problem.may_be_mended_by(kind, name)
    }
}

/// A volume as it will be.
#[derive(Debug)]
pub(crate) struct Volume {
    name: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Empty at first, and writable by all.
    Empty,
    Files(Vec<File>),
}

/// What the volumes hold that containers of this pod mount. It changes nothing.
pub(crate) fn resolve(pod: &Value, lookup: Lookup<'_>) -> Result<Vec<Volume>, VolumeError> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let mounted = volumes.filter(|volume| is_mounted(pod, name(volume)));
    // What is not supported is refused by the container that mounts it.
    let supported = mounted.filter(|volume| unsupported(volume).is_none());
    supported
        .map(|volume| {
            let failed = |problem| VolumeError { volume: name(volume).to_owned(), problem };
            let content = if volume["emptyDir"].is_object() {
                Content::Empty
            } else {
                Content::Files(content::files(pod, volume, lookup).map_err(failed)?)
            };
            Ok(Volume { name: name(volume).to_owned(), content })
        })
        .collect()
}

/// Makes the volumes of a pod. It blocks.
pub(crate) fn make(volumes: &[Volume], directories: &Directories, pod_uid: &str) -> Result<(), VolumeError> {
    for volume in volumes {
        let made = make_one(volume, &directories.volume(pod_uid, &volume.name));
        made.map_err(|error| VolumeError {
            volume: volume.name.clone(),
            problem: Problem::Disk(error.to_string()),
        })?;
    }
    Ok(())
}

fn make_one(volume: &Volume, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    match &volume.content {
        Content::Empty => fs::set_permissions(directory, Permissions::from_mode(0o777)),
        Content::Files(files) => files.iter().try_for_each(|file| write(file, directory)),
    }
}

fn write(file: &File, directory: &Path) -> io::Result<()> {
    let path = directory.join(&file.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, &file.bytes)?;
    fs::set_permissions(&path, Permissions::from_mode(file.mode))
}

fn is_mounted(pod: &Value, volume: &str) -> bool {
    let containers = ["initContainers", "containers"].into_iter().flat_map(|field| list(&pod["spec"], field));
    containers.flat_map(|container| list(container, "volumeMounts")).any(|mount| mount["name"] == volume)
}

fn name(volume: &Value) -> &str {
    volume["name"].as_str().unwrap_or_default()
}
