//! The status of a pod, as the kubelet writes it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::timestamp;

/// The address of the node, and, without a network of their own, of all its pods.
const ADDRESS: &str = "127.0.0.1";

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp },
    Terminated(Termination),
}

impl State {
    pub(crate) fn waiting(reason: &'static str) -> Self {
        Self::Waiting { reason, message: String::new() }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Termination {
    pub(crate) exit_code: i32,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    pub(crate) container_id: String,
}

/// What is known of one container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerRecord {
    pub(crate) name: String,
    pub(crate) image: String,
    /// Known once the container has been created.
    pub(crate) image_id: String,
    pub(crate) container_id: String,
    pub(crate) state: State,
    pub(crate) last: Option<Termination>,
    pub(crate) restarts: u32,
    /// Whether it is an init container that stays, until the ordinary ones have ended.
    pub(crate) is_sidecar: bool,
}

impl ContainerRecord {
    pub(crate) fn new(spec: &Value, reason: &'static str) -> Self {
        let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            image: text("image"),
            image_id: String::new(),
            container_id: String::new(),
            state: State::waiting(reason),
            last: None,
            restarts: 0,
            is_sidecar: false,
        }
    }

    fn exit_code(&self) -> Option<i32> {
        match &self.state {
            State::Terminated(termination) => Some(termination.exit_code),
            _ => None,
        }
    }

    pub(crate) fn init(spec: &Value, reason: &'static str) -> Self {
        Self { is_sidecar: spec["restartPolicy"] == "Always", ..Self::new(spec, reason) }
    }

    /// Whether it runs, or has done so.
    fn has_begun(&self) -> bool {
        self.is_running() || self.exit_code().is_some() || self.last.is_some()
    }

    /// Whether an init container lets the others go on.
    fn is_initialized(&self) -> bool {
        if self.is_sidecar { self.has_begun() } else { self.exit_code() == Some(0) }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    fn render(&self, is_ready: bool) -> Value {
        let mut status = json!({
            "name": self.name,
            "image": self.image,
            "imageID": self.image_id,
            "state": render_state(&self.state),
            "lastState": self.last.as_ref().map_or_else(|| json!({}), |last| json!({"terminated": terminated(last)})),
            "ready": is_ready,
            "restartCount": self.restarts,
            "started": self.is_running(),
        });
        if !self.container_id.is_empty() {
            status["containerID"] = self.container_id.clone().into();
        }
        status
    }
}

/// What is known of a pod.
#[derive(Clone, Debug)]
pub(crate) struct PodRecord {
    pub(crate) init: Vec<ContainerRecord>,
    pub(crate) containers: Vec<ContainerRecord>,
    pub(crate) start_time: Timestamp,
    /// Whether its containers may be started.
    pub(crate) is_set_up: bool,
    /// No container of it runs, or will any more.
    pub(crate) has_ended: bool,
    /// Why it ended, if not by its containers: reason and message.
    pub(crate) cause: Option<(&'static str, String)>,
}

impl PodRecord {
    pub(crate) fn phase(&self) -> &'static str {
        if self.has_ended {
            // How a sidecar ends, once it is told to, does not count.
            let mut counted = self.init.iter().filter(|one| !one.is_sidecar).chain(&self.containers);
            let all_succeeded = counted.all(|one| one.exit_code() == Some(0));
            return if all_succeeded && self.cause.is_none() { "Succeeded" } else { "Failed" };
        }
        if self.containers.iter().any(ContainerRecord::has_begun) { "Running" } else { "Pending" }
    }

    /// The status of this pod; conditions that others have set stay, and times change only with what they tell of.
    pub(crate) fn render(&self, pod: &Value, now: Timestamp) -> Value {
        let old = &pod["status"];
        let phase = self.phase();
        let mut status = json!({
            "observedGeneration": pod["metadata"]["generation"],
            "phase": phase,
            "conditions": self.conditions(pod, phase, now),
            "hostIP": ADDRESS,
            "hostIPs": [{"ip": ADDRESS}],
            "startTime": timestamp::seconds(self.start_time),
            "containerStatuses": sorted(&self.containers, ContainerRecord::is_running),
            "qosClass": old["qosClass"],
        });
        if self.is_set_up {
            status["podIP"] = ADDRESS.into();
            status["podIPs"] = json!([{"ip": ADDRESS}]);
        }
        if !self.init.is_empty() {
            status["initContainerStatuses"] = sorted(&self.init, |one| {
                if one.is_sidecar { one.is_running() } else { one.exit_code() == Some(0) }
            });
        }
        if let Some((reason, message)) = &self.cause {
            status["reason"] = (*reason).into();
            status["message"] = message.clone().into();
        }
        status
    }

    fn conditions(&self, pod: &Value, phase: &str, now: Timestamp) -> Value {
        let has_begun = self.containers.iter().any(ContainerRecord::has_begun);
        let uninitialized = names(&self.init, |one| !has_begun && !one.is_initialized());
        let mut unready = names(&self.init, |one| one.is_sidecar && !one.is_running());
        unready.extend(names(&self.containers, |one| !one.is_running()));
        let initialized = match phase {
            "Succeeded" => (true, "PodCompleted", String::new()),
            _ if uninitialized.is_empty() => (true, "", String::new()),
            _ => {
                let message = format!("containers with incomplete status: [{}]", uninitialized.join(" "));
                (false, "ContainersNotInitialized", message)
            }
        };
        let ready = match phase {
            "Succeeded" => (false, "PodCompleted", String::new()),
            "Failed" => (false, "PodFailed", String::new()),
            _ if unready.is_empty() => (true, "", String::new()),
            _ => {
                let message = format!("containers with unready status: [{}]", unready.join(" "));
                (false, "ContainersNotReady", message)
            }
        };
        let set_up = (self.is_set_up && !self.has_ended, "", String::new());
        let current = [
            ("PodReadyToStartContainers", set_up),
            ("Initialized", initialized),
            ("Ready", ready.clone()),
            ("ContainersReady", ready),
            ("PodScheduled", (true, "", String::new())),
        ];
        let old = pod["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
        let foreign = old.iter().filter(|one| !current.iter().any(|(r#type, _)| one["type"] == *r#type));
        let own = current.iter().map(|(r#type, (status, reason, message))| {
            let status = if *status { "True" } else { "False" };
            let before = old.iter().find(|one| one["type"] == *r#type && one["status"] == status);
            let since = before
                .map_or_else(|| timestamp::seconds(now).into(), |one| one["lastTransitionTime"].clone());
            condition(pod, r#type, status, &since, reason, message)
        });
        foreign.cloned().chain(own).collect()
    }
}

/// A condition of a pod; an empty reason or message is left out.
pub(super) fn condition(
    pod: &Value,
    r#type: &str,
    status: &str,
    since: &Value,
    reason: &str,
    message: &str,
) -> Value {
    let mut condition = json!({
        "type": r#type,
        "observedGeneration": pod["metadata"]["generation"],
        "status": status,
        "lastProbeTime": null,
        "lastTransitionTime": since,
    });
    for (field, text) in [("reason", reason), ("message", message)] {
        if !text.is_empty() {
            condition[field] = text.into();
        }
    }
    condition
}

fn names(records: &[ContainerRecord], matches: impl Fn(&ContainerRecord) -> bool) -> Vec<&str> {
    records.iter().filter(|one| matches(one)).map(|one| one.name.as_str()).collect()
}

/// By name, as the kubelet lists them.
fn sorted(records: &[ContainerRecord], is_ready: impl Fn(&ContainerRecord) -> bool) -> Value {
    let mut records: Vec<_> = records.iter().collect();
    records.sort_by(|one, other| one.name.cmp(&other.name));
    records.into_iter().map(|one| one.render(is_ready(one))).collect()
}

fn render_state(state: &State) -> Value {
    match state {
        State::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
        State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running { since } => json!({"running": {"startedAt": timestamp::seconds(*since)}}),
        State::Terminated(termination) => json!({"terminated": terminated(termination)}),
    }
}

fn terminated(termination: &Termination) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("exitCode".to_owned(), termination.exit_code.into());
    fields.insert("reason".to_owned(), termination.reason.into());
    if !termination.message.is_empty() {
        fields.insert("message".to_owned(), termination.message.clone().into());
    }
    fields.insert("startedAt".to_owned(), timestamp::seconds(termination.started_at).into());
    fields.insert("finishedAt".to_owned(), timestamp::seconds(termination.finished_at).into());
    fields.insert("containerID".to_owned(), termination.container_id.clone().into());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn container(name: &str, state: State) -> ContainerRecord {
        ContainerRecord {
            state,
            ..ContainerRecord::new(&json!({"name": name, "image": "i"}), "ContainerCreating")
        }
    }

    fn ended(exit_code: i32) -> State {
        State::Terminated(Termination {
            exit_code,
            reason: if exit_code == 0 { "Completed" } else { "Error" },
            message: String::new(),
            started_at: NOW,
            finished_at: NOW,
            container_id: "process://1".to_owned(),
        })
    }

    fn record(containers: Vec<ContainerRecord>) -> PodRecord {
        PodRecord {
            init: Vec::new(),
            containers,
            start_time: NOW,
            is_set_up: true,
            has_ended: false,
            cause: None,
        }
    }

    fn condition(status: &Value, r#type: &str) -> (String, String) {
        let conditions = status["conditions"].as_array().unwrap();
        let found = conditions.iter().find(|one| one["type"] == r#type).unwrap();
        (
            found["status"].as_str().unwrap().to_owned(),
            found["reason"].as_str().unwrap_or_default().to_owned(),
        )
    }

    #[test]
    fn a_pod_runs_until_its_last_container_has_ended() {
        let mut pod = record(vec![container("b", ended(1)), container("a", State::Running { since: NOW })]);
        let status = pod.render(&json!({}), NOW);
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["containerStatuses"][0]["name"], "a", "sorted by name");
        assert_eq!(condition(&status, "Ready"), ("False".to_owned(), "ContainersNotReady".to_owned()));
        pod.containers[1].state = ended(0);
        pod.has_ended = true;
        assert_eq!(pod.render(&json!({}), NOW)["phase"], "Failed");
    }

    #[test]
    fn a_sidecar_initializes_by_running_and_its_end_does_not_count() {
        let proxy = |state| ContainerRecord { is_sidecar: true, ..container("proxy", state) };
        let mut pod = record(vec![container("main", State::waiting("PodInitializing"))]);
        pod.init = vec![proxy(State::waiting("PodInitializing"))];
        let status = pod.render(&json!({}), NOW);
        let message = |status: &Value, index: usize| status["conditions"][index]["message"].clone();
        assert_eq!(message(&status, 1), "containers with incomplete status: [proxy]");
        assert_eq!(message(&status, 2), "containers with unready status: [proxy main]");
        pod.init = vec![proxy(State::Running { since: NOW })];
        let status = pod.render(&json!({}), NOW);
        assert_eq!(condition(&status, "Initialized").0, "True");
        assert_eq!(message(&status, 2), "containers with unready status: [main]");
        assert_eq!(status["initContainerStatuses"][0]["ready"], true);
        assert_eq!(status["phase"], "Pending");
        pod.init = vec![proxy(ended(137))];
        pod.containers = vec![container("main", ended(0))];
        pod.has_ended = true;
        assert_eq!(pod.render(&json!({}), NOW)["phase"], "Succeeded");
    }

    #[test]
    fn a_failed_init_container_leaves_the_others_waiting() {
        let mut pod = record(vec![container("main", State::waiting("PodInitializing"))]);
        pod.init = vec![container("fetch", ended(9))];
        pod.has_ended = true;
        let status = pod.render(&json!({}), NOW);
        assert_eq!(status["phase"], "Failed");
        assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
        assert_eq!(
            condition(&status, "Initialized"),
            ("False".to_owned(), "ContainersNotInitialized".to_owned())
        );
        assert_eq!(condition(&status, "Ready"), ("False".to_owned(), "PodFailed".to_owned()));
    }

    #[test]
    fn conditions_keep_their_times_and_those_of_others_stay() {
        let pod = json!({"status": {"conditions": [
            {"type": "DisruptionTarget", "status": "True"},
            {"type": "Initialized", "status": "True", "lastTransitionTime": "then"},
        ]}});
        let status = record(vec![container("main", State::Running { since: NOW })]).render(&pod, NOW);
        assert_eq!(status["conditions"][0]["type"], "DisruptionTarget");
        assert_eq!(status["conditions"][2]["lastTransitionTime"], "then");
        assert_eq!(condition(&status, "Ready").0, "True");
    }

    #[test]
    fn a_cause_fails_a_pod_whose_containers_succeeded() {
        let mut pod = record(vec![container("main", ended(0))]);
        (pod.has_ended, pod.cause) = (true, Some(("DeadlineExceeded", "too long".to_owned())));
        let status = pod.render(&json!({}), NOW);
        assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
    }
}
