//! The status of a Job while it is worked out.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::timestamp;

/// How a Job ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Success,
    Failure { reason: String, message: String },
}

impl Ending {
    /// The condition that says that the Job is going to end so, while its pods still stop.
    pub(super) fn interim(&self) -> Condition {
        match self {
            Self::Success => Condition::new("SuccessCriteriaMet", true, COMPLETE.0, COMPLETE.1),
            Self::Failure { reason, message } => Condition::new("FailureTarget", true, reason, message),
        }
    }

    fn last(&self) -> Condition {
        Condition { r#type: if *self == Self::Success { "Complete" } else { "Failed" }, ..self.interim() }
    }
}

const COMPLETE: (&str, &str) = ("CompletionsReached", "Reached expected number of succeeded pods");

#[derive(Clone, Debug)]
pub(super) struct Condition {
    r#type: &'static str,
    status: &'static str,
    reason: String,
    message: String,
}

impl Condition {
    pub(super) fn new(r#type: &'static str, status: bool, reason: &str, message: &str) -> Self {
        let status = if status { "True" } else { "False" };
        Self { r#type, status, reason: reason.to_owned(), message: message.to_owned() }
    }
}

/// Whether a Job has ended, one way or the other.
pub(super) fn is_finished(job: &Value) -> bool {
    finished_at(job).is_some()
}

/// Whether this is the status of a Job that has ended.
pub(super) fn is_over(status: &Value) -> bool {
    ended_at(status).is_some()
}

/// When a Job ended: the time of its last condition.
pub(crate) fn finished_at(job: &Value) -> Option<&str> {
    ended_at(&job["status"])
}

fn ended_at(status: &Value) -> Option<&str> {
    let conditions = status["conditions"].as_array()?;
    let last = conditions.iter().find(|condition| {
        condition["status"] == "True" && (condition["type"] == "Complete" || condition["type"] == "Failed")
    })?;
    last["lastTransitionTime"].as_str()
}

#[derive(Debug)]
pub(super) struct JobStatus {
    fields: Map<String, Value>,
    conditions: Vec<Value>,
}

impl JobStatus {
    pub(super) fn of(job: &Value) -> Self {
        let mut fields = job["status"].as_object().cloned().unwrap_or_default();
        let conditions = match fields.remove("conditions") {
            Some(Value::Array(conditions)) => conditions,
            _ => Vec::new(),
        };
        fields.insert("uncountedTerminatedPods".to_owned(), json!({}));
        Self { fields, conditions }
    }

    pub(super) fn is_true(&self, r#type: &str) -> bool {
        self.condition(r#type).is_some_and(|condition| condition["status"] == "True")
    }

    /// The end that has been decided on before.
    pub(super) fn ending(&self) -> Option<Ending> {
        if self.is_true("SuccessCriteriaMet") {
            return Some(Ending::Success);
        }
        let target = self.condition("FailureTarget").filter(|target| target["status"] == "True")?;
        let text = |field: &str| target[field].as_str().unwrap_or_default().to_owned();
        Some(Ending::Failure { reason: text("reason"), message: text("message") })
    }

    pub(super) fn start_time(&self) -> Option<Timestamp> {
        self.fields.get("startTime")?.as_str()?.parse().ok()
    }

    pub(super) fn succeeded(&self) -> u64 {
        self.number("succeeded")
    }

    pub(super) fn failed(&self) -> u64 {
        self.number("failed")
    }

    pub(super) fn start(&mut self, now: Timestamp) {
        self.fields.insert("startTime".to_owned(), timestamp::seconds(now).into());
    }

    pub(super) fn stop(&mut self) {
        self.fields.remove("startTime");
    }

    /// Sets a condition in its place, or as the last one.
    pub(super) fn set(&mut self, condition: &Condition, now: Timestamp) {
        let now = timestamp::seconds(now);
        let new = json!({
            "type": condition.r#type,
            "status": condition.status,
            "lastProbeTime": now,
            "lastTransitionTime": now,
            "reason": condition.reason,
            "message": condition.message,
        });
        match self.conditions.iter_mut().find(|one| one["type"] == condition.r#type) {
            Some(old) if old["status"] == new["status"] => {}
            Some(old) => *old = new,
            None => self.conditions.push(new),
        }
    }

    pub(super) fn observe(&mut self, active: usize, ready: usize, terminating: usize) {
        self.put("active", active as u64);
        self.fields.insert("ready".to_owned(), ready.into());
        self.fields.insert("terminating".to_owned(), terminating.into());
    }

    pub(super) fn count(&mut self, succeeded: usize, failed: usize) {
        self.put("succeeded", self.succeeded() + succeeded as u64);
        self.put("failed", self.failed() + failed as u64);
    }

    pub(super) fn finish(&mut self, ending: &Ending, now: Timestamp) {
        self.set(&ending.last(), now);
        if *ending == Ending::Success {
            self.fields.insert("completionTime".to_owned(), timestamp::seconds(now).into());
        }
    }

    /// This status with pods that have ended and are not counted yet.
    pub(super) fn announcing(&self, succeeded: &[&str], failed: &[&str]) -> Value {
        let mut uncounted = Map::new();
        for (field, uids) in [("succeeded", succeeded), ("failed", failed)] {
            if !uids.is_empty() {
                uncounted.insert(field.to_owned(), uids.into());
            }
        }
        let mut value = self.value();
        value["uncountedTerminatedPods"] = uncounted.into();
        value
    }

    pub(super) fn into_value(self) -> Value {
        self.value()
    }

    fn value(&self) -> Value {
        let mut fields = self.fields.clone();
        if !self.conditions.is_empty() {
            fields.insert("conditions".to_owned(), self.conditions.clone().into());
        }
        fields.into()
    }

    fn condition(&self, r#type: &str) -> Option<&Value> {
        self.conditions.iter().find(|condition| condition["type"] == r#type)
    }

    fn number(&self, field: &str) -> u64 {
        self.fields.get(field).and_then(Value::as_u64).unwrap_or_default()
    }

    /// Counts are left out when they are zero.
    fn put(&mut self, field: &str, number: u64) {
        if number == 0 {
            self.fields.remove(field);
        } else {
            self.fields.insert(field.to_owned(), number.into());
        }
    }
}
