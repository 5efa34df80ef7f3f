//! The way to a runner's image: which strategy, and the cluster's part in building.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wm_config::KubernetesSection;
use wm_core::{
    Attempt, Error, ErrorKind, ImageReference, ImageRequest, ImageStrategy, ManifestProbe, PlainRegistry,
    RegistrySetup, ResolvedImage, Result, WorkloadId,
};
use wm_image::{
    Build, BuildEnd, BuildId, BuildPlan, BuildSubmission, BuilderJobs, BuilderSettings, EngineName, Mirror,
    Pinned, Prebuilt, RegistryCredentials, RegistryProbe, Reuse,
};
use wm_k8s::{BuildRequest, Builds};

/// How images are looked up, and how registries are made ready for them.
#[derive(Clone, Debug)]
pub(crate) struct Registries {
    pub(crate) probe: Arc<dyn ManifestProbe>,
    pub(crate) setup: Arc<dyn RegistrySetup>,
}

/// Where the images of runners come from: build, then the runner image, then reuse.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageOptions {
    /// How images are built, if they are.
    #[serde(default)]
    builder: Option<BuilderSettings>,
    /// One image for all runs.
    #[serde(default)]
    runner_image: Option<ImageReference>,
    /// Whether an image that is not built is named by its digest.
    #[serde(default)]
    pin_digests: bool,
    /// The registries, `host[:port]`, that are asked over plain HTTP.
    #[serde(default)]
    plain_http_registries: Vec<String>,
    /// A docker `config.json` with the server's own credentials.
    #[serde(default)]
    docker_config: Option<PathBuf>,
}

impl ImageOptions {
    pub(crate) fn new(section: &KubernetesSection) -> Self {
        let builder = section.docker_registry.as_ref().filter(|_| section.build_runner_image);
        Self {
            builder: builder.map(|registry| builder_settings(registry, section)),
            // What the table has checked parses.
            runner_image: section.runner_image.as_ref().and_then(|image| image.parse().ok()),
            pin_digests: section.pin_image_digests,
            plain_http_registries: section.plain_http_registries.clone(),
            docker_config: section.docker_config_file.as_ref().map(PathBuf::from),
        }
    }

    /// Checks what needs no cluster and no registry.
    pub(crate) fn check(&self) -> Result<()> {
        self.builder.as_ref().map_or(Ok(()), BuilderSettings::check)
    }

    /// The strategy, which builds where `builds` says.
    pub(crate) fn strategy(&self, builds: Builds, at: &Registries) -> Result<Arc<dyn ImageStrategy>> {
        if let Some(build) = self.build(Arc::new(ClusterBuilds(builds)), at)? {
            return Ok(Arc::new(build));
        }
        let strategy = self.unbuilt();
        if self.pin_digests {
            return Ok(Arc::new(Pinned::new(strategy, Arc::clone(&at.probe))));
        }
        Ok(strategy)
    }

    /// The strategy that builds, if that is what is chosen.
    pub(crate) fn build(&self, jobs: Arc<dyn BuilderJobs>, at: &Registries) -> Result<Option<Build>> {
        let Some(settings) = &self.builder else { return Ok(None) };
        let build = Build::new(settings.clone(), jobs, Arc::clone(&at.probe), Arc::clone(&at.setup))?;
        Ok(Some(build))
    }

    /// Tells the image of a request without asking anybody.
    pub(crate) async fn name(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        let Some(build) = self.build(Arc::new(NoCluster), &self.registries()?)? else {
            return self.unbuilt().resolve(request).await;
        };
        if let Some(given) = Build::given(request) {
            return Ok(given);
        }
        let (image, _) = build.name(request)?;
        let explanation = format!("Image {image}: it is built on demand.");
        Ok(ResolvedImage::new(image, explanation))
    }

    /// Shows what would build the image of a request; `None` where images are not built.
    pub(crate) async fn plan(&self, request: &ImageRequest) -> Result<Option<PlannedBuild>> {
        let Some(build) = self.build(Arc::new(NoCluster), &self.registries()?)? else { return Ok(None) };
        let BuildPlan { id, image, template, .. } = build.plan(request).await?;
        Ok(Some(PlannedBuild { id: self::id(&id)?, image, pod: template }))
    }

    /// Registries as any client sees them, with the server's own credentials.
    pub(crate) fn registries(&self) -> Result<Registries> {
        let file = self.docker_config.clone().or_else(usual_docker_config);
        let credentials = file.map_or(RegistryCredentials::Anonymous, RegistryCredentials::DockerConfig);
        let probe = RegistryProbe::new(credentials, self.plain_http_registries.clone())?;
        Ok(Registries { probe: Arc::new(probe), setup: Arc::new(PlainRegistry::new()) })
    }

    fn unbuilt(&self) -> Arc<dyn ImageStrategy> {
        match &self.runner_image {
            Some(image) => Arc::new(Prebuilt::new(image.clone())),
            None => Arc::new(Reuse::new()),
        }
    }
}

/// What would build an image.
#[derive(Clone, Debug)]
pub struct PlannedBuild {
    /// What the build is called; its log is read under this id.
    pub id: WorkloadId,
    /// What is pushed.
    pub image: ImageReference,
    /// The pod, as a Kubernetes `PodTemplateSpec`.
    pub pod: Value,
}

fn builder_settings(registry: &str, section: &KubernetesSection) -> BuilderSettings {
    let own = &section.builder;
    let mut settings = BuilderSettings::new(registry);
    settings.engine = match own.engine {
        wm_config::BuilderEngine::Kaniko => EngineName::Kaniko,
        wm_config::BuilderEngine::BuildKit => EngineName::BuildKit,
        wm_config::BuilderEngine::Buildah => EngineName::Buildah,
    };
    // What the table has checked parses.
    let image = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
    settings.image = image(&own.image);
    settings.resources.clone_from(&own.resources);
    settings.timeout_seconds = own.timeout_seconds;
    settings.service_account.clone_from(&own.service_account);
    settings.docker_config_secret.clone_from(&own.docker_config_secret);
    settings.cache_repository = image(&own.cache_repository);
    settings.platform = own.platform.as_ref().and_then(|text| text.parse().ok());
    settings.ca_bundle_config_map.clone_from(&own.ca_bundle_config_map);
    let mirrors = own.mirrors.iter().cloned();
    settings.mirrors =
        mirrors.map(|wm_config::Mirror { registry, location }| Mirror { registry, location }).collect();
    settings.plain_http_registries.clone_from(&section.plain_http_registries);
    settings.rebuild_salt.clone_from(&own.rebuild_salt);
    settings.maximum_age_seconds = own.maximum_age_seconds.map(u64::from);
    settings
}

/// Where docker, and whatever follows it, keeps a user's credentials.
fn usual_docker_config() -> Option<PathBuf> {
    let directory = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let directory = directory.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
    Some(directory.join("config.json"))
}

/// The builds of a cluster, as the strategy sees them.
#[derive(Debug)]
struct ClusterBuilds(Builds);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl BuilderJobs for ClusterBuilds {
    async fn submit(&self, plan: &BuildPlan, attempt: Attempt) -> Result<BuildSubmission> {
        let request = BuildRequest {
            id: id(&plan.id)?,
            attempt,
            fingerprint: plan.fingerprint.clone(),
            template: plan.template.clone(),
            secrets: plan.secrets.clone(),
            timeout: plan.timeout,
        };
        Ok(match self.0.submit(&request).await? {
            None => BuildSubmission::Created,
            Some(status) => match status.verdict {
                None => BuildSubmission::Joined,
                Some(verdict) if verdict.is_success() => BuildSubmission::Succeeded,
                Some(_) => BuildSubmission::Failed,
            },
        })
    }

    async fn end(&self, build: &BuildId, attempt: Attempt) -> Result<BuildEnd> {
        let (verdict, message) = self.0.end(&id(build)?, attempt).await?;
        Ok(BuildEnd::new(verdict, message))
    }

    async fn include(&self, workload: &WorkloadId, build: &BuildId, attempt: Attempt) -> Result<()> {
        self.0.include(workload, &id(build)?, attempt).await
    }

    async fn log(&self, workload: &WorkloadId, message: &str) -> Result<()> {
        self.0.log(workload, message).await
    }
}

fn id(build: &BuildId) -> Result<WorkloadId> {
    WorkloadId::new(build.as_str())
}

/// No cluster: enough to name images and to print what would build them.
#[derive(Debug)]
pub(crate) struct NoCluster;

impl NoCluster {
    fn refusal() -> Error {
        Error::new(ErrorKind::Unsupported, "nothing can be built without a cluster")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl BuilderJobs for NoCluster {
    async fn submit(&self, _plan: &BuildPlan, _attempt: Attempt) -> Result<BuildSubmission> {
        Err(Self::refusal())
    }

    async fn end(&self, _build: &BuildId, _attempt: Attempt) -> Result<BuildEnd> {
        Err(Self::refusal())
    }

    async fn include(&self, _workload: &WorkloadId, _build: &BuildId, _attempt: Attempt) -> Result<()> {
        Err(Self::refusal())
    }

    async fn log(&self, _workload: &WorkloadId, _message: &str) -> Result<()> {
        Err(Self::refusal())
    }
}
