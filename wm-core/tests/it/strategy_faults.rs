//! Each rule of an image strategy is checked by a test that can fail.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use wm_core::{
    Capabilities, Error, ErrorKind, ImageReference, ImageRequest, ImageStrategy, ResolvedImage, Result,
    testkit::{StrategyHarness, strategy::CHECKS},
};

use crate::faults::prove;

mod healthy {
    wm_core::strategy_conformance!(super::Own { fault: None, needs: true });
}

/// Makes an image for each snapshot's, or all runs'; and can be told to do it wrong.
#[derive(Clone, Debug)]
struct Own {
    fault: Option<StrategyFault>,
    needs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StrategyFault {
    ServersDiffer,
    CallersDiffer,
    LackIsUnexpected,
    LackIsGuessed,
    ReasonNamesNothing,
    DroppedRequestBlocks,
    NameIsASentence,
    SaysMoreThanItsOwn,
}

#[derive(Debug)]
struct Strategy {
    own: Own,
    server: u32,
    calls: AtomicU32,
}

static SERVERS: AtomicU32 = AtomicU32::new(0);

#[async_trait]
impl StrategyHarness for Own {
    async fn strategy(&self) -> Arc<dyn ImageStrategy> {
        let server = SERVERS.fetch_add(1, Ordering::Relaxed);
        Arc::new(Strategy { own: self.clone(), server, calls: AtomicU32::new(0) })
    }

    fn snapshot_image(&self) -> ImageReference {
        "registry.example.com/app:1".parse().unwrap()
    }

    fn needs_snapshot_image(&self) -> bool {
        self.needs
    }
}

impl Strategy {
    fn has(&self, fault: StrategyFault) -> bool {
        self.own.fault == Some(fault)
    }
}

#[async_trait]
impl ImageStrategy for Strategy {
    fn name(&self) -> &'static str {
        if self.has(StrategyFault::NameIsASentence) { "My own" } else { "own" }
    }

    fn capabilities(&self) -> Capabilities {
        let cancel = self.has(StrategyFault::SaysMoreThanItsOwn);
        Capabilities { build_images: true, cancel, ..Capabilities::default() }
    }

    async fn resolve(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        let Some(snapshot) = &request.snapshot_image else {
            let kind = match self.own.fault {
                Some(StrategyFault::LackIsUnexpected) => ErrorKind::Unexpected,
                _ => ErrorKind::InvalidRequest,
            };
            if self.has(StrategyFault::LackIsGuessed) {
                return Ok(ResolvedImage::new("guessed".parse()?, "guessed"));
            }
            return Err(Error::new(kind, "the workload has no image")
                .with_context("workload", request.workload.as_str()));
        };
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.has(StrategyFault::DroppedRequestBlocks) && call > 0 {
            return Err(Error::new(ErrorKind::Unavailable, "somebody asks already"));
        }
        // Other callers come in between.
        tokio::task::yield_now().await;
        if self.has(StrategyFault::DroppedRequestBlocks) {
            self.calls.store(0, Ordering::Relaxed);
        }
        let tag = match self.own.fault {
            Some(StrategyFault::ServersDiffer) => self.server,
            Some(StrategyFault::CallersDiffer) => call,
            _ => 0,
        };
        let image = format!("{}/{}-own:{tag}", snapshot.registry().unwrap(), snapshot.repository());
        let named = if self.has(StrategyFault::ReasonNamesNothing) { "" } else { image.as_str() };
        let explanation = format!("Image {named}: made for the snapshot.");
        Ok(ResolvedImage::new(image.parse()?, explanation))
    }
}

const FAULTS: &[(&str, StrategyFault)] = &[
    ("the_same_request_gives_the_same_image", StrategyFault::ServersDiffer),
    ("concurrent_requests_give_the_same_image", StrategyFault::CallersDiffer),
    ("what_a_workload_lacks_is_asked_for", StrategyFault::LackIsUnexpected),
    ("what_a_workload_lacks_is_asked_for", StrategyFault::LackIsGuessed),
    ("an_image_comes_with_its_reason", StrategyFault::ReasonNamesNothing),
    ("a_dropped_request_can_be_made_again", StrategyFault::DroppedRequestBlocks),
    ("name_and_capabilities_are_its_own", StrategyFault::NameIsASentence),
    ("name_and_capabilities_are_its_own", StrategyFault::SaysMoreThanItsOwn),
];

#[tokio::test(start_paused = true)]
async fn each_check_catches_its_fault() {
    prove(CHECKS, FAULTS, |fault| Box::new(Own { fault, needs: true }) as Box<dyn StrategyHarness>).await;
}
