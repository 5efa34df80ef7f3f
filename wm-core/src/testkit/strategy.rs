//! The rules of [`ImageStrategy`].

use std::sync::Arc;

use async_trait::async_trait;
use futures::{FutureExt as _, future::join_all};

use super::{Check, assert_refused, id};
use crate::{
    Capabilities, ErrorKind, ImageReference, ImageRequest, ImageStrategy, ResolvedImage, WorkloadKind,
};

/// All checks.
pub const CHECKS: &[Check<dyn StrategyHarness>] = crate::__strategy_checks!(__checks);

/// Tells the kit how an image strategy is made, and what it needs.
#[async_trait]
pub trait StrategyHarness: Send + Sync {
    /// Makes the strategy, with the same settings each time, as several servers have it.
    async fn strategy(&self) -> Arc<dyn ImageStrategy>;

    /// An image that a workload's snapshot may have been built with.
    fn snapshot_image(&self) -> ImageReference;

    /// Whether a workload without a snapshot's image has what it needs.
    fn needs_snapshot_image(&self) -> bool;
}

fn request(harness: &dyn StrategyHarness, workload: &str) -> ImageRequest {
    ImageRequest::new(id(workload), WorkloadKind::Snapshot, Some(harness.snapshot_image()))
}

async fn resolve(strategy: &dyn ImageStrategy, request: &ImageRequest) -> ResolvedImage {
    strategy.resolve(request).await.expect("an image is found")
}

/// The same request gives the same image, on every server.
pub async fn the_same_request_gives_the_same_image(harness: &dyn StrategyHarness) {
    let request = request(harness, "same");
    let first = harness.strategy().await;
    let image = resolve(&*first, &request).await.image;
    for strategy in [first, harness.strategy().await] {
        assert_eq!(resolve(&*strategy, &request).await.image, image);
    }
}

/// Callers at the same time get the same image.
pub async fn concurrent_requests_give_the_same_image(harness: &dyn StrategyHarness) {
    let strategy = harness.strategy().await;
    let request = request(harness, "crowd");
    let images = join_all((0..20).map(|_| resolve(&*strategy, &request))).await;
    assert!(images.windows(2).all(|pair| pair[0].image == pair[1].image), "{images:?}");
}

/// What it needs and a workload lacks is asked for: `InvalidRequest`, with the workload named; else it has an image.
pub async fn what_a_workload_lacks_is_asked_for(harness: &dyn StrategyHarness) {
    let strategy = harness.strategy().await;
    let request = ImageRequest::new(id("bare"), WorkloadKind::Run, None);
    let answer = strategy.resolve(&request).await;
    if !harness.needs_snapshot_image() {
        answer.expect("a workload without a snapshot's image has what it needs");
        return;
    }
    let error = assert_refused(answer, ErrorKind::InvalidRequest, "a workload without a snapshot's image");
    assert!(error.to_string().contains("bare"), "it names the workload: {error}");
}

/// It says why it is that image, in a sentence that names it.
pub async fn an_image_comes_with_its_reason(harness: &dyn StrategyHarness) {
    let strategy = harness.strategy().await;
    let resolved = resolve(&*strategy, &request(harness, "why")).await;
    let explanation = &resolved.explanation;
    assert!(explanation.contains(resolved.image.as_str()), "it names the image: {explanation}");
    assert!(!explanation.trim().contains('\n'), "it is one line of the log: {explanation}");
}

/// A request that is dropped can be made again, and takes nothing from others.
pub async fn a_dropped_request_can_be_made_again(harness: &dyn StrategyHarness) {
    let strategy = harness.strategy().await;
    let request = request(harness, "dropped");
    let _dropped = strategy.resolve(&request).now_or_never();
    let image = resolve(&*strategy, &request).await.image;
    let mut other = Box::pin(resolve(&*strategy, &request));
    let early = (&mut other).now_or_never();
    let _dropped = strategy.resolve(&request).now_or_never();
    let same = match early {
        Some(same) => same,
        None => other.await,
    };
    assert_eq!(same.image, image);
}

/// Its name is one lower-case word, as in the settings, and its capabilities are about images alone.
pub async fn name_and_capabilities_are_its_own(harness: &dyn StrategyHarness) {
    let strategy = harness.strategy().await;
    let name = strategy.name();
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    assert!(!name.is_empty() && name.bytes().all(is_word), "the name is one lower-case word: {name:?}");
    assert_eq!(harness.strategy().await.name(), name);
    let can = strategy.capabilities();
    let about_images = Capabilities { build_images: can.build_images, ..Capabilities::default() };
    assert_eq!(can, about_images, "only what is about images is its to say");
}
