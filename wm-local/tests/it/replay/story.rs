//! What a watch has told of each object: the order of its states.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

use super::compare::{differences, job_status, mask, pod_status};

/// Events that tell of images, or of the machine.
const UNTOLD: [&str; 12] = [
    "Pulled",
    "Pulling",
    "SandboxChanged",
    "FailedMount",
    "NodeNotReady",
    "TaintManagerEviction",
    "BackOff",
    "FailedKillPod",
    "Killing",
    "FailedSync",
    "WaitingForPodScheduled",
    "DNSConfigForming",
];

/// The state of an object as far as the order of states matters.
pub(super) fn state(event: &Value) -> Option<(String, Value)> {
    let object = &event["object"];
    if event["type"] == "BOOKMARK" {
        return None;
    }
    let kind = object["kind"].as_str()?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let is_deleted = event["type"] == "DELETED";
    let is_deleting = object["metadata"]["deletionTimestamp"].is_string();
    let state = match kind {
        "Job" => {
            let status = job_status(&object["status"]);
            json!([status["conditions"], is_deleting, is_deleted])
        }
        "Pod" => {
            let phase = match object["status"]["phase"].as_str() {
                _ if is_deleted => "Gone",
                // Containers start faster here: a pod that is deleted meanwhile may be further than the recorded one.
                Some("Pending" | "Running") if is_deleting => "Open",
                Some(phase) => phase,
                None => "",
            };
            json!([phase, is_deleting, is_deleted])
        }
        "Secret" | "ConfigMap" => json!(event["type"]),
        _ => return None,
    };
    Some((format!("{kind} {name}"), state))
}

/// What a watch has told.
#[derive(Default)]
pub(super) struct Story {
    objects: BTreeMap<String, Course>,
    said: BTreeSet<String>,
}

/// The states of an object in order, without repetitions, and the last one in full.
#[derive(Default)]
struct Course {
    states: Vec<Value>,
    last: Value,
    /// Whether more is to come.
    is_open: bool,
}

impl Story {
    pub(super) fn of(events: &[Value]) -> Self {
        let mut objects: BTreeMap<String, Course> = BTreeMap::new();
        for event in events {
            let Some((object, state)) = state(event) else { continue };
            let course = objects.entry(object).or_default();
            if course.states.last() != Some(&state) {
                course.states.push(state);
            }
            let status = &event["object"]["status"];
            let is_deleted = event["type"] == "DELETED";
            match event["object"]["kind"].as_str() {
                Some("Pod") => {
                    course.last = pod_status(status);
                    let has_ended = matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"));
                    course.is_open = !has_ended && !is_deleted;
                }
                // Of a Job on its way out, pods may be counted or not.
                Some("Job") => {
                    let is_going = event["object"]["metadata"]["deletionTimestamp"].is_string();
                    let full = job_status(status);
                    let conditions = full["conditions"].to_string();
                    let has_ended = conditions.contains("\"Complete\"") || conditions.contains("\"Failed\"");
                    course.is_open = !has_ended && !is_deleted;
                    course.last = if is_going { full["conditions"].clone() } else { full };
                }
                _ => {}
            }
        }
        Self { objects, said: said(events.iter()) }
    }

    /// How another story differs, of a `whole` that other watches tell of as well. One that is `cut` ends before what
    /// goes on has ended, and before all is said of what changed last.
    pub(super) fn differences(
        &self,
        other: &Self,
        whole: &Self,
        cut: bool,
        last: &HashSet<&str>,
    ) -> Vec<String> {
        let mut found = Vec::new();
        let goes_on = |name: &str| {
            let open = whole.objects.iter().filter(|(_, course)| course.is_open);
            cut && open.map(|(object, _)| object.split(' ').nth(1).unwrap()).any(|open| name.contains(open))
        };
        for (object, course) in &self.objects {
            let Some(theirs) = other.objects.get(object) else {
                found.push(format!("nothing was told of {object}"));
                continue;
            };
            let is_open = cut && course.is_open;
            // What ends at once may never have been seen running.
            let running = json!(["Running", false, false]);
            let both_ran = course.states.contains(&running) && theirs.states.contains(&running);
            let seen = |states: &[Value]| -> Vec<Value> {
                states.iter().filter(|state| both_ran || is_open || **state != running).cloned().collect()
            };
            let (recorded, mut found_states) = (seen(&course.states), seen(&theirs.states));
            if is_open {
                found_states.truncate(recorded.len());
            }
            found.extend(differences(object, &json!(recorded), &json!(found_states)));
            if !is_open {
                found.extend(differences(object, &course.last, &theirs.last));
            }
        }
        let extra =
            other.objects.keys().filter(|object| !self.objects.contains_key(*object) && !goes_on(object));
        found.extend(extra.map(|object| format!("something was told of {object}")));
        let missing = self.said.difference(&other.said).map(|one| format!("nobody said {one}"));
        let is_last = |one: &str| cut && last.iter().any(|name| one.contains(&format!(" {name}: ")));
        let extra = other.said.difference(&self.said).filter(|one| !goes_on(one) && !is_last(one));
        found.extend(missing.chain(extra.map(|one| format!("somebody said {one}"))));
        found
    }
}

/// What the cluster's Events say, each once.
fn said<'a>(events: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    events
        .filter(|event| event["type"] != "BOOKMARK")
        .map(|event| &event["object"])
        .filter(|object| object["kind"] == "Event")
        .filter(|object| !UNTOLD.contains(&object["reason"].as_str().unwrap_or_default()))
        .map(|event| {
            let involved = &event["involvedObject"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let message = match event["reason"].as_str() {
                Some("Scheduled") => "Successfully assigned".to_owned(),
                _ => mask(&text(&event["message"])),
            };
            format!(
                "{} {}: {} {}: {message}",
                text(&involved["kind"]),
                text(&involved["name"]),
                text(&event["type"]),
                text(&event["reason"]),
            )
        })
        .collect()
}
