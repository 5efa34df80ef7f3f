//! One image on its way: looked for, built, looked for again. All who need it at the same time share it.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::sync::watch;
use wm_core::{Attempt, Error, ErrorKind, ImageReference, ImageRequest, Probe, Reason, Result};

use crate::{
    build::{Order, Workshop},
    failure::{BuildFailed, explain},
    jobs::{BuildEnd, BuildSubmission},
    plan::BuildPlan,
};

/// So many attempts of one build there may be at a time. Failed ones go when their Jobs do.
const MOST_ATTEMPTS: u32 = 100;
/// So often a build may vanish while somebody waits for it.
const MOST_LOSSES: u32 = 3;
/// A registry of several servers may know a new image a moment later.
const SETTLING: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// What all who wait for an image share. It does nothing by itself: whoever waits drives it, and when nobody does, the
/// build goes on where it runs.
#[derive(Debug)]
pub(crate) struct Flight {
    building: watch::Receiver<Option<Building>>,
    ended: Ended,
}

type Ended = Shared<BoxFuture<'static, Result<Landing, Failure>>>;

/// An attempt that is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Building {
    pub(crate) plan: Arc<BuildPlan>,
    pub(crate) attempt: Attempt,
    pub(crate) submission: BuildSubmission,
}

/// Whether there is anything to wait for.
enum Beginning {
    Exists(Landing),
    Building(Building),
}

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Landing {
    pub(crate) digest: Option<String>,
    pub(crate) how: How,
}

/// How an image came to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Before anybody asked.
    Before,
    /// By the build that was waited for.
    Built,
    /// By the build, as far as the builder says: the registry could not tell.
    Unconfirmed(String),
    /// By somebody else, while the build failed.
    Elsewhere(String),
}

impl How {
    /// The end of the sentence that begins with the image.
    pub(crate) fn sentence(&self, name: &ImageReference) -> String {
        match self {
            Self::Before => format!("it was built before, as {name}."),
            Self::Built => format!("it has been built, as {name}."),
            Self::Unconfirmed(why) => {
                format!("it has been built, as {name}; the registry does not confirm it: {why}.")
            }
            Self::Elsewhere(why) => format!(
                "it is there, as {name}, though the build failed ({why}); somebody else has pushed it."
            ),
        }
    }
}

/// Why there is no image, the same for all who waited.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Something could not be asked or done.
    Error(Arc<Error>),
    /// The build failed.
    Build(Arc<BuildFailed>),
}

impl Failure {
    /// An error for one of those who waited.
    pub(crate) fn to_error(&self, request: &ImageRequest) -> Error {
        match self {
            Self::Error(error) => again(error),
            Self::Build(failed) => failed.to_error(),
        }
        .with_context("workload", request.workload.as_str())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(Arc::new(error))
    }
}

/// The same error once more, as errors can't be cloned.
fn again(error: &Arc<Error>) -> Error {
    let mut copy = Error::new(error.kind(), error.message().to_owned()).with_retryable(error.is_retryable());
    if let Some(wait) = error.retry_after() {
        copy = copy.with_retry_after(wait);
    }
    copy = error.context().fold(copy, |copy, (key, value)| copy.with_context(key, value));
    copy.with_source(Arc::clone(error))
}

impl Flight {
    pub(crate) fn new(workshop: Arc<Workshop>, order: Order) -> Self {
        let (news, building) = watch::channel(None);
        let ended = async move { workshop.fly(&order, &news).await }.boxed().shared();
        Self { building, ended }
    }

    /// The attempts that are waited for, each as a change, from the first.
    pub(crate) fn building(&self) -> watch::Receiver<Option<Building>> {
        self.building.clone()
    }

    pub(crate) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.peek().is_some()
    }
}

impl Workshop {
    /// Finds the image, or builds it.
    async fn fly(&self, order: &Order, news: &watch::Sender<Option<Building>>) -> Result<Landing, Failure> {
        let image = &order.wanted.image;
        if let Probe::Found(digest) = self.probe.probe(image).await {
            return Ok(Landing { digest: Some(digest), how: How::Before });
        }
        self.registry.ensure_repository(image).await?;
        let plan = Arc::new(self.plan(order).await?);
        let mut losses = 0;
        loop {
            let building = match self.take_off(&plan).await? {
                Beginning::Exists(landing) => return Ok(landing),
                Beginning::Building(building) => building,
            };
            let attempt = building.attempt;
            news.send_replace(Some(building));
            match self.jobs.end(&plan.id, attempt).await {
                // Its Job was deleted, or is so old that its time was over.
                Err(error) if error.kind() == ErrorKind::NotFound && losses < MOST_LOSSES => {}
                Ok(end) if losses < losses_for(end.verdict.reason) => {}
                Ok(end) => return self.land(order, &plan, attempt, end).await,
                Err(error) => return Err(error.into()),
            }
            tracing::warn!(build = %plan.id, %attempt, "The build is lost, looking for its image");
            losses += 1;
            if let Probe::Found(digest) = self.probe.probe(image).await {
                return Ok(Landing { digest: Some(digest), how: How::Built });
            }
        }
    }

    /// Submits the first attempt that is not a matter of the past.
    async fn take_off(&self, plan: &Arc<BuildPlan>) -> Result<Beginning, Failure> {
        for attempt in (1..=MOST_ATTEMPTS).filter_map(Attempt::new) {
            let submission = self.jobs.submit(plan, attempt).await?;
            match submission {
                BuildSubmission::Created | BuildSubmission::Joined => {}
                BuildSubmission::Failed => continue,
                BuildSubmission::Succeeded => match self.settled(&plan.image).await {
                    Probe::Found(digest) => {
                        return Ok(Beginning::Exists(Landing { digest: Some(digest), how: How::Before }));
                    }
                    // Somebody has deleted the image since.
                    Probe::Absent => continue,
                    Probe::Unknown(_) => {}
                },
            }
            let plan = Arc::clone(plan);
            return Ok(Beginning::Building(Building { plan, attempt, submission }));
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the build has failed {MOST_ATTEMPTS} times in the time that its Jobs are kept; mend what the last one says, then delete them"
            ),
        )
        .with_context("image", plan.image.as_str())
        .with_context("build", plan.id.as_str())
        .into())
    }

    /// Concludes from a build's end what there is.
    async fn land(
        &self,
        order: &Order,
        plan: &BuildPlan,
        attempt: Attempt,
        end: BuildEnd,
    ) -> Result<Landing, Failure> {
        if !end.verdict.is_success() {
            let verdict = explain(end.verdict, &order.wanted);
            // Two clusters may build one image: the second push is refused where tags are immutable.
            if let Probe::Found(digest) = self.probe.probe(&plan.image).await {
                return Ok(Landing { digest: Some(digest), how: How::Elsewhere(verdict.message) });
            }
            return Err(Failure::Build(Arc::new(BuildFailed::new(plan, attempt, verdict))));
        }
        let why = match self.settled(&plan.image).await {
            Probe::Found(digest) => return Ok(Landing { digest: Some(digest), how: How::Built }),
            Probe::Absent => "it does not have the image".to_owned(),
            Probe::Unknown(why) => why,
        };
        tracing::warn!(image = %plan.image, why, "The registry does not confirm the image that was built");
        let digest = end.termination_message.as_deref().and_then(digest_of);
        Ok(Landing { digest, how: How::Unconfirmed(why) })
    }

    /// Asks a registry that should have an image by now. One that can't tell has been asked often enough by the probe, and
    /// is given one more chance.
    async fn settled(&self, image: &ImageReference) -> Probe {
        let mut probe = self.probe.probe(image).await;
        let mut unknown = 0;
        for wait in SETTLING {
            match probe {
                Probe::Found(_) => break,
                Probe::Unknown(_) if unknown > 0 => break,
                Probe::Unknown(_) => unknown += 1,
                Probe::Absent => {}
            }
            tokio::time::sleep(wait).await;
            probe = self.probe.probe(image).await;
        }
        probe
    }
}

/// How often a build is made again that ended for this reason: when the cluster took it away, which says nothing of the
/// build. An eviction may, if it is over what the build uses, so a second one counts.
fn losses_for(reason: Reason) -> u32 {
    match reason {
        Reason::JobDeleted
        | Reason::PodDeleted
        | Reason::Cancelled
        | Reason::Disrupted
        | Reason::NodeLost => MOST_LOSSES,
        Reason::Evicted => 1,
        _ => 0,
    }
}

/// The digest that a builder left, if it is one.
fn digest_of(message: &str) -> Option<String> {
    let digest = message.trim();
    let hex = digest.strip_prefix("sha256:")?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (hex.len() == 64 && hex.bytes().all(is_hex)).then(|| digest.to_owned())
}
