//! All process groups that live, so that none outlives the cluster.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::guard::Guard;

#[derive(Clone, Debug)]
pub(crate) struct Groups {
    members: Arc<Mutex<Members>>,
    guard: Arc<Guard>,
}

#[derive(Debug, Default)]
struct Members {
    leaders: HashSet<Pid>,
    is_closed: bool,
}

impl Groups {
    pub(crate) fn new(guard: Guard) -> Self {
        Self { members: Arc::default(), guard: Arc::new(guard) }
    }

    /// Kills all groups, now and of any process that is just being started.
    pub(crate) fn close(&self) {
        {
            let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.is_closed = true;
            for leader in &members.leaders {
                kill_all(*leader);
            }
        }
        self.guard.finish();
    }

    pub(crate) fn enter(&self, leader: Pid, is_wrapper: bool) -> Group {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.leaders.insert(leader);
        self.guard.entered(leader);
        if members.is_closed {
            kill_all(leader);
        }
        Group { leader, is_wrapper, groups: self.clone() }
    }
}

/// Membership in `Groups`; dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Pid,
    /// Whether the container's first process is the leader's child.
    is_wrapper: bool,
    groups: Groups,
}

impl Group {
    pub(crate) fn leader(&self) -> Pid {
        self.leader
    }

    /// Sends signals while somebody waits for the leader.
    pub(crate) fn signaller(&self) -> Signaller {
        Signaller { leader: self.leader, is_wrapper: self.is_wrapper, groups: self.groups.clone() }
    }

    /// Kills what is left of the group. Idempotent, since an id that is free again may become somebody else's.
    pub(crate) fn leave(&self) {
        let mut members = self.groups.members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.leaders.remove(&self.leader) {
            kill_group(self.leader);
            self.groups.guard.left(self.leader);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Sends signals to a group, as long as that lives.
#[derive(Debug)]
pub(crate) struct Signaller {
    leader: Pid,
    is_wrapper: bool,
    groups: Groups,
}

impl Signaller {
    /// Asks the first process to end, as a runtime does. What it started is its own affair, and if it has no handler
    /// nothing happens: so it is for the first process of any container.
    pub(crate) fn terminate(&self) {
        let members = self.groups.members.lock().unwrap_or_else(PoisonError::into_inner);
        if !members.leaders.contains(&self.leader) {
            return;
        }
        let first = if self.is_wrapper { child_of(self.leader) } else { Some(self.leader) };
        if let Some(first) = first.filter(|first| handles_term(*first)) {
            // It fails only if the process has just ended.
            kill_process(first, Signal::TERM).ok();
        }
    }

    pub(crate) fn kill(&self) {
        let members = self.groups.members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.leaders.contains(&self.leader) {
            kill_all(self.leader);
        }
    }
}

fn child_of(process: Pid) -> Option<Pid> {
    let id = process.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    Pid::from_raw(children.split_ascii_whitespace().next()?.parse().ok()?)
}

/// Whether a process catches SIGTERM. The kernel itself looks at that only for the first process of a PID namespace.
fn handles_term(process: Pid) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())) else {
        return true;
    };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (Signal::TERM.as_raw() - 1) & 1 == 1)
}

/// Kills the leader, even if it has left the group that it led, and the others.
fn kill_all(leader: Pid) {
    // It fails only if it has just ended.
    kill_process(leader, Signal::KILL).ok();
    kill_group(leader);
}

fn kill_group(leader: Pid) {
    // It fails only if nobody is left in the group, which is what a kill is for.
    kill_process_group(leader, Signal::KILL).ok();
}
