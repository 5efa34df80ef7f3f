use std::{any::Any, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wm_config::{Family, KubernetesSection, Settings};
use wm_core::{ChunkStore, Error, ErrorKind, Result, WorkloadManager};
use wm_image::Reuse;
use wm_k8s::{
    Credentials, KubernetesSettings, KubernetesWorkloadManager, PlainSecrets, PodSecurity, connect,
};
use wm_logs::{Archive, ArchiveSettings, ArchivedWorkloadManager, FileChunkStore};

use super::AwsOptions;
use crate::images::{ImageOptions, Registries};

/// What a cloud puts in the place of what any cluster has.
#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) registries: Option<Registries>,
    /// Where logs are kept that outlive their pods.
    pub(crate) log_chunks: Option<Arc<dyn ChunkStore>>,
}

/// The options of the built-in implementation sources.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagerOptions {
    pub(crate) kubernetes: KubernetesSettings,
    /// The kubeconfig's context, unless it is the current one.
    #[serde(default)]
    pub(crate) context: Option<String>,
    /// The directory in which logs are kept that outlive their pods.
    #[serde(default)]
    pub(crate) log_archive: Option<PathBuf>,
    /// What only AWS needs.
    #[serde(default)]
    pub(crate) aws: AwsOptions,
    /// Where the images of runners come from.
    #[serde(default)]
    pub(crate) images: ImageOptions,
}

impl ManagerOptions {
    pub(crate) fn new(settings: &Settings) -> Self {
        let section = &settings.kubernetes;
        Self {
            kubernetes: kubernetes_settings(section),
            context: section.kubeconfig_context.clone(),
            log_archive: section.log_archive.as_ref().map(PathBuf::from),
            aws: AwsOptions::new(&settings.aws, section.enable_external_logs),
            images: ImageOptions::new(section),
        }
    }

    /// Reads the options back.
    pub(crate) fn parse(options: &Value) -> Result<Self> {
        serde_json::from_value(options.clone()).map_err(|error| {
            Error::new(
                ErrorKind::InvalidConfig,
                format!("the implementation's options can't be read: {error}"),
            )
        })
    }

    /// Checks what needs no cluster.
    pub(crate) fn check(&self) -> Result<()> {
        self.images.check()?;
        self.kubernetes.check()
    }

    /// How images are looked up by an implementation of this family.
    pub(crate) async fn registries(&self, family: Family) -> Result<Registries> {
        match family {
            Family::Aws => super::aws::registries(self).await,
            Family::Kubernetes | Family::Local | Family::Other => self.images.registries(),
        }
    }

    /// Makes the manager of a cluster, with the strategy for images and the archive of logs that the options choose;
    /// it keeps its companion.
    pub(crate) async fn manager(
        self,
        cluster: &Credentials,
        companion: impl Any + Send + Sync,
        cloud: Cloud,
    ) -> Result<Arc<dyn WorkloadManager>> {
        let client = connect(cluster).await?;
        let none = Arc::new(Reuse::new());
        let manager = KubernetesWorkloadManager::new(client, self.kubernetes, none).await?;
        let registries = cloud.registries.map_or_else(|| self.images.registries(), Ok)?;
        let strategy = self.images.strategy(manager.builds(), &registries)?;
        let manager = Arc::new(manager.with_images(strategy).keeping(companion));
        let directory = self.log_archive.map(|path| Arc::new(FileChunkStore::new(path)) as _);
        Ok(match cloud.log_chunks.or(directory) {
            None => manager,
            Some(store) => {
                let archive = Arc::new(Archive::new(store, ArchiveSettings::default()));
                Arc::new(ArchivedWorkloadManager::new(manager, archive))
            }
        })
    }

    pub(crate) fn credentials(&self) -> Credentials {
        self.context.clone().map_or(Credentials::Inferred, Credentials::Context)
    }
}

fn kubernetes_settings(section: &KubernetesSection) -> KubernetesSettings {
    let mut settings = KubernetesSettings::new(&section.namespace, &section.service_account);
    settings.pod_resources.clone_from(&section.pod_resources);
    settings.ttl_seconds_after_finished = section.ttl_seconds_after_finished;
    settings.node_selector.clone_from(&section.node_selector);
    settings.tolerations.clone_from(&section.tolerations);
    settings.job_backoff_limit = section.job_backoff_limit;
    settings.pod_failure_policy.clone_from(&section.pod_failure_policy);
    settings.image_pull_policy = section.image_pull_policy.map(|policy| policy.as_str().to_owned());
    settings.image_pull_secrets.clone_from(&section.image_pull_secrets);
    settings.pod_security = match section.pod_security {
        wm_config::PodSecurity::Auto => PodSecurity::Auto,
        wm_config::PodSecurity::Restricted => PodSecurity::Restricted,
        wm_config::PodSecurity::Baseline => PodSecurity::Baseline,
        wm_config::PodSecurity::None => PodSecurity::None,
    };
    settings.pod_template_patch = section.pod_template_patch.as_ref().map(|patch| patch.expose().clone());
    settings.termination_grace_period_seconds = section.termination_grace_period_seconds;
    settings.schedule_timeout_seconds = section.schedule_timeout_seconds;
    settings.start_timeout_seconds = section.start_timeout_seconds;
    settings.image_pull_grace_seconds = section.image_pull_grace_seconds;
    settings.plain_secrets = match section.plain_secrets {
        wm_config::PlainSecrets::Allow => PlainSecrets::Allow,
        wm_config::PlainSecrets::Refuse => PlainSecrets::Refuse,
    };
    settings
}
