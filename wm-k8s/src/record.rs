//! What we keep with a Job about its run, so that it outlives this process and any server can tell it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wm_core::{Evidence, Outcome, Reason, Verdict};

use crate::{
    api::Api,
    diagnosis::{self, Finding},
    error::CallError,
    messages::{Message, Messages},
    names,
    view::{JobObject, PodView},
};

/// How often a change is made anew when somebody else changed the Job meanwhile. Of so many writers at the same time
/// each gets its turn, since in each round one does.
const TRIES: usize = 50;

/// What a run was said to wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waits {
    /// Since when, by the clock of whoever said it.
    pub(crate) since: Timestamp,
    pub(crate) words: String,
    /// When the gates opened that had held its pod back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opened: Option<Timestamp>,
}

/// Why we ended a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) advice: String,
    /// Whether the cause tends to pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) passing: bool,
}

impl Ended {
    pub(crate) fn new(finding: Finding) -> Self {
        let Finding { reason, words, advice, passing } = finding;
        Self { reason, message: words, advice, passing }
    }

    /// The verdict on a run of which these pods are known.
    pub(crate) fn verdict(&self, pods: &[PodView], evidence: Evidence) -> Verdict {
        Verdict::new(Outcome::Failed, self.reason, &self.message, &self.advice)
            .with_retry(self.passing && diagnosis::never_began(pods))
            .with_evidence(evidence)
    }
}

/// Changes a Job as it is read, again and again until nobody else changed it meanwhile. False if `change` wants none.
pub(crate) async fn amend(
    api: &Api,
    name: &str,
    change: impl Fn(&JobObject) -> Option<Value> + Send + Sync,
) -> Result<bool, CallError> {
    let mut tries = 0;
    loop {
        let object = api.job::<JobObject>(name).await?;
        let Some(mut patch) = change(&object) else { return Ok(false) };
        patch["metadata"]["resourceVersion"] = json!(object.metadata.resource_version);
        tries += 1;
        match api.patch_job_as_read(name, &patch).await {
            Ok(()) => return Ok(true),
            Err(error) if tries < TRIES && error.refusal().is_some_and(|refusal| refusal.code == 409) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The messages of a Job with new ones behind them, as its annotation.
pub(crate) fn with_messages(job: &JobObject, new: &[Message]) -> String {
    let annotation = job.metadata.annotations.as_ref().and_then(|all| all.get(names::MESSAGES));
    let mut all = annotation.map(|text| Messages::decode(text)).unwrap_or_default();
    all.kept.extend_from_slice(new);
    all.encode()
}
