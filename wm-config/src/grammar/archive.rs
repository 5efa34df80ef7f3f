//! Where logs are kept.

use crate::grammar::{Parsed, fault};

/// `file://` and an absolute path; gives the path.
pub(crate) fn directory(text: &str) -> Parsed<String> {
    let Some(path) = text.strip_prefix("file://") else {
        return fault("is no file URL");
    };
    if !path.starts_with('/') {
        return fault("has no absolute path behind file://: it takes three slashes");
    }
    if path.chars().any(|c| c.is_control() || matches!(c, '%' | '?' | '#')) {
        return fault("has a character in its path that is none in a plain file URL");
    }
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return fault("has . or .. in its path");
    }
    match path.trim_end_matches('/') {
        "" => fault("is the root of the file system"),
        path => Ok(path.to_owned()),
    }
}
