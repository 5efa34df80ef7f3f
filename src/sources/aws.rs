use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wm_core::{Error, ErrorKind, ManagerFactory, Result, WorkloadManager};

/// Knows the AWS implementation's name, and says what this version lacks of it.
#[derive(Debug)]
pub(super) struct AwsFactory;

#[async_trait]
impl ManagerFactory for AwsFactory {
    fn environment_prefix(&self) -> Option<&str> {
        None
    }

    fn check(&self, _options: &Value) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "this version has no AWS implementation yet: it lacks images in ECR and logs in S3. On EKS the Kubernetes implementation runs today: set ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE to `kubernetes`, without external logs, with a runner image or the snapshots' own",
        ))
    }

    async fn build(&self, options: &Value) -> Result<Arc<dyn WorkloadManager>> {
        self.check(options)?;
        Err(Error::new(ErrorKind::Unexpected, "the check of the AWS options passed, which it never does"))
    }
}
