use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// How urgently a pod is to stop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Urgency {
    #[default]
    None,
    /// Asked to, and made to after this time.
    Within(Duration),
    /// Made to.
    Now,
}

/// Stops the containers of a pod. It only ever becomes more urgent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Halt(Arc<watch::Sender<Urgency>>);

impl Halt {
    pub(crate) fn stop(&self, urgency: Urgency) {
        self.0.send_if_modified(|current| {
            let is_more = match (*current, urgency) {
                (Urgency::Now, _) | (_, Urgency::None) => false,
                (Urgency::Within(current), Urgency::Within(new)) => new < current,
                (Urgency::None, _) | (Urgency::Within(_), Urgency::Now) => true,
            };
            if is_more {
                *current = urgency;
            }
            is_more
        });
    }

    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow() != Urgency::None
    }

    /// Waits until the pod is to stop, at once if it already is. Cancel safe.
    pub(crate) async fn asked(&self) {
        let mut receiver = self.subscribe();
        // The sender is here, so it can't have gone.
        receiver.wait_for(|urgency| *urgency != Urgency::None).await.ok();
    }

    /// Sees the present urgency as a first change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Urgency> {
        let mut receiver = self.0.subscribe();
        receiver.mark_changed();
        receiver
    }
}
