use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wm_core::{ManagerFactory, Result, WorkloadManager};

use super::{Cloud, ManagerOptions};

/// Makes the manager of the cluster that the kubeconfig, or the pod's service account, leads to.
#[derive(Debug)]
pub(super) struct KubernetesFactory;

#[async_trait]
impl ManagerFactory for KubernetesFactory {
    fn environment_prefix(&self) -> Option<&str> {
        None
    }

    fn check(&self, options: &Value) -> Result<()> {
        ManagerOptions::parse(options)?.check()
    }

    async fn build(&self, options: &Value) -> Result<Arc<dyn WorkloadManager>> {
        let options = ManagerOptions::parse(options)?;
        let cluster = options.credentials();
        options.manager(&cluster, (), Cloud::default()).await
    }
}
