use std::{io, path::Path};

use super::Mount;

/// There is none where there are no namespaces.
#[derive(Debug)]
pub(crate) enum Base {}

impl Base {
    pub(super) fn prepare(_directory: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no namespaces"))
    }

    pub(super) fn enter(&self, _mounts: &[Mount]) -> Result<(), String> {
        match *self {}
    }
}
