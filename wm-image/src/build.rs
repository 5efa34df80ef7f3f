#[cfg(test)]
mod tests;
#[cfg(test)]
mod yard;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use wm_core::{
    Capabilities, EnvironmentValue, ImageReference, ImageRequest, ImageStrategy, ManifestProbe, Probe,
    RegistrySetup, ResolvedImage, Result, WorkloadId,
};

use crate::{
    engine::{BuilderEngine, Work},
    flight::{Building, Flight, Landing},
    jobs::{BuildSubmission, BuilderJobs},
    naming::Wanted,
    plan::{BuildId, BuildPlan, Fingerprint},
    settings::BuilderSettings,
};

/// Builds an image for each Dockerfile, once: whoever else needs it, on whatever server, waits for the same build.
///
/// A request that brings an image and nothing to build from has been here before: a server asks for the image first and
/// for the run with it then.
///
/// An image is named by the hash of its Dockerfile, so one that is in the registry already is taken as it is. When
/// nobody can tell whether it is, it is built: a registry that can't be asked fails no launch.
#[derive(Clone)]
pub struct Build {
    workshop: Arc<Workshop>,
}

/// What all builds of a strategy have in common.
pub(crate) struct Workshop {
    settings: BuilderSettings,
    engine: Arc<dyn BuilderEngine>,
    pub(crate) jobs: Arc<dyn BuilderJobs>,
    pub(crate) probe: Arc<dyn ManifestProbe>,
    pub(crate) registry: Arc<dyn RegistrySetup>,
    clock: fn() -> SystemTime,
    /// What is under way, by fingerprint. Those who wait for it own it.
    flights: Mutex<HashMap<String, Weak<Flight>>>,
}

/// One image to be had, and the name of the work of building it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) wanted: Wanted,
    pub(crate) id: BuildId,
    fingerprint: String,
}

impl Build {
    /// Makes the strategy.
    ///
    /// # Errors
    /// As [`BuilderSettings::check`].
    pub fn new(
        settings: BuilderSettings,
        jobs: Arc<dyn BuilderJobs>,
        probe: Arc<dyn ManifestProbe>,
        registry: Arc<dyn RegistrySetup>,
    ) -> Result<Self> {
        settings.check()?;
        let engine = settings.engine.engine();
        let (clock, flights) = (SystemTime::now as fn() -> SystemTime, Mutex::default());
        Ok(Self { workshop: Arc::new(Workshop { settings, engine, jobs, probe, registry, clock, flights }) })
    }

    /// The image of a request that comes with nothing to build another from: it is taken as it is, and nobody is asked.
    pub fn given(request: &ImageRequest) -> Option<ResolvedImage> {
        let (Some(image), None, None) = (&request.snapshot_image, &request.dockerfile, &request.requirements)
        else {
            return None;
        };
        let explanation = format!("Image {image}: it was given, with nothing to build another from.");
        Some(ResolvedImage::new(image.clone(), explanation))
    }

    /// Names the image of a request and the Dockerfile that it is built from, without looking whether it is there.
    ///
    /// # Errors
    /// `InvalidRequest` when there is nothing to build from, or no name to be made of what was given.
    pub fn name(&self, request: &ImageRequest) -> Result<(ImageReference, String)> {
        let Wanted { image, dockerfile } = self.workshop.order(request)?.wanted;
        Ok((image, dockerfile))
    }

    /// Looks whether the image of a request is there.
    ///
    /// # Errors
    /// As [`name`](Self::name).
    pub async fn probe(&self, request: &ImageRequest) -> Result<Probe> {
        let order = self.workshop.order(request)?;
        Ok(self.workshop.probe.probe(&order.wanted.image).await)
    }

    /// Shows what would build the image of a request.
    ///
    /// # Errors
    /// As [`name`](Self::name), and what keeps credentials from being made.
    pub async fn plan(&self, request: &ImageRequest) -> Result<BuildPlan> {
        let order = self.workshop.order(request)?;
        self.workshop.plan(&order).await
    }
}

impl Workshop {
    fn order(&self, request: &ImageRequest) -> Result<Order> {
        let wanted = Wanted::new(request, &self.settings, (self.clock)())?;
        let template = self.template(&wanted, false);
        let (id, fingerprint) = Fingerprint::new()
            .field(wanted.image.as_str())
            .field(&wanted.dockerfile)
            .field(self.engine.name().as_str())
            .field(&self.settings.timeout_seconds.to_string())
            .field(&template.to_string())
            .finish();
        Ok(Order { wanted, id, fingerprint })
    }

    fn template(&self, wanted: &Wanted, has_credentials: bool) -> serde_json::Value {
        let environment = self.registry.builder_environment(&wanted.image);
        self.engine.template(&Work {
            image: &wanted.image,
            dockerfile: &wanted.dockerfile,
            settings: &self.settings,
            environment: &environment,
            has_credentials,
        })
    }

    /// Whoever names a Secret with credentials has all that is needed in it.
    async fn credentials(&self, image: &ImageReference) -> Result<Option<EnvironmentValue>> {
        if self.engine.uses_pod_identity() || self.settings.docker_config_secret.is_some() {
            return Ok(None);
        }
        self.registry.docker_config(image).await
    }

    pub(crate) async fn plan(&self, order: &Order) -> Result<BuildPlan> {
        let credentials = self.credentials(&order.wanted.image).await?;
        let template = self.template(&order.wanted, credentials.is_some());
        Ok(BuildPlan {
            id: order.id.clone(),
            fingerprint: order.fingerprint.clone(),
            image: order.wanted.image.clone(),
            template,
            secrets: credentials
                .map(|config| (crate::engine::CREDENTIALS.to_owned(), config))
                .into_iter()
                .collect(),
            timeout: Duration::from_secs(self.settings.timeout_seconds.into()),
        })
    }

    /// The flight that is under way for this image, or a new one.
    fn flight(self: &Arc<Self>, order: Order) -> Arc<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| flight.strong_count() > 0);
        let fingerprint = order.fingerprint.clone();
        // One that has ended tells of the past.
        if let Some(flight) =
            flights.get(&fingerprint).and_then(Weak::upgrade).filter(|flight| !flight.has_ended())
        {
            return flight;
        }
        let flight = Arc::new(Flight::new(Arc::clone(self), order));
        flights.insert(fingerprint, Arc::downgrade(&flight));
        flight
    }

    /// Says what is waited for and joins its log to the workload's. The log is not worth a launch.
    async fn tell(&self, workload: &WorkloadId, name: &ImageReference, building: &Building) {
        let Building { plan, attempt, submission } = building;
        let message = match submission {
            BuildSubmission::Created => {
                format!(
                    "Building image {name} with {} (build {}, attempt {attempt}).",
                    self.engine.name(),
                    plan.id
                )
            }
            _ => format!(
                "Image {name} is being built already: waiting for build {}, attempt {attempt}.",
                plan.id
            ),
        };
        if let Err(error) = self.jobs.log(workload, &message).await {
            tracing::warn!(%workload, %error, "A message could not be added to the log");
        }
        if let Err(error) = self.jobs.include(workload, &plan.id, *attempt).await {
            tracing::warn!(%workload, build = %plan.id, %error, "The build's log could not be added to the log");
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ImageStrategy for Build {
    fn name(&self) -> &'static str {
        "build"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { build_images: true, ..Capabilities::default() }
    }

    async fn resolve(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        if let Some(given) = Self::given(request) {
            return Ok(given);
        }
        let order = self.workshop.order(request)?;
        let name = order.wanted.image.clone();
        let flight = self.workshop.flight(order);
        let (mut building, mut ended) = (flight.building(), flight.ended());
        let landing = loop {
            tokio::select! {
                biased;
                // When there is no more to come, the end has come too.
                Ok(()) = building.changed() => {
                    let news = building.borrow_and_update().clone();
                    if let Some(news) = news {
                        self.workshop.tell(&request.workload, &name, &news).await;
                    }
                }
                landing = &mut ended => break landing,
            }
        };
        let landing = landing.map_err(|failure| failure.to_error(request))?;
        resolved(&name, &landing)
    }
}

fn resolved(name: &ImageReference, landing: &Landing) -> Result<ResolvedImage> {
    let image = match &landing.digest {
        Some(digest) => name.with_digest(digest)?,
        None => name.clone(),
    };
    let explanation = format!("Image {image}: {}", landing.how.sentence(name));
    Ok(ResolvedImage::new(image, explanation))
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.workshop, f)
    }
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Build")
            .field("settings", &self.settings)
            .field("jobs", &self.jobs)
            .field("probe", &self.probe)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}
