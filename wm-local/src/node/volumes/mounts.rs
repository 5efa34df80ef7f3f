//! Where a container sees the volumes of its pod.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

use super::name;
use crate::{
    node::{directories::Directories, environment::Environment, isolation::Mount},
    value::list,
};

/// The mounts of a container. It makes what a `subPath` names, if it is not there. It blocks.
pub(crate) fn mounts(
    pod: &Value,
    container: &Value,
    directories: &Directories,
    environment: &Environment,
) -> Result<Vec<Mount>, String> {
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    list(container, "volumeMounts")
        .map(|mount| {
            let volume = mount["name"].as_str().unwrap_or_default();
            let is_writable = list(&pod["spec"], "volumes")
                .find(|one| name(one) == volume)
                .is_some_and(|one| one["emptyDir"].is_object());
            let directory = directories.volume(uid, volume);
            Ok(Mount {
                source: source(&directory, &sub_path(mount, environment)?).map_err(|error| {
                    format!("failed to prepare subPath for volumeMount \"{volume}\": {error}")
                })?,
                target: mount["mountPath"].as_str().unwrap_or_default().into(),
                is_read_only: !is_writable || mount["readOnly"].as_bool().unwrap_or_default(),
                is_needed: true,
            })
        })
        .collect()
}

fn sub_path(mount: &Value, environment: &Environment) -> Result<PathBuf, String> {
    if let Some(expression) = mount["subPathExpr"].as_str().filter(|text| !text.is_empty()) {
        let expanded = environment.expand(expression);
        if expanded.to_string_lossy().contains("$(") {
            return Err(format!("failed to expand subPathExpr \"{expression}\": missing value"));
        }
        return Ok(expanded.into());
    }
    Ok(mount["subPath"].as_str().unwrap_or_default().into())
}

fn source(volume: &Path, sub_path: &Path) -> io::Result<PathBuf> {
    if sub_path.as_os_str().is_empty() {
        return Ok(volume.to_owned());
    }
    if !sub_path.components().all(|component| matches!(component, Component::Normal(_))) {
        return Err(io::Error::other("it must be relative and must not contain \"..\""));
    }
    let source = volume.join(sub_path);
    if !source.exists() {
        fs::create_dir_all(&source)?;
    }
    // A link that a container has put into the volume must not lead out of it.
    let (source, volume) = (source.canonicalize()?, volume.canonicalize()?);
    if !source.starts_with(volume) {
        return Err(io::Error::other("it leads out of the volume"));
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mounted(mount: &Value) -> Result<Mount, String> {
        let root = tempfile::tempdir().unwrap();
        let directories = Directories::new(root.path().to_owned());
        let volume = directories.volume("u", "v");
        fs::create_dir_all(&volume).unwrap();
        fs::write(volume.join("file"), "").unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("out")).unwrap();
        let pod = json!({
            "metadata": {"uid": "u"},
            "spec": {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "s"}}]},
        });
        let container = json!({"env": [{"name": "A", "value": "one"}], "volumeMounts": [mount]});
        let environment = Environment::resolve(&pod, &container, &|_, _| None).unwrap();
        let mut mounts = mounts(&pod, &container, &directories, &environment)?;
        let mut mount = mounts.remove(0);
        let volumes = root.path().canonicalize().unwrap();
        if let Ok(relative) = mount.source.canonicalize().unwrap_or_default().strip_prefix(volumes) {
            mount.source = relative.to_owned();
        }
        Ok(mount)
    }

    #[test]
    fn only_an_empty_directory_can_be_written_to() {
        assert!(!mounted(&json!({"name": "v", "mountPath": "/v"})).unwrap().is_read_only);
        assert!(mounted(&json!({"name": "v", "mountPath": "/v", "readOnly": true})).unwrap().is_read_only);
        assert!(mounted(&json!({"name": "s", "mountPath": "/v"})).unwrap().is_read_only);
    }

    #[test]
    fn a_sub_path_is_made_unless_it_is_there() {
        let source = |mount: Value| mounted(&mount).unwrap().source.display().to_string();
        let file = source(json!({"name": "v", "mountPath": "/v", "subPath": "file"}));
        assert_eq!(file, "pods/u/volumes/v/file");
        let made = source(json!({"name": "v", "mountPath": "/v", "subPathExpr": "runs/$(A)"}));
        assert_eq!(made, "pods/u/volumes/v/runs/one");
    }

    #[test]
    fn a_sub_path_can_not_lead_out_of_the_volume() {
        for sub_path in ["../x", "/etc", "out", "out/passwd"] {
            let mount = json!({"name": "v", "mountPath": "/v", "subPath": sub_path});
            assert!(mounted(&mount).is_err(), "{sub_path}");
        }
        let unknown = json!({"name": "v", "mountPath": "/v", "subPathExpr": "$(B)"});
        assert!(mounted(&unknown).unwrap_err().contains("missing value"));
    }
}
