use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wm_config::{KubernetesSection, Settings};
use wm_core::{Error, ErrorKind, Result};
use wm_image::Reuse;
use wm_k8s::{
    Credentials, KubernetesSettings, KubernetesWorkloadManager, PlainSecrets, PodSecurity, connect,
};

use crate::images::ImageOptions;

/// The options of the built-in implementation sources.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagerOptions {
    pub(crate) kubernetes: KubernetesSettings,
    /// The kubeconfig's context, unless it is the current one.
    #[serde(default)]
    pub(crate) context: Option<String>,
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

    /// Makes the manager of a cluster, with the strategy for images that the options choose.
    pub(crate) async fn manager(self, cluster: &Credentials) -> Result<KubernetesWorkloadManager> {
        let client = connect(cluster).await?;
        let images = self.images;
        let none = Arc::new(Reuse::new());
        let manager = KubernetesWorkloadManager::new(client, self.kubernetes, none).await?;
        let strategy = images.strategy(manager.builds())?;
        Ok(manager.with_images(strategy))
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
