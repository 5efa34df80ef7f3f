//! What needs the whole workspace, built first: the benchmark for release, with the `wm` that it measures against.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{Failure, workspace};

/// Builds both in one go, so that they share their dependencies, and runs the benchmark.
pub(crate) fn bench(options: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let built = workspace::cargo()
        .args(["build", "--release", "--locked", "--package", "workload-manager", "--package", "xtask"])
        .args(["--bins", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()?;
    if !built.status.success() {
        return Err(format!("the release build failed: {}", built.status).into());
    }
    let messages = String::from_utf8(built.stdout)?;
    let program =
        |name: &str| executable(&messages, name).ok_or_else(|| format!("the release build made no `{name}`"));
    let status = Command::new(program("xtask")?)
        .arg("bench")
        .args(options)
        .arg("--wm")
        .arg(program("wm")?)
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("the benchmark failed: {status}").into()) }
}

/// Tries the faults. They spend their time waiting, so the build of the tests is fast enough.
#[cfg(not(feature = "bench"))]
pub(crate) fn faults(options: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let status = workspace::cargo()
        .args(["run", "--quiet", "--locked", "--package", "xtask", "--", "faults"])
        .args(options)
        .status()?;
    if status.success() { Ok(()) } else { Err("the faults were not borne".into()) }
}

/// Finds a program in what cargo reports, one JSON object a line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"wm"},"executable":null}
not JSON
{"reason":"compiler-artifact","target":{"name":"wm"},"executable":"/target/release/wm"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "wm"), Some(PathBuf::from("/target/release/wm")));
        assert_eq!(executable(messages, "xtask"), None);
    }
}
