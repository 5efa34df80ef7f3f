//! The scheduler's part of a pod's life: it waits until the node takes it.

use serde_json::{Value, json};

use super::{
    NODE_NAME,
    disturbance::Obstacles,
    pod::{PodWorker, leave},
    scheduling::{self, Reservation},
    status::condition,
};
use crate::{
    faults::{Effect, Shortage},
    kind::{Key, Kind},
    store::meta,
};

impl PodWorker {
    /// Waits until the node takes the pod. `None` if the pod is gone, or going, before.
    pub(super) async fn scheduled(&self) -> Option<Reservation> {
        let shared = &self.shared;
        let mut versions = shared.store.versions();
        let mut changes = shared.faults.changes();
        let mut held = Held::default();
        let mut told = String::new();
        loop {
            let pod = shared.store.get(&self.key).filter(|pod| meta(pod, "uid") == self.uid)?;
            if self.halt.is_asked() {
                leave(&shared.store, &self.key, &self.uid);
                return None;
            }
            // Marked as seen before it is looked whether it fits: what changes meanwhile is not slept through.
            versions.borrow_and_update();
            let refused = if gates(&pod) {
                let message = "Scheduling is blocked due to non-empty scheduling gates";
                Err(("SchedulingGated", message.to_owned()))
            } else {
                self.fit(&pod, &mut held).map_err(|message| ("Unschedulable", message))
            };
            match refused {
                Ok(reservation) => return Some(reservation),
                Err((reason, message)) if message != told => {
                    self.tell(reason, &message);
                    told = message;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = self.halt.asked() => {}
                changed = versions.changed() => changed.ok()?,
                () = shared.faults.changed(&mut changes) => {}
            }
        }
    }

    fn fit(&self, pod: &Value, held: &mut Held) -> Result<Reservation, String> {
        let faults = &self.shared.faults;
        if let Some(shortage) = held.shortage(self, pod) {
            return Err(scheduling::shortage(shortage));
        }
        if faults.has(|effect| *effect == Effect::NodeNotReady) {
            return Err(scheduling::shortage(Shortage::Taint));
        }
        let node = self.shared.store.get(&Key::new(Kind::Node, "", NODE_NAME));
        self.shared.ledger.reserve(&self.uid, pod, node.as_deref())
    }

    /// Writes why the pod has no node, into its status and as an event.
    fn tell(&self, reason: &str, message: &str) {
        let now = self.shared.clock.seconds();
        let written = self.update(|pod| {
            let conditions = pod["status"]["conditions"].as_array();
            let place = conditions.and_then(|all| all.iter().position(|one| one["type"] == "PodScheduled"));
            let since = match place {
                Some(place) => pod["status"]["conditions"][place]["lastTransitionTime"].clone(),
                None => json!(now),
            };
            let condition = condition(pod, "PodScheduled", "False", &since, reason, message);
            match place {
                Some(place) => pod["status"]["conditions"][place] = condition,
                None => pod["status"]["conditions"] = json!([condition]),
            }
        });
        if let Some(pod) = written.filter(|_| reason == "Unschedulable") {
            self.shared.recorder.unscheduled(&pod, message);
        }
    }
}

/// The faults that keep a pod from being scheduled.
#[derive(Default)]
struct Held {
    is_noted: bool,
    obstacles: Obstacles,
}

impl Held {
    fn shortage(&mut self, worker: &PodWorker, pod: &Value) -> Option<Shortage> {
        let shortage = |effect: &Effect| match effect {
            Effect::Unschedulable(shortage) => Some(*shortage),
            _ => None,
        };
        let wanted = |effect: &Effect| shortage(effect).is_some();
        let is_first = !std::mem::replace(&mut self.is_noted, true);
        // Asked anew each time: an annotation can be taken off.
        let asked = worker.shared.annotation(pod, "schedule", is_first, wanted);
        if let Some(asked) = asked {
            return shortage(&asked.effect);
        }
        let held = self.obstacles.now(&worker.shared, pod, "schedule", "", wanted);
        held.first().and_then(|hit| shortage(&hit.effect))
    }
}

fn gates(pod: &Value) -> bool {
    pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty())
}
