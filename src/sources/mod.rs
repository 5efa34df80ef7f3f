//! The built-in implementation sources: what each name stands for.

mod aws;
mod kubernetes;
#[cfg(feature = "local")]
mod local;
mod options;

use wm_config::Family;
use wm_core::Registry;

pub(crate) use self::{
    aws::AwsOptions,
    options::{Cloud, ManagerOptions},
};

/// The Kubernetes implementation's class path in the users' guide.
pub const KUBERNETES: &str = "zenml_cloud_plugins.kubernetes_workload_manager.KubernetesWorkloadManager";
/// The AWS implementation's class path in the users' guide.
pub const AWS: &str = "zenml_cloud_plugins.aws_kubernetes_workload_manager.AWSKubernetesWorkloadManager";
/// The embedded cluster's source string.
pub const LOCAL: &str = "local";

/// The registry of the built-in implementation sources, to which others can be added.
pub fn registry() -> Registry {
    let registry = Registry::new()
        .with(KUBERNETES, kubernetes::KubernetesFactory)
        .with_alias("kubernetes", KUBERNETES)
        .with(AWS, aws::AwsFactory)
        .with_alias("aws", AWS);
    #[cfg(feature = "local")]
    let registry = registry.with(LOCAL, local::LocalFactory);
    registry
}

/// Which settings a source needs.
pub(crate) fn family(canonical: &str) -> Family {
    match canonical {
        KUBERNETES => Family::Kubernetes,
        AWS => Family::Aws,
        LOCAL => Family::Local,
        _ => Family::Other,
    }
}
