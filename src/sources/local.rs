use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wm_core::{Error, ErrorKind, ManagerFactory, Result, WorkloadManager};
use wm_k8s::Credentials;
use wm_local::ClusterOptions;

use super::{Cloud, ManagerOptions};
use crate::local;

/// Makes the manager of the embedded cluster: of the one that `wm local` serves, else of one in this process.
#[derive(Debug)]
pub(super) struct LocalFactory;

#[async_trait]
impl ManagerFactory for LocalFactory {
    fn environment_prefix(&self) -> Option<&str> {
        None
    }

    fn check(&self, options: &Value) -> Result<()> {
        ManagerOptions::parse(options)?.check()
    }

    async fn build(&self, options: &Value) -> Result<Arc<dyn WorkloadManager>> {
        let options = ManagerOptions::parse(options)?;
        if let Some(running) = local::running().await {
            let kubeconfig = tokio::fs::read_to_string(&running.kubeconfig).await.map_err(|error| {
                Error::new(ErrorKind::Unavailable, "the running cluster's kubeconfig can't be read")
                    .with_context("path", running.kubeconfig.display().to_string())
                    .with_source(error)
            })?;
            return options.manager(&Credentials::Kubeconfig(kubeconfig), (), Cloud::default()).await;
        }
        let mut own = ClusterOptions::default();
        let settings = &options.kubernetes;
        own.namespaces = vec![settings.namespace.clone()];
        own.service_accounts = vec![(settings.namespace.clone(), settings.service_account.clone())];
        let cluster = local::start(own).await?;
        let credentials = Credentials::Kubeconfig(cluster.kubeconfig());
        options.manager(&credentials, cluster, Cloud::default()).await
    }
}
