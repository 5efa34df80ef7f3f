use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;

use crate::{EnvironmentValue, ImageReference, Result};

/// Asks a registry whether it has an image.
#[async_trait]
pub trait ManifestProbe: fmt::Debug + Send + Sync + 'static {
    /// Asks for the image's digest. Whatever keeps it from an answer is [`Probe::Unknown`]: it never fails, and ends
    /// within a bounded time.
    ///
    /// Dropping the future stops the asking.
    async fn probe(&self, image: &ImageReference) -> Probe;
}

/// Whether a registry has an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It has, under this digest: algorithm, colon, hexadecimal digits.
    Found(String),
    /// It surely has not.
    Absent,
    /// Nobody can tell; why, as the middle of a sentence, without secrets. A refusal belongs here: it does not mean
    /// that there is no image.
    Unknown(String),
}

/// Makes a registry ready for an image that is going to be pushed to it.
#[async_trait]
pub trait RegistrySetup: fmt::Debug + Send + Sync + 'static {
    /// Makes the image's repository where the registry does not do so with the first push. One that is there already,
    /// or is made by another at the same time, is no error; neither is a right that is missing, as it may be there.
    ///
    /// # Errors
    /// What surely keeps the push from succeeding, with what to do about it.
    async fn ensure_repository(&self, image: &ImageReference) -> Result<()>;

    /// Plain variables that a builder needs to use the identity of its pod at this registry.
    fn builder_environment(&self, image: &ImageReference) -> BTreeMap<String, String>;

    /// Makes credentials for pushing the image, as the text of a docker `config.json`, always
    /// [`Secret`](EnvironmentValue::Secret). It is asked for builders that can't use the identity of their pod;
    /// `None` when there is nothing to add to what is configured.
    ///
    /// # Errors
    /// What keeps the credentials from being made.
    async fn docker_config(&self, image: &ImageReference) -> Result<Option<EnvironmentValue>>;
}

/// A registry that needs nothing of [`RegistrySetup`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct PlainRegistry;

impl PlainRegistry {
    /// Makes it.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RegistrySetup for PlainRegistry {
    async fn ensure_repository(&self, _image: &ImageReference) -> Result<()> {
        Ok(())
    }

    fn builder_environment(&self, _image: &ImageReference) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    async fn docker_config(&self, _image: &ImageReference) -> Result<Option<EnvironmentValue>> {
        Ok(None)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: ManifestProbe + ?Sized> ManifestProbe for Arc<P> {
    async fn probe(&self, image: &ImageReference) -> Probe {
        (**self).probe(image).await
    }
}
