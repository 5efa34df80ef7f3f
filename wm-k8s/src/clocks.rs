//! The clocks of a run that has not begun: how long it may take to get a machine, and then to start. Pure.
//!
//! They go by the times that the cluster writes, so that it changes nothing when a server restarts. The third clock,
//! how long the program may run, is the pod's own `activeDeadlineSeconds`, which the node keeps.

use std::time::Duration;

use jiff::Timestamp;
use wm_core::Reason;

use crate::{
    board::RunView,
    diagnosis::{Finding, Hindrance},
    settings::KubernetesSettings,
    status,
    view::PodPhase,
};

/// How long runs may wait. `None` is without end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// To have a machine.
    pub(crate) schedule: Option<Duration>,
    /// To begin, from then on.
    pub(crate) start: Option<Duration>,
    /// For an image whose pull fails in a way that may pass.
    pub(crate) image: Duration,
}

impl Limits {
    pub(crate) fn new(settings: &KubernetesSettings) -> Self {
        let seconds = |seconds: u32| (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        Self {
            schedule: seconds(settings.schedule_timeout_seconds),
            start: seconds(settings.start_timeout_seconds),
            image: Duration::from_secs(settings.image_pull_grace_seconds.into()),
        }
    }
}

/// The clock that goes for a run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    Schedule,
    Start,
}

/// Which clock goes for a run, and since when; none while it is suspended, gated, being ended, or has begun.
///
/// A scale-up that is under way begins the first clock anew, once: by the time of the first report of it.
pub(crate) fn running(run: RunView<'_>, opened: Option<Timestamp>) -> Option<(Clock, Timestamp)> {
    let job = run.job;
    if job.suspended || job.deleting || job.ended.is_some() || job.is_finished() {
        return None;
    }
    let accepted = job.started?;
    let Some(pod) = status::latest(run.pods) else { return Some((Clock::Schedule, accepted)) };
    if pod.phase != PodPhase::Pending || pod.deleting || pod.has_begun() {
        return None;
    }
    if pod.node.is_some() {
        return Some((Clock::Start, pod.scheduled.or(pod.created)?));
    }
    let is_gated =
        pod.condition("PodScheduled").is_some_and(|c| c.reason.as_deref() == Some("SchedulingGated"));
    if is_gated {
        return None;
    }
    let scale_up = run
        .events
        .iter()
        .filter(|event| {
            event.about.uid == pod.uid && matches!(event.reason(), "TriggeredScaleUp" | "Nominated")
        })
        .filter_map(crate::event::EventView::first)
        .min();
    let since = [pod.created, opened, scale_up].into_iter().flatten().fold(accepted, Timestamp::max);
    Some((Clock::Schedule, since))
}

impl Clock {
    pub(crate) fn limit(self, limits: &Limits) -> Option<Duration> {
        match self {
            Self::Schedule => limits.schedule,
            Self::Start => limits.start,
        }
    }

    /// Why a run ends whose time is over, with what it waited for.
    pub(crate) fn expired(self, limit: Duration, run: RunView<'_>, hindrance: Option<Hindrance>) -> Finding {
        let limit = limit.as_secs();
        let (lacked, reason, setting) = match self {
            Self::Schedule => {
                ("the run had no machine", Reason::ScheduleTimeout, "…_SCHEDULE_TIMEOUT_SECONDS")
            }
            Self::Start => ("the program had not begun", Reason::StartTimeout, "…_START_TIMEOUT_SECONDS"),
        };
        let longer = format!("let it wait longer ({setting}, now {limit})");
        let Some(hindrance) = hindrance else {
            let waited = match (self, status::latest(run.pods)) {
                (Self::Start, _) => "its image to be pulled and its container to be made",
                (Self::Schedule, None) => "the cluster to make its pod",
                (Self::Schedule, Some(_)) => "the scheduler to find a node for its pod",
            };
            let what = if run.pods.is_empty() { "job" } else { "pods -l job-name" };
            let separator = if run.pods.is_empty() { ' ' } else { '=' };
            let job = run.job;
            return Finding {
                reason,
                words: format!("{lacked} after {limit} seconds: it waited for {waited}"),
                advice: format!(
                    "see what the cluster says: kubectl -n {} describe {what}{separator}{}; or {longer}",
                    job.namespace, job.name
                ),
                passing: false,
            };
        };
        let Finding { reason, words, advice, .. } = hindrance.finding;
        Finding {
            reason,
            words: format!("{lacked} after {limit} seconds: {words}"),
            advice: format!("{advice}; or {longer}"),
            passing: false,
        }
    }
}

/// Why a run ends whose image could not be pulled in the time that passing trouble is given.
pub(crate) fn image_given_up(limit: Duration, hindrance: Hindrance) -> Finding {
    let Finding { reason, words, advice, .. } = hindrance.finding;
    let limit = limit.as_secs();
    Finding {
        reason,
        words: format!("the pull of the image failed for {limit} seconds: {words}"),
        advice: format!("{advice}; or let it try longer (…_IMAGE_PULL_GRACE_SECONDS, now {limit})"),
        passing: true,
    }
}
