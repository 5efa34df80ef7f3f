//! Processes that left their group, on a machine where containers have no PID namespace.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};

/// How often it is looked whether some were started while the others were killed.
const MOST_ROUNDS: usize = 100;

/// Kills each process whose environment has this text. It blocks for some milliseconds.
pub(crate) fn kill(mark: &str) {
    for _ in 0..MOST_ROUNDS {
        let found = find(mark);
        if found.is_empty() {
            return;
        }
        for process in found {
            // It fails only if it has just ended.
            kill_process(process, Signal::KILL).ok();
        }
    }
}

fn find(mark: &str) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let has_mark = |directory: &Path| {
        let environment = fs::read(directory.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    processes
        .filter_map(|entry| {
            let id = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            has_mark(&entry.path()).then_some(id)
        })
        .collect()
}
