//! What is to be done about a Job: a function of the Job, its pods and the time.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    backoff::Backoff,
    failure_policy::{self, Verdict},
    observed::{self, Observed},
    status::{Condition, Ending, JobStatus},
};
use crate::{
    clock::until,
    store::{Key, meta},
};

/// One pass over a Job, to be carried out in the order of the fields.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Pods of a suspended Job: their finalizer goes before they do, as they are not counted.
    pub(super) dismiss: Vec<Key>,
    /// Pods that end because the Job does.
    pub(super) delete: Vec<Key>,
    pub(super) create: usize,
    /// Written before the finalizers of `release` go: names the pods that are about to be counted.
    pub(super) announced: Option<Value>,
    pub(super) release: Vec<Key>,
    pub(super) status: Value,
    pub(super) events: Vec<JobEvent>,
    /// When to look again, if nothing happens before.
    pub(super) again_in: Option<Duration>,
}

/// What is told about a Job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum JobEvent {
    Completed,
    Failed { reason: String, message: String },
    Suspended,
    Resumed,
}

impl Plan {
    /// Plans for a Job that is not finished. `backoff` learns of the pods that are counted here.
    pub(super) fn of(job: &Value, pods: &[(Key, Arc<Value>)], backoff: &mut Backoff, now: Timestamp) -> Self {
        Planner { job, now, observed: Observed::of(job, pods), plan: Self::default() }.run(backoff)
    }
}

struct Planner<'a> {
    job: &'a Value,
    now: Timestamp,
    observed: Observed<'a>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn run(mut self, backoff: &mut Backoff) -> Plan {
        let spec = &self.job["spec"];
        let is_deleting = !meta(self.job, "deletionTimestamp").is_empty();
        let is_suspended = spec["suspend"].as_bool().unwrap_or_default();
        let mut status = JobStatus::of(self.job);
        self.resume_or_start(&mut status, is_suspended);

        let verdicts = self.judge();
        backoff.observe(&self.observed, self.now);
        let ending = self.ending(&status, &verdicts, is_deleting);
        let mut failed = verdicts.counted;

        match &ending {
            Some(ending) => {
                for (key, pod) in std::mem::take(&mut self.observed.active) {
                    self.plan.delete.push(key.clone());
                    self.observed.terminating += 1;
                    if observed::replaces_only_failed(self.job) {
                        continue;
                    }
                    self.plan.release.push(key.clone());
                    if *ending != Ending::Success {
                        failed.push(meta(pod, "uid"));
                    }
                }
                self.observed.ready = 0;
            }
            None if is_deleting => {}
            None if is_suspended => self.suspend(&mut status),
            None => self.top_up(&status, backoff),
        }
        let release = self.observed.countable.iter().map(|(key, _)| (*key).clone());
        self.plan.release.extend(release);

        let succeeded: Vec<&str> = self.observed.succeeded.iter().map(|pod| meta(pod, "uid")).collect();
        status.observe(
            self.observed.active.len() + self.plan.create,
            self.observed.ready,
            self.observed.terminating,
        );
        if let Some(ending) = &ending {
            status.set(&ending.interim(), self.now);
        }
        let has_news = !succeeded.is_empty() || !failed.is_empty();
        if has_news && !is_deleting {
            self.plan.announced = Some(status.announcing(&succeeded, &failed));
            status.count(succeeded.len(), failed.len());
        }
        if let Some(ending) = ending
            && self.observed.terminating == 0
        {
            status.finish(&ending, self.now);
            self.plan.events.push(match ending {
                Ending::Success => JobEvent::Completed,
                Ending::Failure { reason, message } => JobEvent::Failed { reason, message },
            });
        }
        self.plan.status = status.into_value();
        self.plan
    }

    fn resume_or_start(&mut self, status: &mut JobStatus, is_suspended: bool) {
        if is_suspended {
            return;
        }
        if status.is_true("Suspended") {
            status.set(&Condition::new("Suspended", false, "JobResumed", "Job resumed"), self.now);
            status.start(self.now);
            self.plan.events.push(JobEvent::Resumed);
        } else if status.start_time().is_none() {
            status.start(self.now);
        }
    }

    /// Sorts the failed pods by the failure policy.
    fn judge(&self) -> Verdicts<'a> {
        let mut verdicts = Verdicts::default();
        for pod in &self.observed.failed {
            match failure_policy::judge(self.job, pod) {
                Verdict::Count => verdicts.counted.push(meta(pod, "uid")),
                Verdict::Ignore => {}
                Verdict::FailJob(message) => {
                    verdicts.counted.push(meta(pod, "uid"));
                    verdicts.fatal.get_or_insert(message);
                }
            }
        }
        verdicts
    }

    fn ending(&mut self, status: &JobStatus, verdicts: &Verdicts<'_>, is_deleting: bool) -> Option<Ending> {
        if let Some(ending) = status.ending() {
            return Some(ending);
        }
        if is_deleting {
            return None;
        }
        let failure = |reason: &str, message: &str| {
            Some(Ending::Failure { reason: reason.to_owned(), message: message.to_owned() })
        };
        if let Some(message) = &verdicts.fatal {
            return failure("PodFailurePolicy", message);
        }
        let limit = self.job["spec"]["backoffLimit"].as_u64().unwrap_or(6);
        let failures = status.failed() + verdicts.counted.len() as u64;
        if failures > limit || self.exceeds_restarts(limit) {
            return failure("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        if let (Some(deadline), Some(start)) =
            (self.job["spec"]["activeDeadlineSeconds"].as_u64(), status.start_time())
        {
            let end = start.checked_add(Duration::from_secs(deadline)).unwrap_or(Timestamp::MAX);
            let remaining = until(self.now, end);
            if remaining.is_zero() {
                return failure("DeadlineExceeded", "Job was active longer than specified deadline");
            }
            self.look_again_in(remaining);
        }
        let succeeded = status.succeeded() + self.observed.succeeded.len() as u64;
        let is_complete = match self.job["spec"]["completions"].as_u64() {
            Some(completions) => succeeded >= completions,
            // A work queue: one success means that the others need not start any more.
            None => succeeded > 0 && self.observed.active.is_empty(),
        };
        is_complete.then_some(Ending::Success)
    }

    /// Containers that are restarted in place count as failures of their own.
    fn exceeds_restarts(&self, limit: u64) -> bool {
        if self.job["spec"]["template"]["spec"]["restartPolicy"] != "OnFailure" {
            return false;
        }
        let restarts: u64 = self.observed.active.iter().map(|(_, pod)| observed::restarts(pod)).sum();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    }

    fn suspend(&mut self, status: &mut JobStatus) {
        for (key, _) in std::mem::take(&mut self.observed.active) {
            self.plan.dismiss.push(key.clone());
            self.observed.terminating += 1;
        }
        self.observed.ready = 0;
        if !status.is_true("Suspended") {
            status.set(&Condition::new("Suspended", true, "JobSuspended", "Job suspended"), self.now);
            self.plan.events.push(JobEvent::Suspended);
        }
        status.stop();
    }

    /// Creates the pods that are missing, once the back-off after a failure is over.
    fn top_up(&mut self, status: &JobStatus, backoff: &Backoff) {
        let parallelism = self.job["spec"]["parallelism"].as_u64().unwrap_or(1);
        let succeeded = status.succeeded() + self.observed.succeeded.len() as u64;
        let wanted = match self.job["spec"]["completions"].as_u64() {
            Some(completions) => parallelism.min(completions.saturating_sub(succeeded)),
            None if succeeded > 0 => 0,
            None => parallelism,
        };
        let mut present = self.observed.active.len();
        if observed::replaces_only_failed(self.job) {
            present += self.observed.terminating;
        }
        let missing = usize::try_from(wanted).unwrap_or(usize::MAX).saturating_sub(present);
        if missing == 0 {
            return;
        }
        let remaining = backoff.remaining(self.now);
        if remaining.is_zero() {
            self.plan.create = missing;
        } else {
            self.look_again_in(remaining);
        }
    }

    fn look_again_in(&mut self, delay: Duration) {
        self.plan.again_in = Some(self.plan.again_in.map_or(delay, |other| other.min(delay)));
    }
}

#[derive(Default)]
struct Verdicts<'a> {
    counted: Vec<&'a str>,
    /// Why the Job fails at once.
    fatal: Option<String>,
}
