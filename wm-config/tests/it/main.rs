//! The crate as its users see it: pairs and files in, settings or problems out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod any_value;
mod bad_values;
mod conditions;
mod guide;
mod merging;
mod misspelling;
mod presentation;

use std::ffi::OsString;

use wm_config::{Family, Loaded, Loader, Problem, Problems, variable};

const KUBERNETES: &str = "zenml_cloud_plugins.kubernetes_workload_manager.KubernetesWorkloadManager";
const AWS: &str = "zenml_cloud_plugins.aws_kubernetes_workload_manager.AWSKubernetesWorkloadManager";

/// A loader that knows what the root crate knows.
fn loader() -> Loader {
    Loader::new()
        .known_source(KUBERNETES, Family::Kubernetes)
        .known_source(AWS, Family::Aws)
        .known_source("kubernetes", Family::Kubernetes)
        .known_source("aws", Family::Aws)
        .known_source("local", Family::Local)
        .known_source("acme.Batch", Family::Other)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The least that a family needs, with these on top.
fn with(source: &str, more: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let mut all = pairs(&[
        (variable::IMPLEMENTATION_SOURCE, source),
        (variable::NAMESPACE, "runners"),
        (variable::SERVICE_ACCOUNT, "runner"),
    ]);
    all.extend(pairs(more));
    all
}

fn load(source: &str, more: &[(&str, &str)]) -> Result<Loaded, Problems> {
    loader().environment(with(source, more)).load()
}

fn settings(source: &str, more: &[(&str, &str)]) -> wm_config::Settings {
    load(source, more).unwrap_or_else(|problems| panic!("{problems}")).settings
}

fn problems(source: &str, more: &[(&str, &str)]) -> Vec<Problem> {
    load(source, more).err().map(|problems| problems.into_iter().collect()).unwrap_or_default()
}

fn names(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.variable.as_str()).collect()
}
