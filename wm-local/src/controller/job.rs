//! The Job controller: creates the pods of a Job, counts how they end, and decides how the Job ends.

mod backoff;
mod failure_policy;
mod observed;
mod plan;
mod pod;
mod status;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::Value;
use tracing::debug;

pub(crate) use self::pod::{admit_pod, request_limits};
pub(super) use self::status::finished_at;
use self::status::{is_finished, is_over};
use self::{
    backoff::Backoff,
    plan::{JobEvent, Plan},
    pod::TRACKING_FINALIZER,
};
use super::{ControllerOptions, queue::Queue};
use crate::{
    clock::{Clock, Moment},
    faults::{self, Faults},
    policy::Policy,
    recorder::{Component, Recorder, Severity},
    store::{ApiError, Change, DeleteOptions, Key, Kind, Propagation, Store, StoreEvent, meta},
};

/// How long until a pod that was refused is tried again, doubled each time up to the second one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

pub(super) struct JobController {
    store: Store,
    recorder: Recorder,
    clock: Clock,
    options: ControllerOptions,
    faults: Faults,
    policy: Policy,
    queue: Queue,
    /// What is remembered of each Job, by uid: a controller that starts anew does not wait for earlier failures.
    memories: HashMap<String, Memory>,
}

struct Memory {
    backoff: Backoff,
    /// How many times in a row a pod has been refused, and when to try again.
    refusals: u32,
    retry_at: Option<Moment>,
}

impl JobController {
    pub(super) fn new(
        store: Store,
        recorder: Recorder,
        clock: Clock,
        options: ControllerOptions,
        faults: Faults,
        policy: Policy,
    ) -> Self {
        let queue = Queue::new(clock.clone());
        Self { store, recorder, clock, options, faults, policy, queue, memories: HashMap::new() }
    }

    /// Works until the store is gone.
    pub(super) async fn run(mut self) {
        let mut events = self.store.subscribe();
        for job in self.store.list(Kind::Job, None).0 {
            self.queue.add(key_of(&job), self.clock.moment());
        }
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.observe(&event),
                    None => return,
                },
                key = self.queue.next() => self.sync(&key),
            }
        }
    }

    fn observe(&mut self, event: &StoreEvent) {
        match event.key.kind {
            Kind::Job if event.change == Change::Deleted => self.forget(&event.key, &event.object()),
            Kind::Job
                if event.previous().as_deref().is_none_or(|old| is_asked_anew(old, &event.object())) =>
            {
                self.queue.add(event.key.clone(), self.clock.moment());
            }
            Kind::Pod => self.observe_pod(event),
            _ => {}
        }
    }

    fn observe_pod(&mut self, event: &StoreEvent) {
        let pod = &*event.object();
        let owner = controller_of(pod).filter(|(_, uid)| self.store.get_by_uid(uid).is_some());
        let Some((key, _)) = owner else {
            // Nobody will count it any more: it must not be kept from going.
            let is_going = !meta(pod, "deletionTimestamp").is_empty();
            if event.change != Change::Deleted && is_going && observed::is_tracked(pod) {
                self.release(&event.key);
            }
            return;
        };
        let matters = match (event.change, event.previous().as_deref()) {
            (Change::Modified, Some(old)) => progress(old) != progress(pod),
            (change, _) => change == Change::Deleted,
        };
        if matters {
            self.queue.add(key, self.clock.moment() + self.options.job_sync_delay);
        }
    }

    fn forget(&mut self, key: &Key, job: &Value) {
        self.queue.remove(key);
        let uid = meta(job, "uid");
        self.memories.remove(uid);
        for (key, pod) in self.store.dependents(uid) {
            if key.kind == Kind::Pod && observed::is_tracked(&pod) {
                self.release(&key);
            }
        }
    }

    /// One pass over a Job.
    fn sync(&mut self, key: &Key) {
        let Some(job) = self.store.get(key) else { return };
        let uid = meta(&job, "uid");
        let mut pods = self.store.dependents(uid);
        pods.retain(|(key, _)| key.kind == Kind::Pod);
        if is_finished(&job) {
            self.memories.remove(uid);
            for (key, _) in pods.iter().filter(|(_, pod)| observed::is_tracked(pod)) {
                self.release(key);
            }
            return;
        }
        let first = self.options.job_backoff;
        let memory = self.memories.entry(uid.to_owned()).or_insert_with(|| Memory {
            backoff: Backoff::new(first),
            refusals: 0,
            retry_at: None,
        });
        let mut plan = Plan::of(&job, &pods, &mut memory.backoff, self.clock.timestamp());
        let mut again_at = plan.again_in.map(|delay| self.clock.moment() + delay);
        for key in &plan.dismiss {
            self.release(key);
        }
        for key in plan.dismiss.iter().chain(&plan.delete) {
            self.delete_pod(&job, key);
        }
        if plan.create > 0 {
            let created = self.create_pods(&job, plan.create);
            if created < plan.create {
                let retry = self.memories.get(uid).and_then(|memory| memory.retry_at);
                again_at = [again_at, retry].into_iter().flatten().min();
                let active = plan.status["active"].as_u64().unwrap_or_default();
                let refused = (plan.create - created) as u64;
                match (active.saturating_sub(refused), plan.status.as_object_mut()) {
                    (0, Some(status)) => drop(status.remove("active")),
                    (active, _) => plan.status["active"] = active.into(),
                }
            }
        }
        if let Some(announced) = plan.announced {
            self.write_status(key, uid, announced);
        }
        for key in &plan.release {
            self.release(key);
        }
        if is_over(&plan.status) {
            self.memories.remove(uid);
        }
        self.write_status(key, uid, plan.status);
        for event in plan.events {
            self.tell(key, &event);
        }
        if let Some(at) = again_at {
            self.queue.add(key.clone(), at);
        }
    }

    /// Creates pods until one is refused. Returns how many there are.
    fn create_pods(&mut self, job: &Value, count: usize) -> usize {
        let uid = meta(job, "uid").to_owned();
        let retry_at = self.memories.get(&uid).and_then(|memory| memory.retry_at);
        if retry_at.is_some_and(|at| at > self.clock.moment()) {
            return 0;
        }
        for created in 0..count {
            let result = self.create_pod(job);
            let Some(memory) = self.memories.get_mut(&uid) else { return created };
            match result {
                Ok(name) => {
                    (memory.refusals, memory.retry_at) = (0, None);
                    let message = format!("Created pod: {name}");
                    self.record(job, Severity::Normal, "SuccessfulCreate", &message);
                }
                Err(error) => {
                    let delay = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(memory.refusals));
                    memory.refusals += 1;
                    memory.retry_at = Some(self.clock.moment() + delay.min(LONGEST_RETRY));
                    self.record(job, Severity::Warning, "FailedCreate", &format!("Error creating: {error}"));
                    return created;
                }
            }
        }
        count
    }

    fn create_pod(&self, job: &Value) -> Result<String, ApiError> {
        let namespace = meta(job, "namespace");
        if let Some(class) = job["spec"]["template"]["spec"]["runtimeClassName"].as_str() {
            let name = meta(job, "name");
            let message =
                format!("pods \"{name}-\" is forbidden: pod rejected: RuntimeClass {class:?} not found");
            return Err(ApiError::new(403, "Forbidden", message));
        }
        if let Some(class) = pod::unknown_priority_class(job) {
            let name = meta(job, "name");
            let message =
                format!("pods \"{name}-\" is forbidden: no PriorityClass with name {class} was found");
            return Err(ApiError::new(403, "Forbidden", message));
        }
        let account = pod::service_account(job);
        if self.store.get(&Key::new(Kind::ServiceAccount, namespace, account)).is_none() {
            let message = format!(
                "pods \"{}-\" is forbidden: error looking up service account {namespace}/{account}: \
                 serviceaccount \"{account}\" not found",
                meta(job, "name")
            );
            return Err(ApiError::new(403, "Forbidden", message));
        }
        let mut pod = pod::pod_of(job);
        self.store.identify(Kind::Pod, namespace, &mut pod);
        // Nobody hears the warnings of a controller.
        self.policy.review(Kind::Pod, &mut pod)?;
        faults::refuse(&self.faults, Kind::Pod, &pod)?;
        let pod = self.policy.create(Kind::Pod, namespace, pod)?;
        Ok(meta(&pod, "name").to_owned())
    }

    fn delete_pod(&self, job: &Value, key: &Key) {
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        if self.store.delete(key, &options).is_ok() {
            let message = format!("Deleted pod: {}", key.name);
            self.record(job, Severity::Normal, "SuccessfulDelete", &message);
        }
    }

    fn release(&self, key: &Key) {
        let released = self.store.update(key, |pod| {
            if let Some(finalizers) = pod["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != TRACKING_FINALIZER);
                if finalizers.is_empty()
                    && let Some(metadata) = pod["metadata"].as_object_mut()
                {
                    metadata.remove("finalizers");
                }
            }
            Ok(())
        });
        if let Err(error) = released {
            debug!(pod = %key, %error, "Pod is gone before it was counted");
        }
    }

    fn write_status(&self, key: &Key, uid: &str, status: Value) {
        let written = self.store.update(key, |job| {
            // Another Job of this name may have come since.
            if meta(job, "uid") != uid {
                return Err(ApiError::not_found(key.kind, &key.name));
            }
            job["status"] = status;
            Ok(())
        });
        if let Err(error) = written {
            debug!(job = %key, %error, "Job is gone before its status was written");
        }
    }

    fn tell(&self, key: &Key, event: &JobEvent) {
        let Some(job) = self.store.get(key) else { return };
        let normal = |reason, message| self.record(&job, Severity::Normal, reason, message);
        match event {
            JobEvent::Completed => normal("Completed", "Job completed"),
            JobEvent::Suspended => normal("Suspended", "Job suspended"),
            JobEvent::Resumed => normal("Resumed", "Job resumed"),
            JobEvent::Failed { reason, message } => self.record(&job, Severity::Warning, reason, message),
        }
    }

    fn record(&self, job: &Value, severity: Severity, reason: &str, message: &str) {
        self.recorder.record(Component::JobController, job, None, severity, reason, message);
    }
}

/// Whether a change of a Job is more than this controller's own writing of its status.
fn is_asked_anew(old: &Value, new: &Value) -> bool {
    old["spec"] != new["spec"] || old["metadata"]["deletionTimestamp"] != new["metadata"]["deletionTimestamp"]
}

/// What of a pod a Job depends on.
fn progress(pod: &Value) -> impl PartialEq {
    (
        pod["status"]["phase"].clone(),
        pod["metadata"]["deletionTimestamp"].clone(),
        observed::is_ready(pod),
        observed::restarts(pod),
    )
}

/// The Job that a pod belongs to, and its uid.
fn controller_of(pod: &Value) -> Option<(Key, &str)> {
    let owners = pod["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true && owner["kind"] == "Job")?;
    let key = Key::new(Kind::Job, meta(pod, "namespace"), owner["name"].as_str()?);
    Some((key, owner["uid"].as_str()?))
}

fn key_of(job: &Arc<Value>) -> Key {
    Key::new(Kind::Job, meta(job, "namespace"), meta(job, "name"))
}
