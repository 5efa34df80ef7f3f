//! A tiny process that outlives this one, only to end what it left behind.
//!
//! However this process ends, the kernel closes its end of a pipe. The guard reads the other end, knows from it which
//! process groups live, and kills them when it ends.

use std::{
    io::{self, PipeWriter, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use rustix::process::Pid;
use tracing::{debug, warn};

/// Lines are `+ GROUP` and `- GROUP`. What was started but not told of yet is found by what its environment says, as is
/// what left its group. Its arguments are texts of such environments, and a directory to remove, or none.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
groups=' '
while read -r change group; do
  case $change in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -KILL -- "-$group" "$group"; done 2>/dev/null
while found=$(grep -l -a -F -e "$1" -e "$2" /proc/[0-9]*/environ 2>/dev/null); [ -n "$found" ]; do
  for file in $found; do file=${file%/environ}; kill -KILL "${file#/proc/}" 2>/dev/null; done
done
if [ -n "$3" ]; then rm -rf -- "$3"; fi
"#;

#[derive(Debug)]
pub(crate) struct Guard {
    running: Mutex<Option<(Child, PipeWriter)>>,
}

impl Guard {
    /// Starts it. Without one, as on a system that has no shell, all is well as long as this process is not killed.
    ///
    /// It kills whatever has one of `marks` in its environment, and then removes `directory`.
    pub(crate) fn start(marks: [&str; 2], directory: Option<&Path>) -> Self {
        let running = Self::spawn(marks, directory)
            .inspect_err(|error| warn!(%error, "Pods would survive if this process were killed"));
        Self { running: Mutex::new(running.ok()) }
    }

    fn spawn([one, other]: [&str; 2], directory: Option<&Path>) -> io::Result<(Child, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "workload-manager-guard", one, other])
            .arg(directory.unwrap_or(Path::new("")))
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // Not of a group that a terminal or a supervisor signals as a whole.
            .process_group(0)
            .spawn()?;
        Ok((child, writer))
    }

    pub(crate) fn entered(&self, leader: Pid) {
        self.tell('+', leader);
    }

    pub(crate) fn left(&self, leader: Pid) {
        self.tell('-', leader);
    }

    fn tell(&self, change: char, leader: Pid) {
        let line = format!("{change} {}\n", leader.as_raw_nonzero());
        if let Some((_, pipe)) = &mut *self.running()
            && let Err(error) = pipe.write_all(line.as_bytes())
        {
            debug!(%error, "The guard is gone");
        }
    }

    /// Has it do its work and waits for it: a few milliseconds.
    pub(crate) fn finish(&self) {
        let Some((mut child, pipe)) = self.running().take() else { return };
        drop(pipe);
        if let Err(error) = child.wait() {
            debug!(%error, "The guard can't be waited for");
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<(Child, PipeWriter)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
