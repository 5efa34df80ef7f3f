//! Processes that left their group, on a machine where containers have no PID namespace.

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

/// How often it is looked whether some were started while the others were killed.
const MOST_ROUNDS: usize = 100;

/// In this time the ids of processes do not come round to where they were.
const BRIEF: Duration = Duration::from_secs(5);

/// Kills each process whose environment has this text, as that of a leader which ran so long. It blocks: for some
/// milliseconds after a long run, and less after a brief one.
pub(crate) fn kill(mark: &str, leader: Pid, ran: Duration) {
    for _ in 0..MOST_ROUNDS {
        // Ids count up, so after a brief run only few can be of its descendants.
        let least = if ran < BRIEF && newest().is_some_and(|newest| newest >= leader.as_raw_nonzero().get()) {
            leader.as_raw_nonzero().get()
        } else {
            1
        };
        let found = find(mark, least);
        if found.is_empty() {
            return;
        }
        for process in found {
            // It fails only if it has just ended.
            kill_process(process, Signal::KILL).ok();
        }
    }
}

/// The id that was given last.
fn newest() -> Option<i32> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().last()?.parse().ok()
}

fn find(mark: &str, least: i32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let has_mark = |directory: &Path| {
        let environment = fs::read(directory.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    processes
        .filter_map(|entry| {
            let id = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            (id.as_raw_nonzero().get() >= least && has_mark(&entry.path())).then_some(id)
        })
        .collect()
}
