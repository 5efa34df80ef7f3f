//! From the environment to the manager that the commands ask.

use std::sync::Arc;

use wm_config::{Origin, variable};
use wm_k8s::KubernetesSettings;
use workload_manager::{
    Attempt, Configuration, Error, ErrorKind, LOCAL, RunFilter, RunStatus, Setup, WorkloadId,
    WorkloadManager, WorkloadManagerExt as _, local,
};

use super::{
    failure::Failure,
    output::{self, Output},
};

/// Loads the configuration of the process's environment.
pub(crate) fn load() -> Result<Configuration, Failure> {
    Ok(Setup::from_process().default_source(LOCAL).load()?)
}

/// Tells what works and is worth knowing all the same.
pub(crate) fn tell_warnings(configuration: &Configuration, output: Output) -> Result<(), Failure> {
    for warning in &configuration.warnings {
        if output.is_json() {
            output::object(&serde_json::json!({ "warning": warning }))?;
        } else {
            output.note(&format!("warning: {warning}"))?;
        }
    }
    Ok(())
}

/// Whether nobody chose the implementation.
pub(crate) fn is_default(configuration: &Configuration) -> bool {
    let mut effective = configuration.settings.effective().into_iter();
    effective
        .any(|value| value.variable == variable::IMPLEMENTATION_SOURCE && value.origin == Origin::Default)
}

/// Makes the manager for a command that asks about runs: an embedded cluster must be there already.
pub(crate) async fn manager() -> Result<Arc<dyn WorkloadManager>, Failure> {
    let configuration = load()?;
    if configuration.is_local() {
        require_running().await?;
    }
    Ok(configuration.manager().await?)
}

/// Refuses when no `wm local` runs.
pub(crate) async fn require_running() -> Result<(), Failure> {
    if local::running().await.is_some() {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::Unavailable,
        "no embedded cluster is running: the one of a `wm run` lasts as long as that command",
    );
    Err(Failure::from(error).advising(format!(
        "start one in another terminal: wm local; or use a real cluster: export {}=kubernetes",
        variable::IMPLEMENTATION_SOURCE
    )))
}

/// Finds a run of a workload, by id or alias: the latest, or the one of an attempt.
pub(crate) async fn find(
    manager: &dyn WorkloadManager,
    workload: &WorkloadId,
    attempt: Option<Attempt>,
) -> Result<RunStatus, Failure> {
    let Some(attempt) = attempt else { return Ok(manager.latest(workload).await?) };
    let runs = manager.list(&RunFilter::of(workload)).await?;
    runs.into_iter().find(|status| status.run.attempt == attempt).ok_or_else(|| {
        let error = Error::new(ErrorKind::NotFound, "the workload has no such attempt, or no longer")
            .with_context("workload", workload.as_str())
            .with_context("attempt", attempt.to_string());
        Failure::from(error)
    })
}

/// The settings of Jobs, for commands that print Kubernetes' objects.
pub(crate) fn kubernetes(configuration: &Configuration) -> Result<KubernetesSettings, Failure> {
    configuration.kubernetes().ok_or_else(|| {
        let error = Error::new(
            ErrorKind::Unsupported,
            "the implementation is not a built-in one, and what it does on a cluster only it knows",
        );
        Failure::from(error.with_context("source", configuration.source()))
            .advising(format!("ask its author, or set {}=kubernetes", variable::IMPLEMENTATION_SOURCE))
    })
}
