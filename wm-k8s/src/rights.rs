//! The rights that a manager uses: one table, from which it learns what it may do, and the Role comes.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::api::Api;

/// A right on resources of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) group: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) verb: &'static str,
    /// Whether the guide's narrow Role has it.
    pub(crate) narrow: bool,
    /// What it is for.
    pub(crate) purpose: &'static str,
}

pub(crate) const fn right(
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    narrow: bool,
    purpose: &'static str,
) -> Right {
    Right { group, resource, verb, narrow, purpose }
}

/// All rights that are ever used, those of one resource together.
pub(crate) const RIGHTS: &[Right] = &[
    right("batch", "jobs", "create", true, "start runs"),
    right("batch", "jobs", "get", true, "tell a run's state"),
    right("batch", "jobs", "deletecollection", true, "delete the runs of a workload"),
    right("batch", "jobs", "list", false, "list runs"),
    right("batch", "jobs", "watch", false, "follow all runs with one request"),
    right("batch", "jobs", "patch", false, "hold runs until their turn, keep messages with the run"),
    right("batch", "jobs", "delete", false, "cancel one run and nothing else"),
    right("", "pods", "list", true, "tell why a run waits or failed"),
    right("", "pods", "watch", false, "know the end of a run at once"),
    right("", "pods", "delete", false, "remove the pods of a node that is gone"),
    right("", "pods/log", "get", true, "read logs"),
    right("", "secrets", "create", false, "keep secret values out of Jobs"),
    right("", "events", "list", false, "say what the cluster reported about a run that failed or waits"),
    right("", "namespaces", "get", false, "know the namespace's Pod Security level"),
];

/// What a manager may do, asked once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one answer of the cluster")]
pub(crate) struct Rights {
    /// With list on Pods, since the one without the other tells nothing.
    pub(crate) list_jobs: bool,
    pub(crate) watch: bool,
    pub(crate) patch_jobs: bool,
    pub(crate) delete_job: bool,
    pub(crate) delete_jobs: bool,
    pub(crate) delete_pod: bool,
    pub(crate) create_secrets: bool,
    pub(crate) list_events: bool,
    pub(crate) get_namespace: bool,
}

impl Rights {
    /// Asks the cluster; what it does not answer is taken as granted, and refused when it is used.
    pub(crate) async fn ask(api: &Api) -> Self {
        let answers = join_all(RIGHTS.iter().map(|right| async move {
            let granted = api.may(&review(right, api.namespace())).await.unwrap_or(true);
            (right, granted)
        }))
        .await;
        let missing: Vec<_> =
            answers.iter().filter(|(_, granted)| !granted).map(|(right, _)| right).collect();
        if !missing.is_empty() {
            let list: Vec<_> = missing
                .iter()
                .map(|right| format!("{} {} ({})", right.verb, right.resource, right.purpose))
                .collect();
            tracing::warn!(
                namespace = api.namespace(),
                "Rights are missing, doing without: {}. `wm role` prints the Role that has them",
                list.join(", ")
            );
        }
        let has = |resource: &str, verb: &str| {
            !missing.iter().any(|right| right.resource == resource && right.verb == verb)
        };
        Self {
            list_jobs: has("jobs", "list") && has("pods", "list"),
            watch: has("jobs", "list") && has("jobs", "watch") && has("pods", "list") && has("pods", "watch"),
            patch_jobs: has("jobs", "patch"),
            delete_job: has("jobs", "delete"),
            delete_jobs: has("jobs", "deletecollection"),
            delete_pod: has("pods", "delete"),
            create_secrets: has("secrets", "create"),
            list_events: has("events", "list"),
            get_namespace: has("namespaces", "get"),
        }
    }
}

/// The question whether we have a right.
pub(crate) fn review(right: &Right, namespace: &str) -> Value {
    let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
    let mut attributes = json!({
        "namespace": namespace, "verb": right.verb, "group": right.group, "resource": resource,
    });
    if !subresource.is_empty() {
        attributes["subresource"] = json!(subresource);
    }
    json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": attributes },
    })
}
