//! Containers that are killed for want of memory. The machine's own limits are not those of a container, so this
//! only happens by a fault.

use super::{container::Container, log::LogHandle};
use crate::clock::Clock;
use crate::faults::{Effect, OutOfMemory};

/// Whether and when the kernel kills a container, or a child of it.
#[derive(Debug)]
pub(super) struct Memory {
    fault: Option<OutOfMemory>,
    log: LogHandle,
}

impl Container<'_> {
    /// Decides about one run.
    pub(super) fn memory(&self, log: LogHandle) -> Memory {
        let is_meant = |effect: &Effect| matches!(effect, Effect::OutOfMemory(_));
        let hit = (!self.is_init).then(|| self.shared.fault(self.pod, "run", is_meant)).flatten();
        let fault = hit.and_then(|hit| match hit.effect {
            Effect::OutOfMemory(fault) => Some(fault),
            _ => None,
        });
        Memory { fault, log }
    }
}

impl Memory {
    /// Waits until the kernel kills the container; for ever if it does not.
    pub(super) async fn exhausted(&self, clock: &Clock) {
        match self.fault {
            Some(OutOfMemory::AtStart) => {}
            Some(OutOfMemory::After(time)) => clock.sleep(time).await,
            Some(OutOfMemory::Printed(bytes)) => self.log.clone().reaches(bytes).await,
            Some(OutOfMemory::Child) | None => std::future::pending().await,
        }
    }

    /// Whether a child was killed, which shows in the container's state whatever its exit code.
    pub(super) fn has_lost_a_child(&self) -> bool {
        self.fault == Some(OutOfMemory::Child)
    }
}
