//! The files of the tree that are written by a program.

use std::fs;

use crate::{Failure, workspace};

/// A file and what writes it.
struct Generated {
    path: &'static str,
    text: fn() -> String,
}

const FILES: &[Generated] = &[Generated { path: "docs/configuration.md", text: wm_config::reference }];

/// Writes the files that are not up to date.
pub(crate) fn write() -> Result<(), Failure> {
    for file in FILES {
        let path = workspace::root().join(file.path);
        let wanted = (file.text)();
        if fs::read_to_string(&path).is_ok_and(|found| found == wanted) {
            println!("{} is up to date", file.path);
            continue;
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&path, wanted)?;
        println!("{} written", file.path);
    }
    Ok(())
}

/// Fails when a file is not what its program writes.
pub(crate) fn check() -> Result<(), Failure> {
    let stale: Vec<_> = FILES
        .iter()
        .filter_map(|file| {
            let found = fs::read_to_string(workspace::root().join(file.path)).ok();
            let difference = difference(found.as_deref(), &(file.text)())?;
            Some(format!("{}: {difference}", file.path))
        })
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nto mend: cargo xtask generate", stale.join("\n")).into())
}

/// Where a file first differs from what it should be.
fn difference(found: Option<&str>, wanted: &str) -> Option<String> {
    let Some(found) = found else { return Some("is missing".to_owned()) };
    if found == wanted {
        return None;
    }
    let same = found.lines().zip(wanted.lines()).take_while(|(found, wanted)| found == wanted).count();
    let line = |text: &str| text.lines().nth(same).map_or("(the end)".to_owned(), |line| format!("`{line}`"));
    Some(format!("line {} is {}, should be {}", same + 1, line(found), line(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_generated_has_no_difference() {
        assert_eq!(difference(Some("a\nb\n"), "a\nb\n"), None);
    }

    #[test]
    fn a_missing_file_is_reported() {
        assert_eq!(difference(None, "a\n").as_deref(), Some("is missing"));
    }

    #[test]
    fn the_first_line_that_differs_is_shown() {
        assert_eq!(
            difference(Some("a\nx\nc\n"), "a\nb\nc\n").as_deref(),
            Some("line 2 is `x`, should be `b`")
        );
        assert_eq!(difference(Some("a\n"), "a\nb\n").as_deref(), Some("line 2 is (the end), should be `b`"));
    }

    #[test]
    fn a_missing_newline_at_the_end_is_a_difference() {
        assert!(difference(Some("a"), "a\n").is_some());
    }
}
