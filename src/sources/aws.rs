//! The Kubernetes implementation with ECR for images and S3 for logs: composed of public parts alone, as another cloud
//! would be.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
#[cfg(feature = "aws")]
use wm_aws::AwsAccount;
use wm_config::AwsSection;
use wm_core::{Error, ErrorKind, ManagerFactory, Result, WorkloadManager};

use super::{Cloud, ManagerOptions};
use crate::images::Registries;

/// What only AWS needs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AwsOptions {
    region: Option<String>,
    /// The bucket of the external logs, if there are any.
    bucket: Option<String>,
    prefix: Option<String>,
    s3_endpoint: Option<String>,
    encryption: Option<Encryption>,
    create_repositories: bool,
}

/// How objects are encrypted.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Encryption {
    S3,
    Kms(Option<String>),
}

impl AwsOptions {
    pub(crate) fn new(section: &AwsSection, external_logs: bool) -> Self {
        let location = section.bucket.as_ref().filter(|_| external_logs);
        Self {
            region: section.region.clone(),
            bucket: location.map(|location| location.bucket.clone()),
            prefix: location.and_then(|location| location.prefix.clone()),
            s3_endpoint: section.s3_endpoint.clone(),
            encryption: section.s3_encryption.as_ref().map(|encryption| match encryption {
                wm_config::S3Encryption::S3 => Encryption::S3,
                wm_config::S3Encryption::Kms { key } => Encryption::Kms(key.clone()),
            }),
            create_repositories: section.create_repositories,
        }
    }
}

/// Makes the manager of a cluster on AWS.
#[derive(Debug)]
pub(super) struct AwsFactory;

#[async_trait]
impl ManagerFactory for AwsFactory {
    fn environment_prefix(&self) -> Option<&str> {
        None
    }

    fn check(&self, options: &Value) -> Result<()> {
        ManagerOptions::parse(options)?.check()?;
        if cfg!(feature = "aws") { Ok(()) } else { Err(unsupported()) }
    }

    async fn build(&self, options: &Value) -> Result<Arc<dyn WorkloadManager>> {
        let options = ManagerOptions::parse(options)?;
        let cloud = cloud(&options).await?;
        let cluster = options.credentials();
        options.manager(&cluster, (), cloud).await
    }
}

fn unsupported() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "this program was built without AWS: build it with the feature `aws`, which is on by default",
    )
}

/// Registries as AWS sees them: its own are asked in its own way.
#[cfg(feature = "aws")]
pub(crate) async fn registries(options: &ManagerOptions) -> Result<Registries> {
    registries_of(AwsAccount::load(options.aws.region.as_deref()).await, options)
}

#[cfg(feature = "aws")]
fn registries_of(account: AwsAccount, options: &ManagerOptions) -> Result<Registries> {
    use wm_aws::{Ecr, EcrSettings};

    let Registries { probe, setup } = options.images.registries()?;
    let create_repositories = options.aws.create_repositories;
    let settings = EcrSettings { create_repositories, ..EcrSettings::default() };
    let ecr = Arc::new(Ecr::new(account, settings, probe, setup));
    Ok(Registries { probe: Arc::clone(&ecr) as _, setup: ecr })
}

#[cfg(not(feature = "aws"))]
pub(crate) async fn registries(_options: &ManagerOptions) -> Result<Registries> {
    Err(unsupported())
}

#[cfg(feature = "aws")]
async fn cloud(options: &ManagerOptions) -> Result<Cloud> {
    use wm_aws::{S3ChunkStore, S3Encryption, S3Settings};
    use wm_core::ChunkStore;

    let own = options.aws.clone();
    let account = AwsAccount::load(own.region.as_deref()).await;
    let log_chunks = match own.bucket {
        None => None,
        Some(bucket) => {
            let mut settings = S3Settings::new(bucket);
            settings.prefix = own.prefix;
            settings.region = own.region;
            settings.endpoint = own.s3_endpoint;
            settings.encryption = own.encryption.map(|encryption| match encryption {
                Encryption::S3 => S3Encryption::S3,
                Encryption::Kms(key) => S3Encryption::Kms { key },
            });
            let store = S3ChunkStore::connect(&account, settings).await?;
            Some(Arc::new(store) as Arc<dyn ChunkStore>)
        }
    };
    Ok(Cloud { registries: Some(registries_of(account, options)?), log_chunks })
}

#[cfg(not(feature = "aws"))]
async fn cloud(_options: &ManagerOptions) -> Result<Cloud> {
    Err(unsupported())
}
