//! A system that has no namespaces.

use std::{ffi::OsString, io, path::Path};

use super::Mount;

/// There is none.
#[derive(Debug)]
pub(crate) enum Base {}

impl Base {
    pub(super) fn prepare(_directory: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no namespaces"))
    }

    pub(crate) fn enter(&self, _mounts: &[Mount]) -> Result<(), String> {
        match *self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum Unshared {}

impl Unshared {
    pub(super) fn detect(_directory: &Path) -> Result<Self, String> {
        Err("this system has no namespaces".to_owned())
    }

    pub(super) fn command(&self, _mounts: &[Mount], _directory: &Path) -> io::Result<Vec<OsString>> {
        match *self {}
    }
}
