//! What is known of one run.

use std::{slice, sync::Arc};

use wm_core::{Outcome, Reason, RunStatus, Verdict};

use super::changes::Changed;
use crate::{
    diagnosis,
    event::EventView,
    record::Ended,
    status::status,
    view::{JobView, PodView},
};

#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) job: Option<JobView>,
    pub(super) pods: Vec<PodView>,
    /// The last pod that was deleted: its last state tells why the Job failed.
    pub(super) lost: Option<Box<PodView>>,
    /// What the cluster reported, of a run that was asked about. Boxed, since of most nobody asks.
    #[expect(clippy::box_collection, reason = "thousands of runs have none")]
    pub(super) events: Option<Box<Vec<EventView>>>,
    /// The Job was seen and is gone.
    pub(super) gone: bool,
    /// A caller of ours cancelled it.
    pub(super) cancelled: bool,
    /// Its waiting is watched over here.
    pub(super) cared_for: bool,
    /// Why we ended it, where its Job could not hold that.
    pub(super) ended: Option<Box<Ended>>,
    pub(super) changed: Option<Arc<Changed>>,
}

/// All that is known of a run that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunView<'a> {
    pub(crate) job: &'a JobView,
    pub(crate) pods: &'a [PodView],
    pub(crate) events: &'a [EventView],
}

/// The same, as somebody keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) job: JobView,
    pub(crate) pods: Vec<PodView>,
    pub(crate) events: Vec<EventView>,
}

impl Snapshot {
    pub(crate) fn view(&self) -> RunView<'_> {
        RunView { job: &self.job, pods: &self.pods, events: &self.events }
    }
}

impl Run {
    pub(super) fn view(&self) -> Option<RunView<'_>> {
        let job = self.job.as_ref().filter(|_| !self.gone)?;
        Some(RunView { job, pods: &self.pods, events: self.events() })
    }

    fn events(&self) -> &[EventView] {
        self.events.as_deref().map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn notify(&self) {
        if let Some(changed) = &self.changed {
            changed.tell();
        }
    }

    pub(super) fn status(&self) -> Option<RunStatus> {
        let job = self.job.as_ref()?;
        let pods = match &self.lost {
            Some(lost) if self.pods.is_empty() && job.is_finished() => slice::from_ref(lost.as_ref()),
            _ => &self.pods,
        };
        let now = status(job, pods, self.events());
        if !self.gone || now.phase.is_terminal() {
            return Some(now);
        }
        let ended = job.ended.as_deref().or(self.ended.as_deref());
        let verdict = if let Some(ended) = ended {
            let pod = self.pods.first().or(self.lost.as_deref());
            // Whether the pod of a Job that is gone began is not certain.
            ended.verdict(&[], diagnosis::evidence(job, pod, self.events()))
        } else if self.cancelled || job.cancelled {
            cancelled()
        } else {
            Verdict::new(
                Outcome::Failed,
                Reason::JobDeleted,
                "the Job was deleted before the runner had ended",
                format!(
                    "find out who deletes Jobs in the namespace: kubectl -n {} get events --field-selector involvedObject.name={}",
                    job.namespace, job.name
                ),
            )
        };
        Some(now.with_verdict(verdict))
    }

    pub(super) fn is_needless(&self) -> bool {
        // Each who follows holds it too.
        let unwatched = self.changed.as_ref().is_none_or(|changed| Arc::strong_count(changed) == 1);
        unwatched && self.pods.is_empty() && (self.gone || self.job.is_none())
    }
}

pub(crate) fn cancelled() -> Verdict {
    Verdict::new(Outcome::Cancelled, Reason::Cancelled, "the run was cancelled", "")
}
