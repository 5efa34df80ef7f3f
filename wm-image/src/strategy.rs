use std::sync::Arc;

use async_trait::async_trait;
use wm_core::{
    Capabilities, Error, ErrorKind, ImageReference, ImageRequest, ImageStrategy, ManifestProbe, Probe,
    ResolvedImage, Result,
};

/// Starts each runner from the image that its snapshot was built with, unchanged.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Reuse;

impl Reuse {
    /// Makes the strategy.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ImageStrategy for Reuse {
    fn name(&self) -> &'static str {
        "reuse"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn resolve(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        let image = request.snapshot_image.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidRequest,
                "the workload's snapshot names no image to reuse; run a snapshot that has a container image, or configure a runner image",
            )
            .with_context("workload", request.workload.as_str())
        })?;
        let explanation = format!("Image {image}: the snapshot's own is reused.");
        Ok(ResolvedImage::new(image, explanation))
    }
}

/// Starts every runner from one image that somebody built before.
#[derive(Clone, Debug)]
pub struct Prebuilt {
    image: ImageReference,
}

impl Prebuilt {
    /// Makes the strategy for an image.
    pub fn new(image: ImageReference) -> Self {
        Self { image }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ImageStrategy for Prebuilt {
    fn name(&self) -> &'static str {
        "prebuilt"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn resolve(&self, _request: &ImageRequest) -> Result<ResolvedImage> {
        let explanation = format!("Image {}: the prebuilt one is configured for all runs.", self.image);
        Ok(ResolvedImage::new(self.image.clone(), explanation))
    }
}

/// Names the image that another strategy chooses by the digest that its registry has for it now, so that what ran can be
/// told later.
///
/// When the registry can't tell, the image stays as it was named.
#[derive(Clone, Debug)]
pub struct Pinned {
    strategy: Arc<dyn ImageStrategy>,
    probe: Arc<dyn ManifestProbe>,
}

impl Pinned {
    /// Pins what a strategy chooses.
    pub fn new(strategy: Arc<dyn ImageStrategy>, probe: Arc<dyn ManifestProbe>) -> Self {
        Self { strategy, probe }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ImageStrategy for Pinned {
    fn name(&self) -> &'static str {
        self.strategy.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.strategy.capabilities()
    }

    async fn resolve(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        let resolved = self.strategy.resolve(request).await?;
        let image = &resolved.image;
        if image.digest().is_some() {
            return Ok(resolved);
        }
        let explanation = resolved.explanation.trim_end_matches('.');
        match self.probe.probe(image).await {
            Probe::Found(digest) => {
                let pinned = image.with_digest(&digest)?;
                let explanation = format!("{explanation}, pinned to {pinned}.");
                Ok(ResolvedImage::new(pinned, explanation))
            }
            Probe::Absent => {
                let explanation = format!("{explanation}; not pinned, as its registry does not have it.");
                Ok(ResolvedImage::new(image.clone(), explanation))
            }
            Probe::Unknown(why) => {
                let explanation = format!("{explanation}; not pinned, as nobody can tell its digest: {why}.");
                Ok(ResolvedImage::new(image.clone(), explanation))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wm_core::{WorkloadId, WorkloadKind, testkit::StrategyHarness};

    use super::*;

    /// A strategy as the conformance kit makes it.
    struct Harness {
        strategy: Arc<dyn ImageStrategy>,
        needs_snapshot_image: bool,
    }

    #[async_trait]
    impl StrategyHarness for Harness {
        async fn strategy(&self) -> Arc<dyn ImageStrategy> {
            Arc::clone(&self.strategy)
        }

        fn snapshot_image(&self) -> ImageReference {
            "r.io/a:1".parse().unwrap()
        }

        fn needs_snapshot_image(&self) -> bool {
            self.needs_snapshot_image
        }
    }

    mod reuse {
        use super::*;

        wm_core::strategy_conformance!(Harness {
            strategy: Arc::new(Reuse::new()),
            needs_snapshot_image: true
        });
    }

    mod prebuilt {
        use super::*;

        wm_core::strategy_conformance!(Harness {
            strategy: Arc::new(Prebuilt::new("r.io/runner:2".parse().unwrap())),
            needs_snapshot_image: false,
        });
    }

    /// A registry that has one image, or does not tell.
    #[derive(Debug)]
    struct Registry(Probe);

    #[async_trait]
    impl ManifestProbe for Registry {
        async fn probe(&self, image: &ImageReference) -> Probe {
            assert_eq!(image.digest(), None, "a digest needs no question");
            self.0.clone()
        }
    }

    fn pinned(probe: Probe) -> Pinned {
        Pinned::new(Arc::new(Reuse::new()), Arc::new(Registry(probe)))
    }

    fn digest() -> String {
        format!("sha256:{}", "0".repeat(64))
    }

    mod pinning {
        use super::*;

        wm_core::strategy_conformance!(Harness {
            strategy: Arc::new(pinned(Probe::Found(digest()))),
            needs_snapshot_image: true
        });
    }

    #[tokio::test]
    async fn pinning_names_the_digest_if_it_is_known() {
        let by_digest = format!("r.io/a@{}", digest());
        let tagged = request(Some("r.io/a:1"));
        let resolved = pinned(Probe::Found(digest())).resolve(&tagged).await.unwrap();
        assert_eq!(resolved.image.as_str(), by_digest);
        for (probe, why) in
            [(Probe::Absent, "does not have it"), (Probe::Unknown("it is down".to_owned()), "it is down")]
        {
            let resolved = pinned(probe.clone()).resolve(&tagged).await.unwrap();
            assert_eq!(resolved.image.as_str(), "r.io/a:1", "nobody's trouble fails a launch");
            assert!(resolved.explanation.contains(why), "{}", resolved.explanation);
            let fixed = pinned(probe).resolve(&request(Some(&by_digest))).await.unwrap();
            assert_eq!(fixed.image.as_str(), by_digest);
        }
    }

    fn request(image: Option<&str>) -> ImageRequest {
        let image = image.map(|image| image.parse().unwrap());
        ImageRequest::new(WorkloadId::new("w").unwrap(), WorkloadKind::Snapshot, image)
    }

    #[tokio::test]
    async fn reuse_takes_the_snapshots_image_unchanged() {
        let resolved = Reuse::new().resolve(&request(Some("r.io/a:1"))).await.unwrap();
        assert_eq!(resolved.image.as_str(), "r.io/a:1");
    }

    #[tokio::test]
    async fn reuse_without_an_image_says_what_to_do() {
        let error = Reuse::new().resolve(&request(None)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.message().contains("configure a runner image"), "{error}");
    }

    #[tokio::test]
    async fn prebuilt_wins_over_the_snapshots_image() {
        let strategy = Prebuilt::new("r.io/runner:2".parse().unwrap());
        let resolved = strategy.resolve(&request(Some("r.io/a:1"))).await.unwrap();
        assert_eq!(resolved.image.as_str(), "r.io/runner:2");
    }
}
