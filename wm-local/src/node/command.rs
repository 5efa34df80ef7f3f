//! What a container runs: its command, arguments, environment and directory.

use std::{ffi::OsString, path::PathBuf};

use serde_json::Value;

use super::{
    Shared,
    environment::{ConfigError, Environment},
    launcher::Launch,
    volumes::mounts,
};
use crate::store::{Key, meta};

/// What to run, or why a runtime would not start it; an error is what its configuration lacks.
///
/// A process sees the variables of its container and no other but a search path, a directory and a name.
pub(super) fn launch(
    shared: &Shared,
    pod: &Value,
    container: &Value,
) -> Result<Result<Launch, String>, ConfigError> {
    let namespace = meta(pod, "namespace");
    let lookup = |kind, name: &str| shared.store.get(&Key::new(kind, namespace, name));
    let mut environment = Environment::resolve(pod, container, &lookup)?;
    let home = shared.directories.home(meta(pod, "uid"));
    let expanded = |field: &str| -> Vec<OsString> {
        let words = container[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.map(|word| environment.expand(word)).collect()
    };
    // A runtime adds these after the kubelet has expanded what it knows.
    let (mut command, arguments) = (expanded("command").into_iter(), expanded("args"));
    let mounts = match mounts(pod, container, &shared.directories, &environment) {
        Ok(mounts) => mounts,
        Err(message) => return Err(ConfigError::Unsupported(message)),
    };
    if let Some(path) = std::env::var_os("PATH") {
        environment.set_default("PATH", path);
    }
    environment.set_default("HOME", home.clone());
    environment.set_default("HOSTNAME", meta(pod, "name"));
    let Some(program) = command.next() else {
        let message = "the embedded cluster has no images, so there is no entrypoint to take from one: \
                       give the container a command";
        return Ok(Err(message.to_owned()));
    };
    let directory = match container["workingDir"].as_str() {
        None | Some("") => home,
        Some(directory) => PathBuf::from(directory),
    };
    Ok(Ok(Launch {
        command: program,
        arguments: command.chain(arguments).collect(),
        environment: environment.iter().map(|(name, value)| (name.into(), value.clone())).collect(),
        directory,
        mounts,
    }))
}
