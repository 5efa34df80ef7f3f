//! A bare watch: one list, then one stream that is resumed, and of each object only what is needed.

use futures::StreamExt as _;
use kube::{
    Client,
    api::{ListParams, Request, WatchEvent, WatchParams},
};
use serde::Deserialize;

use crate::Failure;

/// The label selector of all runners, as the manager has it.
pub(crate) const RUNNERS: &str =
    "app.kubernetes.io/managed-by=workload-manager,app.kubernetes.io/component=runner";

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Job,
    Pod,
}

impl Kind {
    pub(crate) fn path(self, namespace: &str) -> String {
        match self {
            Self::Job => format!("/apis/batch/v1/namespaces/{namespace}/jobs"),
            Self::Pod => format!("/api/v1/namespaces/{namespace}/pods"),
        }
    }
}

/// A Job or a Pod, as far as its end is concerned.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Object {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) name: String,
    resource_version: String,
    #[serde(default)]
    labels: Labels,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Labels {
    /// On a Pod, the name of its Job.
    #[serde(default, rename = "job-name")]
    job: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: Option<String>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct List {
    metadata: ListMetadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
}

/// That a Job, or the Pod of a Job, has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) job: String,
    pub(crate) succeeded: bool,
}

impl Object {
    pub(crate) fn end(&self) -> Option<Ended> {
        let condition = |name: &str| {
            self.status.conditions.iter().any(|each| each.r#type == name && each.status == "True")
        };
        // Only a Pod has a phase, only a Job these conditions.
        let succeeded = match self.status.phase.as_deref() {
            Some("Succeeded") => true,
            Some("Failed") => false,
            Some(_) => return None,
            None if condition("Complete") => true,
            None if condition("Failed") => false,
            None => return None,
        };
        let job = self.metadata.labels.job.as_ref().unwrap_or(&self.metadata.name);
        Some(Ended { job: job.clone(), succeeded })
    }
}

/// Asks for the version from which to watch.
pub(crate) async fn version(client: &Client, kind: Kind, namespace: &str) -> Result<String, Failure> {
    let params = ListParams::default().labels(RUNNERS).limit(1);
    let list: List = client.request(Request::new(kind.path(namespace)).list(&params)?).await?;
    Ok(list.metadata.resource_version)
}

/// Follows from a version on, for ever; tells each end, maybe more than once.
pub(crate) async fn follow(
    client: &Client,
    kind: Kind,
    namespace: &str,
    mut version: String,
    mut tell: impl FnMut(Ended) + Send,
) -> Result<(), Failure> {
    let params = WatchParams::default().labels(RUNNERS);
    loop {
        let request = Request::new(kind.path(namespace)).watch(&params, &version)?;
        let mut events = client.request_events::<Object>(request).await?.boxed();
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    if let Some(ended) = object.end() {
                        tell(ended);
                    }
                    version = object.metadata.resource_version;
                }
                WatchEvent::Deleted(object) => version = object.metadata.resource_version,
                WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                // A version that is gone would leave a gap: the measurement is void.
                WatchEvent::Error(status) => {
                    return Err(format!("the watch broke: {}", status.message).into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn end(value: Value) -> Option<Ended> {
        serde_json::from_value::<Object>(value).unwrap().end()
    }

    #[test]
    fn a_pod_ends_by_its_phase_under_the_name_of_its_job() {
        let pod = |phase: &str| {
            json!({
                "metadata": { "name": "runner-a-1-x7k2p", "resourceVersion": "7", "labels": { "job-name": "runner-a-1" } },
                "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": "False" }] },
            })
        };
        assert_eq!(end(pod("Running")), None);
        assert_eq!(end(pod("Succeeded")), Some(Ended { job: "runner-a-1".to_owned(), succeeded: true }));
        assert_eq!(end(pod("Failed")), Some(Ended { job: "runner-a-1".to_owned(), succeeded: false }));
    }

    #[test]
    fn a_job_ends_by_its_condition() {
        let job = |conditions: Value| json!({ "metadata": { "name": "runner-a-1", "resourceVersion": "7" }, "status": { "conditions": conditions } });
        assert_eq!(end(job(json!([{ "type": "SuccessCriteriaMet", "status": "True" }]))), None);
        assert_eq!(end(job(json!([{ "type": "Complete", "status": "False" }]))), None);
        let complete = end(job(json!([{ "type": "Complete", "status": "True" }])));
        assert_eq!(complete, Some(Ended { job: "runner-a-1".to_owned(), succeeded: true }));
    }

    #[test]
    fn an_object_without_a_status_has_not_ended() {
        assert_eq!(end(json!({ "metadata": { "name": "runner-a-1", "resourceVersion": "7" } })), None);
    }
}
