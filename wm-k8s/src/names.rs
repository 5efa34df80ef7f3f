//! The names, labels and annotations of what we make on a cluster.

use std::collections::BTreeMap;

use wm_core::{Attempt, RunId, Workload, WorkloadId, WorkloadKind};

pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";
pub(crate) const MANAGER: &str = "workload-manager";

/// The workload's own id, for example to delete what it left.
pub(crate) const ID: &str = "workload-manager/id";
pub(crate) const KIND: &str = "workload-manager/kind";
pub(crate) const ATTEMPT: &str = "workload-manager/attempt";
/// The fingerprint of the workload, by which a Job of the same name is known as ours.
pub(crate) const SPEC: &str = "workload-manager/spec";
/// Marks a Job that somebody cancels, so that all who follow it can tell that from a deletion by others.
pub(crate) const CANCELLED: &str = "workload-manager/cancelled";
/// The messages of the server and the manager, as JSON.
pub(crate) const MESSAGES: &str = "workload-manager/messages";

/// What the run waits for, and since when, as JSON: so it is said once, whichever server says it.
pub(crate) const WAITS: &str = "workload-manager/waits";
/// Why we ended the run, as JSON.
pub(crate) const VERDICT: &str = "workload-manager/verdict";

/// When the run was submitted, finer than the whole seconds that a creation timestamp has: it orders attempts.
pub(crate) const SUBMITTED: &str = "workload-manager/submitted";

/// The label selector of all runners and builders.
pub(crate) const OURS: &str =
    "app.kubernetes.io/managed-by=workload-manager,app.kubernetes.io/component in (builder,runner)";

/// What a Job does: the value of the label for it, and the beginning of its name.
pub(crate) const fn component(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Snapshot | WorkloadKind::Run => "runner",
        WorkloadKind::Build => "builder",
    }
}

/// The container that does what the Job is there for.
pub(crate) const fn container(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Snapshot | WorkloadKind::Run => "main",
        WorkloadKind::Build => "builder",
    }
}

/// A Job's name: `runner-<workload id>-<attempt>`, at most 63 characters since an id has at most 45; the id of a build
/// has 32.
pub(crate) fn job(run: &RunId) -> String {
    format!("{}-{}-{}", component(run.kind), run.workload, run.attempt)
}

/// The label key that marks a Job as one that answers to this id: its own or an alias. One `exists` selector finds all.
pub(crate) fn answers_to(id: &WorkloadId) -> String {
    format!("alias.workload-manager/{id}")
}

/// The labels of the pods of a run. Under a role without list on Jobs they are how a run is found, by alias too.
pub(crate) fn pod_labels(run: &RunId, workload: &Workload) -> BTreeMap<String, String> {
    let mut labels = own_labels(run);
    labels.extend(workload.aliases().map(|id| (answers_to(id), "true".to_owned())));
    labels
}

/// The labels that all objects of a run have.
pub(crate) fn own_labels(run: &RunId) -> BTreeMap<String, String> {
    BTreeMap::from([
        (MANAGED_BY.to_owned(), MANAGER.to_owned()),
        (COMPONENT.to_owned(), component(run.kind).to_owned()),
        (ID.to_owned(), run.workload.to_string()),
        (KIND.to_owned(), run.kind.to_string()),
        (ATTEMPT.to_owned(), run.attempt.to_string()),
    ])
}

/// The fingerprint of a build as the value of a label, which has at most 63 characters.
pub(crate) fn build_spec(fingerprint: &str) -> String {
    fingerprint.chars().take(63).collect()
}

/// The labels of the Job of a build.
pub(crate) fn build_labels(run: &RunId, fingerprint: &str) -> BTreeMap<String, String> {
    let mut labels = own_labels(run);
    labels.insert(SPEC.to_owned(), build_spec(fingerprint));
    labels.insert(answers_to(&run.workload), "true".to_owned());
    labels
}

/// The labels of the Job of a run.
pub(crate) fn job_labels(run: &RunId, workload: &Workload) -> BTreeMap<String, String> {
    let mut labels = pod_labels(run, workload);
    labels.insert(SPEC.to_owned(), workload.fingerprint());
    labels.insert(answers_to(&run.workload), "true".to_owned());
    labels
}

/// The label selector of one attempt's Job.
pub(crate) fn one_attempt(run: &RunId) -> String {
    format!("{OURS},{KIND}={},{ID}={},{ATTEMPT}={}", run.kind, run.workload, run.attempt)
}

/// Reads back whose Job it is; `None` for one that is not ours.
pub(crate) fn run_of(labels: &BTreeMap<String, String>) -> Option<RunId> {
    if labels.get(MANAGED_BY).map(String::as_str) != Some(MANAGER) {
        return None;
    }
    let kind: WorkloadKind = labels.get(KIND)?.parse().ok()?;
    let attempt = Attempt::new(labels.get(ATTEMPT)?.parse().ok()?)?;
    Some(RunId { workload: WorkloadId::new(labels.get(ID)?).ok()?, kind, attempt })
}

/// The other ids that a Job answers to.
pub(crate) fn aliases_of(labels: &BTreeMap<String, String>) -> Vec<WorkloadId> {
    labels
        .keys()
        .filter_map(|key| key.strip_prefix("alias.workload-manager/"))
        .filter(|id| labels.get(ID).map(String::as_str) != Some(*id))
        .filter_map(|id| WorkloadId::new(id).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules;

    proptest! {
        #[test]
        fn no_input_gives_an_invalid_name_label_or_annotation(
            id in "\\PC{1,60}|[A-Za-z0-9-]{1,46}",
            alias in "\\PC{1,60}|[a-z0-9-]{1,46}",
            attempt in 1..=u32::MAX,
            argument in "\\PC{0,30}",
        ) {
            let (Ok(id), Some(attempt)) = (WorkloadId::new(id), Attempt::new(attempt)) else { return Ok(()) };
            let mut builder = Workload::builder(id.clone(), WorkloadKind::Snapshot).arguments([argument]);
            if let Ok(alias) = WorkloadId::new(alias) {
                builder = builder.alias(alias);
            }
            let Ok(workload) = builder.build() else { return Ok(()) };
            let run = RunId { workload: id, kind: WorkloadKind::Snapshot, attempt };
            prop_assert!(rules::dns_label(&job(&run)).is_empty(), "{}", job(&run));
            let labels = job_labels(&run, &workload);
            for (key, value) in &labels {
                prop_assert!(rules::label_key(key).is_empty(), "{key}");
                prop_assert!(rules::label_value(value).is_empty(), "{value}");
            }
            prop_assert_eq!(run_of(&labels), Some(run));
            prop_assert_eq!(aliases_of(&labels).len(), workload.aliases().count());
            for annotation in [CANCELLED, MESSAGES, SUBMITTED, WAITS, VERDICT] {
                prop_assert!(rules::label_key(annotation).is_empty());
            }
        }
    }

    #[test]
    fn the_longest_name_fits() {
        let run = RunId {
            workload: WorkloadId::new("a".repeat(45)).unwrap(),
            kind: WorkloadKind::Run,
            attempt: Attempt::new(u32::MAX).unwrap(),
        };
        assert_eq!(job(&run).len(), 63);
    }
}
