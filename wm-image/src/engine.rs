//! What builds: each engine is a pod.

mod buildah;
mod buildkit;
mod kaniko;
mod pod;
#[cfg(test)]
mod pod_security;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;
use wm_core::ImageReference;

pub(crate) use crate::engine::pod::CREDENTIALS;
pub use crate::engine::{buildah::Buildah, buildkit::BuildKit, kaniko::Kaniko};
use crate::settings::{BuilderSettings, EngineName};

/// Makes an image of a Dockerfile in a pod.
///
/// The pod finds the Dockerfile in a file, pushes the image and leaves its digest as its termination message.
pub trait BuilderEngine: fmt::Debug + Send + Sync + 'static {
    /// Its name, as in the settings.
    fn name(&self) -> EngineName;

    /// The image of its builder, unless another is configured.
    fn default_image(&self) -> &'static str;

    /// Whether it gets credentials for registries from the identity of its pod.
    fn uses_pod_identity(&self) -> bool;

    /// The pod that builds.
    fn template(&self, work: &Work<'_>) -> Value;
}

/// What is to be built.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Work<'a> {
    /// What is pushed.
    pub image: &'a ImageReference,
    /// How it is made.
    pub dockerfile: &'a str,
    /// The settings of builders.
    pub settings: &'a BuilderSettings,
    /// Plain variables for the container.
    pub environment: &'a BTreeMap<String, String>,
    /// Whether the container finds a docker config with credentials in the variable `DOCKER_AUTH_CONFIG`.
    pub has_credentials: bool,
}

impl EngineName {
    /// The engine of this name.
    pub fn engine(self) -> Arc<dyn BuilderEngine> {
        match self {
            Self::Kaniko => Arc::new(Kaniko::new()),
            Self::BuildKit => Arc::new(BuildKit::new()),
            Self::Buildah => Arc::new(Buildah::new()),
        }
    }
}
