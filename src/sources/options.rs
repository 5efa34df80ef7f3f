use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wm_config::{KubernetesSection, Settings};
use wm_core::{Error, ErrorKind, ImageReference, ImageStrategy, Result};
use wm_image::{Prebuilt, Reuse};
use wm_k8s::{Credentials, KubernetesSettings, PlainSecrets, PodSecurity};

/// The options of the built-in implementation sources.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagerOptions {
    pub(crate) kubernetes: KubernetesSettings,
    /// The kubeconfig's context, unless it is the current one.
    #[serde(default)]
    pub(crate) context: Option<String>,
    /// One image for all runs.
    #[serde(default)]
    pub(crate) runner_image: Option<String>,
    /// Whether images are to be built.
    #[serde(default)]
    pub(crate) build_runner_image: bool,
}

impl ManagerOptions {
    pub(crate) fn new(settings: &Settings) -> Self {
        let section = &settings.kubernetes;
        Self {
            kubernetes: kubernetes_settings(section),
            context: section.kubeconfig_context.clone(),
            runner_image: section.runner_image.clone(),
            build_runner_image: section.build_runner_image,
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
        self.images()?;
        self.kubernetes.check()
    }

    /// The strategy that the settings choose: build, then the runner image, then reuse.
    pub(crate) fn images(&self) -> Result<Arc<dyn ImageStrategy>> {
        if self.build_runner_image {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this version does not build runner images yet: set ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILD_RUNNER_IMAGE to false, and ZENML_KUBERNETES_WORKLOAD_MANAGER_RUNNER_IMAGE to an image that you built, or to nothing to reuse the snapshots' own",
            ));
        }
        match &self.runner_image {
            Some(image) => Ok(Arc::new(Prebuilt::new(image.parse::<ImageReference>()?))),
            None => Ok(Arc::new(Reuse::new())),
        }
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
