//! What is counted of runs: one table, and a function for each thing that happens.

use std::{fmt, time::Duration};

use metrics::{Unit, counter, gauge, histogram};
use tokio::time::Instant;
use wm_core::{
    Error, Metric, MetricKind, MetricUnit, Phase, ResolvedImage, Result, RunId, RunStatus, Submission,
    Verdict,
};

/// The metrics of the launcher.
pub(crate) const METRICS: &[Metric] = &[
    Metric::new(
        "wm_launches_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["decision"],
        "Launches, by what became of them: `admitted` to a slot, `queued`, `joined` to the same run in flight, `refused` with `QueueFull`.",
    ),
    Metric::new("wm_slots", MetricKind::Gauge, MetricUnit::Count, &[], "Slots that there are."),
    Metric::new(
        "wm_slots_in_use",
        MetricKind::Gauge,
        MetricUnit::Count,
        &[],
        "Slots in use. More than there are may run after a restart: runs that run already are counted without a turn.",
    ),
    Metric::new("wm_runs_queued", MetricKind::Gauge, MetricUnit::Count, &[], "Runs that wait for a slot."),
    Metric::new(
        "wm_queue_wait_seconds",
        MetricKind::Histogram,
        MetricUnit::Seconds,
        &[],
        "How long runs that had to wait did so for a slot.",
    ),
    Metric::new(
        "wm_image_seconds",
        MetricKind::Histogram,
        MetricUnit::Seconds,
        &["outcome"],
        "How long it took to find a run's image, by `found` or `failed`.",
    ),
    Metric::new(
        "wm_submit_seconds",
        MetricKind::Histogram,
        MetricUnit::Seconds,
        &["outcome"],
        "How long it took to submit a run, with all tries, by `created`, `adopted` or `failed`.",
    ),
    Metric::new(
        "wm_phase_changes_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["phase"],
        "Changes of a run's phase, by the phase that it came to: `held`, `pending`, `starting`, `running`, `stopping`, `succeeded`, `failed`, `cancelled`.",
    ),
    Metric::new(
        "wm_phase_seconds",
        MetricKind::Histogram,
        MetricUnit::Seconds,
        &["phase"],
        "How long runs were in a phase, once they have left it: `pending` is the wait for a machine, `starting` pulls the image, `running` is the program.",
    ),
    Metric::new(
        "wm_runs_finished_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["outcome", "reason"],
        "Runs that ended, by `succeeded`, `failed`, `cancelled`, and the reason of the verdict.",
    ),
    Metric::new(
        "wm_runs_given_up_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["error"],
        "Runs whose end is not known to the launcher, by the kind of the error that keeps it from knowing.",
    ),
    Metric::new(
        "wm_backend_retries_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["call"],
        "Calls of the backend that are made again after trouble: `resolve image`, `submit`, `release`, `watch`, `cancel`; and `start`, for each attempt that is made because the one before never began.",
    ),
    Metric::new(
        "wm_cancels_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["outcome"],
        "Wishes to stop a run: one `in line` is gone at once, of others stopping is `under way` or has `failed`.",
    ),
    Metric::new(
        "wm_log_messages_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["outcome"],
        "Messages of the launcher for a run's log: `kept`, `failed`, or `timed out`.",
    ),
];

/// All metrics that a launcher and the built-in backends emit.
///
/// They go to the recorder of the crate `metrics` that the process has installed; without one nothing is counted.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().chain(wm_k8s::METRICS)
}

/// Describes all metrics to the recorder that the process has installed. Call it once, behind the installation.
pub fn describe_metrics() {
    for metric in metrics() {
        let unit = match metric.unit {
            MetricUnit::Count => Unit::Count,
            MetricUnit::Seconds => Unit::Seconds,
            MetricUnit::Bytes => Unit::Bytes,
        };
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}

pub(crate) fn launched(decision: &'static str) {
    counter!("wm_launches_total", "decision" => decision).increment(1);
}

/// Something of which there are so many as long as this lives.
pub(crate) struct Counted {
    gauge: &'static str,
    number: f64,
}

impl Counted {
    pub(crate) fn slots(number: usize) -> Self {
        Self::new("wm_slots", f64::from(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    pub(crate) fn slot_in_use() -> Self {
        Self::new("wm_slots_in_use", 1.0)
    }

    pub(crate) fn queued() -> Self {
        Self::new("wm_runs_queued", 1.0)
    }

    fn new(gauge: &'static str, number: f64) -> Self {
        gauge!(gauge).increment(number);
        Self { gauge, number }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!(self.gauge).decrement(self.number);
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.gauge)
    }
}

pub(crate) fn waited(time: Duration) {
    histogram!("wm_queue_wait_seconds").record(time);
}

/// Passes on what a search for an image gave.
pub(crate) fn resolved(began: Instant, result: Result<ResolvedImage>) -> Result<ResolvedImage> {
    let outcome = if result.is_ok() { "found" } else { "failed" };
    histogram!("wm_image_seconds", "outcome" => outcome).record(began.elapsed());
    result
}

/// Passes on what a submission gave.
pub(crate) fn submitted(began: Instant, result: Result<Submission>) -> Result<Submission> {
    let outcome = match &result {
        Ok(submission) if submission.adopted => "adopted",
        Ok(_) => "created",
        Err(_) => "failed",
    };
    histogram!("wm_submit_seconds", "outcome" => outcome).record(began.elapsed());
    result
}

pub(crate) fn finished(verdict: &Verdict) {
    let (outcome, reason) = (verdict.outcome.to_string(), verdict.reason.to_string());
    counter!("wm_runs_finished_total", "outcome" => outcome, "reason" => reason).increment(1);
}

pub(crate) fn given_up(error: &Error) {
    counter!("wm_runs_given_up_total", "error" => format!("{:?}", error.kind())).increment(1);
}

pub(crate) fn retried(call: &'static str) {
    counter!("wm_backend_retries_total", "call" => call).increment(1);
}

pub(crate) fn cancelled(outcome: &'static str) {
    counter!("wm_cancels_total", "outcome" => outcome).increment(1);
}

pub(crate) fn messaged(outcome: &'static str) {
    counter!("wm_log_messages_total", "outcome" => outcome).increment(1);
}

/// Tells each change of a run's phase once: an event, and what is counted.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    now: Option<(Phase, Instant)>,
    is_silent: bool,
}

impl Phases {
    /// Tells nothing, since another task tells of the same run.
    pub(crate) fn of_another() -> Self {
        Self { now: None, is_silent: true }
    }

    /// Takes note of where the run is, which may be where it was.
    pub(crate) fn enter(&mut self, status: &RunStatus) {
        let phase = status.phase;
        if self.is_silent || self.now.is_some_and(|(before, _)| before == phase) {
            return;
        }
        if let Some((before, since)) = self.now.replace((phase, Instant::now())) {
            histogram!("wm_phase_seconds", "phase" => before.to_string()).record(since.elapsed());
        }
        counter!("wm_phase_changes_total", "phase" => phase.to_string()).increment(1);
        let RunId { workload, attempt, .. } = &status.run;
        if let Some(verdict) = &status.verdict {
            finished(verdict);
            tracing::info!(%workload, %attempt, %phase, reason = %verdict.reason, "Phase changed");
        } else {
            tracing::info!(%workload, %attempt, %phase, "Phase changed");
        }
    }
}
