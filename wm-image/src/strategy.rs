use async_trait::async_trait;
use wm_core::{
    Capabilities, Error, ErrorKind, ImageReference, ImageRequest, ImageStrategy, ResolvedImage, Result,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
