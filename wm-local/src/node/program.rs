//! Finding the program of a command.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Finds a program as a runtime does, by `PATH` unless its name has a slash. An error is the runtime's reason.
///
/// `outside` tells where this thread sees what the container sees at a path.
pub(crate) fn find(
    command: &OsStr,
    path: &OsStr,
    directory: &Path,
    outside: impl Fn(&Path) -> PathBuf,
) -> Result<PathBuf, String> {
    if command.as_bytes().contains(&b'/') {
        let program = directory.join(command);
        return match fs::metadata(outside(&program)) {
            Ok(metadata) if is_executable(&metadata) => Ok(program),
            Ok(_) => Err("permission denied".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err("permission denied".to_owned())
            }
            Err(_) => Err(format!("stat {}: no such file or directory", command.to_string_lossy())),
        };
    }
    std::env::split_paths(path)
        .map(|entry| directory.join(entry).join(command))
        .find(|program| fs::metadata(outside(program)).is_ok_and(|metadata| is_executable(&metadata)))
        .ok_or_else(|| "executable file not found in $PATH".to_owned())
}

fn is_executable(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}
