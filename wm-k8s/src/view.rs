//! What we read of Jobs and Pods: the few fields that count, since thousands are kept in memory.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{Deserialize, Deserializer};
use wm_core::{RunId, WorkloadId};

use crate::{
    names,
    record::{Ended, Waits},
};

/// A Job as the API gives it, as far as we read it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct JobObject {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    spec: JobSpec,
    #[serde(default)]
    status: JobStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobSpec {
    suspend: bool,
    backoff_limit: Option<u32>,
    pod_failure_policy: Option<serde::de::IgnoredAny>,
    active_deadline_seconds: Option<u64>,
    template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: TemplateSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TemplateSpec {
    active_deadline_seconds: Option<u64>,
    /// A bookmark's object has `containers: null`.
    containers: Option<Vec<ContainerSpec>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerSpec {
    name: String,
    image: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobStatus {
    start_time: Option<Timestamp>,
    completion_time: Option<Timestamp>,
    conditions: Vec<Condition>,
}

/// A condition of a Job or a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    pub(crate) r#type: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) last_transition_time: Option<Timestamp>,
}

/// A Job of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that the API tells")]
pub(crate) struct JobView {
    pub(crate) name: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) uid: String,
    pub(crate) run: RunId,
    pub(crate) aliases: Vec<WorkloadId>,
    pub(crate) fingerprint: String,
    pub(crate) created: Option<Timestamp>,
    /// When it was submitted, by the clock of whoever did.
    pub(crate) submitted: Option<Timestamp>,
    /// Since when it may have pods: suspended time is not in it.
    pub(crate) started: Option<Timestamp>,
    pub(crate) completed: Option<Timestamp>,
    pub(crate) image: Option<String>,
    pub(crate) suspended: bool,
    pub(crate) deleting: bool,
    /// Somebody cancelled it, in whatever process.
    pub(crate) cancelled: bool,
    /// A hash of the messages that it holds: another one when there are more.
    pub(crate) messages: u64,
    /// What it was last said to wait for.
    pub(crate) waits: Option<Box<Waits>>,
    /// Why we ended it.
    pub(crate) ended: Option<Box<Ended>>,
    pub(crate) backoff_limit: u32,
    pub(crate) has_policy: bool,
    /// How long a pod may run, in seconds.
    pub(crate) pod_deadline: Option<u64>,
    /// How long the Job may take, in seconds.
    pub(crate) job_deadline: Option<u64>,
    /// Those that are true.
    pub(crate) conditions: Vec<Condition>,
}

impl JobView {
    /// Reads a Job; `None` for one that is not ours.
    pub(crate) fn new(job: &JobObject) -> Option<Self> {
        let labels = job.metadata.labels.as_ref()?;
        let annotations = job.metadata.annotations.as_ref();
        let run = names::run_of(labels)?;
        let container_name = names::container(run.kind);
        let container = job.spec.template.spec.containers.iter().flatten().find(|c| c.name == container_name);
        Some(Self {
            name: job.metadata.name.as_deref()?.into(),
            namespace: job.metadata.namespace.as_deref().unwrap_or_default().into(),
            uid: job.metadata.uid.clone().unwrap_or_default(),
            run,
            aliases: names::aliases_of(labels),
            fingerprint: labels.get(names::SPEC).cloned().unwrap_or_default(),
            created: job.metadata.creation_timestamp.as_ref().map(|time| time.0),
            cancelled: annotations.is_some_and(|all| all.contains_key(names::CANCELLED)),
            messages: annotations.and_then(|all| all.get(names::MESSAGES)).map_or(0, |text| hash(text)),
            waits: annotations.and_then(|all| serde_json::from_str(all.get(names::WAITS)?).ok()),
            ended: annotations.and_then(|all| serde_json::from_str(all.get(names::VERDICT)?).ok()),
            submitted: annotations.and_then(|all| all.get(names::SUBMITTED)?.parse().ok()),
            started: job.status.start_time,
            completed: job.status.completion_time,
            image: container.and_then(|container| container.image.clone()),
            suspended: job.spec.suspend,
            deleting: job.metadata.deletion_timestamp.is_some(),
            backoff_limit: job.spec.backoff_limit.unwrap_or(6),
            has_policy: job.spec.pod_failure_policy.is_some(),
            pod_deadline: job.spec.template.spec.active_deadline_seconds,
            job_deadline: job.spec.active_deadline_seconds,
            conditions: job.status.conditions.iter().filter(|c| c.status == "True").cloned().collect(),
        })
    }

    /// The condition of this type, if it is true.
    pub(crate) fn condition(&self, r#type: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.r#type == r#type)
    }

    /// The condition that tells of the failure: the interim one comes first.
    pub(crate) fn failed(&self) -> Option<&Condition> {
        self.condition("Failed").or_else(|| self.condition("FailureTarget"))
    }

    /// Whether the Job's controller says that it has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.condition("Complete").is_some() || self.condition("Failed").is_some()
    }
}

/// A Pod as the API gives it, as far as we read it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PodObject {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

/// The state of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStatus {
    pub(crate) name: String,
    #[serde(skip)]
    pub(crate) is_init: bool,
    pub(crate) state: ContainerState,
    pub(crate) last_state: ContainerState,
    pub(crate) restart_count: u32,
}

/// One of the three is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerState {
    pub(crate) waiting: Option<Waiting>,
    pub(crate) running: Option<Running>,
    pub(crate) terminated: Option<Box<Terminated>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Waiting {
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Running {
    pub(crate) started_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Terminated {
    pub(crate) exit_code: i32,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

/// A Pod of a Job of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodView {
    pub(crate) name: Arc<str>,
    pub(crate) uid: String,
    pub(crate) job: Arc<str>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) phase: PodPhase,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) deleting: bool,
    /// When it is to have ended, if it is being deleted.
    pub(crate) deadline: Option<Timestamp>,
    /// It is, or was, taken away without waiting for the node's word.
    pub(crate) forced: bool,
    pub(crate) node: Option<Arc<str>>,
    /// Since when it has a node.
    pub(crate) scheduled: Option<Timestamp>,
    pub(crate) conditions: Vec<Condition>,
    /// The name of the main container.
    pub(crate) container: &'static str,
    pub(crate) main: Option<ContainerState>,
    /// The other containers that have failed or keep the pod waiting.
    pub(crate) stuck: Vec<ContainerStatus>,
    /// How often the main container has been started again.
    pub(crate) restarts: u32,
    /// Whether the main container had been started before it waits.
    pub(crate) waits_again: bool,
    /// The logs of the other containers, init containers first. Most pods have none.
    pub(crate) others: Vec<OutputView>,
}

/// What there is of a container's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputView {
    pub(crate) container: String,
    /// How often the container has been started again.
    pub(crate) restarts: u32,
    pub(crate) state: OutputState,
    /// Whether it runs before the main container.
    pub(crate) is_init: bool,
}

/// Whether a container writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OutputState {
    /// It has not started: there is no log.
    #[default]
    Waiting,
    Running,
    /// It has ended, though it may be started again.
    Ended,
}

impl OutputView {
    fn new(status: &ContainerStatus, is_init: bool) -> Self {
        Self {
            container: status.name.clone(),
            restarts: status.restart_count,
            state: OutputState::new(&status.state, status.last_state.terminated.is_some()),
            is_init,
        }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.state != OutputState::Waiting
    }
}

impl OutputState {
    fn new(state: &ContainerState, has_run: bool) -> Self {
        if state.running.is_some() {
            Self::Running
        } else if state.terminated.is_some() || has_run {
            Self::Ended
        } else {
            Self::Waiting
        }
    }
}

/// The phase of a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PodPhase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl PodView {
    /// Reads a Pod; `None` for one that is not of a Job of ours.
    pub(crate) fn new(pod: &PodObject) -> Option<Self> {
        let labels: &BTreeMap<_, _> = pod.metadata.labels.as_ref()?;
        let run = names::run_of(labels)?;
        let status = &pod.status;
        let container = names::container(run.kind);
        let main = status.container_statuses.iter().flatten().find(|status| status.name == container);
        let init = status.init_container_statuses.iter().flatten().map(|one| (one, true));
        let beside = status.container_statuses.iter().flatten().map(|one| (one, false));
        let beside = beside.filter(|(one, _)| one.name != container);
        let others = init.chain(beside);
        let is_stuck = |state: &ContainerState| {
            state.waiting.is_some() || state.terminated.as_ref().is_some_and(|end| end.exit_code != 0)
        };
        let stuck = others.clone().filter(|(one, _)| is_stuck(&one.state));
        let scheduled = status.conditions.iter().flatten().find(|c| c.r#type == "PodScheduled");
        Some(Self {
            name: pod.metadata.name.as_deref()?.into(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            job: names::job(&run).into(),
            container,
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            phase: match status.phase.as_deref() {
                Some("Succeeded") => PodPhase::Succeeded,
                Some("Failed") => PodPhase::Failed,
                // Unknown is what a lost node's pod was called before 1.22: nothing has ended yet.
                Some("Running" | "Unknown") => PodPhase::Running,
                _ => PodPhase::Pending,
            },
            reason: status.reason.clone(),
            message: status.message.clone(),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            deadline: pod.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            forced: pod.metadata.deletion_grace_period_seconds == Some(0),
            node: pod.spec.node_name.as_deref().map(Into::into),
            scheduled: scheduled.filter(|c| c.status == "True").and_then(|c| c.last_transition_time),
            conditions: status
                .conditions
                .iter()
                .flatten()
                .filter(|c| match c.r#type.as_str() {
                    // Of all pods that have a node it is true, and says nothing.
                    "PodScheduled" => c.status == "False",
                    other => other == "DisruptionTarget",
                })
                .cloned()
                .collect(),
            main: main.map(|status| status.state.clone()),
            stuck: stuck.map(|(one, is_init)| ContainerStatus { is_init, ..one.clone() }).collect(),
            restarts: main.map_or(0, |status| status.restart_count),
            waits_again: main.is_some_and(|status| status.last_state.terminated.is_some()),
            others: others.map(|(one, is_init)| OutputView::new(one, is_init)).collect(),
        })
    }

    /// How the main container ended.
    pub(crate) fn terminated(&self) -> Option<&Terminated> {
        self.main.as_ref()?.terminated.as_deref()
    }

    /// Whether the program has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.main.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    }

    /// Whether the program has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_over() || self.terminated().is_some()
    }

    /// Whether no container writes any more.
    pub(crate) fn is_over(&self) -> bool {
        let is_terminal = matches!(self.phase, PodPhase::Succeeded | PodPhase::Failed);
        is_terminal
            || (self.terminated().is_some()
                && self.others.iter().all(|one| one.state != OutputState::Running))
    }

    /// The logs of all containers, in the order in which they start.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = OutputView> {
        let state = self.main.as_ref();
        let main = OutputView {
            container: self.container.to_owned(),
            restarts: self.restarts,
            state: state.map_or(OutputState::Waiting, |state| OutputState::new(state, self.waits_again)),
            is_init: false,
        };
        let init = self.others.iter().filter(|one| one.is_init).cloned();
        init.chain([main]).chain(self.others.iter().filter(|one| !one.is_init).cloned())
    }

    pub(crate) fn condition(&self, r#type: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.r#type == r#type)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The metadata that we read. The rest, above all `managedFields`, is often longer than all else in an object.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<Timestamp>,
    deletion_grace_period_seconds: Option<i64>,
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        labels: read.labels,
        annotations: read.annotations,
        creation_timestamp: read.creation_timestamp.map(Time),
        deletion_timestamp: read.deletion_timestamp.map(Time),
        deletion_grace_period_seconds: read.deletion_grace_period_seconds,
        ..ObjectMeta::default()
    })
}
