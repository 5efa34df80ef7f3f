//! What a side's report comes to, a run.

use std::{collections::HashMap, fmt};

use serde::Serialize;

use super::{
    counter::{Counts, Verb},
    recorder::{Report, Times, Waiting},
};

/// What one side needed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) runs: usize,
    /// Requests before the first run, once for all runs.
    pub(crate) setup_requests: Counts,
    pub(crate) requests: Counts,
    pub(crate) writes_a_run: f64,
    /// Neither writes nor log streams.
    pub(crate) other_requests_a_run: f64,
    pub(crate) log_streams_a_run: f64,
    pub(crate) cpu_ms_a_run: f64,
    pub(crate) resident_before_mib: f64,
    pub(crate) resident_peak_mib: f64,
    /// For each of the runs that were in flight at once.
    pub(crate) growth_kib_a_run: f64,
    /// From the call to the accepted POST, in milliseconds.
    pub(crate) accepted_ms: Option<Spread>,
    /// From the end of the pod to the verdict, in milliseconds; below zero when it was known here first.
    pub(crate) detected_ms: Option<Spread>,
    pub(crate) waiting: Option<Idle>,
}

/// What it took to wait for runs that were all in flight.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) seconds: f64,
    pub(crate) requests: Counts,
    pub(crate) cpu_ms_a_run_and_minute: f64,
    pub(crate) resident_mib: f64,
}

/// The middle and the far end of many measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Figures {
    /// Sums a report up; `pod_ends` tells when an observer saw each pod end.
    pub(crate) fn new(report: &Report, at_once: usize, pod_ends: &HashMap<String, u64>) -> Self {
        let runs = report.runs.len();
        let count = |wanted: fn(Verb) -> bool| {
            report.requests.iter().filter(|(verb, _)| wanted(**verb)).map(|(_, count)| count).sum::<u64>()
        };
        let detected = |(job, times): (&String, &Times)| {
            pod_ends.get(job).map(|&pod_end| milliseconds(pod_end, times.ended))
        };
        let growth = report.resident_peak.saturating_sub(report.resident_before);
        Self {
            runs,
            setup_requests: report.setup.clone(),
            requests: report.requests.clone(),
            writes_a_run: share(count(Verb::is_write), runs),
            other_requests_a_run: share(count(|verb| !verb.is_write() && verb != Verb::Log), runs),
            log_streams_a_run: share(count(|verb| verb == Verb::Log), runs),
            cpu_ms_a_run: share(report.cpu, runs) / 1000.0,
            resident_before_mib: mebibytes(report.resident_before),
            resident_peak_mib: mebibytes(report.resident_peak),
            growth_kib_a_run: share(growth, at_once),
            accepted_ms: Spread::of(
                report.runs.values().map(|times| milliseconds(times.called, times.accepted)).collect(),
            ),
            detected_ms: Spread::of(report.runs.iter().filter_map(detected).collect()),
            waiting: report.waiting.as_ref().map(|waiting| Idle::new(waiting, runs)),
        }
    }
}

impl Idle {
    fn new(waiting: &Waiting, runs: usize) -> Self {
        Self {
            seconds: waiting.seconds,
            requests: waiting.requests.clone(),
            cpu_ms_a_run_and_minute: share(waiting.cpu, runs) / 1000.0 / (waiting.seconds / 60.0),
            resident_mib: mebibytes(waiting.resident),
        }
    }

    pub(crate) fn total_requests(&self) -> u64 {
        self.requests.values().sum()
    }
}

impl Spread {
    /// Nearest ranks; `None` of nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let rank =
            |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { p50: rank(50)?, p99: rank(99)? })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1} / {:.1}", self.p50, self.p99))
    }
}

/// The counts are small enough to be exact.
#[expect(clippy::cast_precision_loss, reason = "counts, kibibytes and microseconds stay far below 2^52")]
fn share(total: u64, runs: usize) -> f64 {
    total as f64 / runs as f64
}

fn mebibytes(kibibytes: u64) -> f64 {
    share(kibibytes, 1024)
}

fn milliseconds(from: u64, to: u64) -> f64 {
    let forward = share(to.saturating_sub(from), 1000);
    forward - share(from.saturating_sub(to), 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let times = |accepted, ended| Times { called: 1_000_000, accepted, ended };
        Report {
            setup: Counts::from([(Verb::Review, 13)]),
            requests: Counts::from([(Verb::Create, 2), (Verb::List, 2), (Verb::Watch, 1), (Verb::Log, 2)]),
            cpu: 3000,
            resident_before: 10 * 1024,
            resident_peak: 10 * 1024 + 14,
            waiting: Some(Waiting {
                seconds: 30.0,
                requests: Counts::from([(Verb::Watch, 1)]),
                cpu: 500,
                resident: 2048,
            }),
            runs: HashMap::from([
                ("runner-a-1".to_owned(), times(1_002_000, 1_009_000)),
                ("runner-b-1".to_owned(), times(1_004_000, 1_010_500)),
            ]),
        }
    }

    fn figures() -> Figures {
        let pod_ends =
            HashMap::from([("runner-a-1".to_owned(), 1_008_000), ("runner-b-1".to_owned(), 1_011_000)]);
        Figures::new(&report(), 2, &pod_ends)
    }

    fn assert_near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
    }

    #[test]
    fn requests_are_shared_by_the_runs_and_log_streams_are_apart() {
        let figures = figures();
        assert_near(figures.writes_a_run, 1.0);
        assert_near(figures.other_requests_a_run, 1.5);
        assert_near(figures.log_streams_a_run, 1.0);
    }

    #[test]
    fn cpu_and_memory_are_shared_by_the_runs() {
        let figures = figures();
        assert_near(figures.cpu_ms_a_run, 1.5);
        assert_near(figures.resident_before_mib, 10.0);
        assert_near(figures.growth_kib_a_run, 7.0);
    }

    #[test]
    fn times_are_those_of_the_run_and_of_its_own_pod() {
        assert_eq!(figures().accepted_ms, Some(Spread { p50: 2.0, p99: 4.0 }));
        // The one was known a millisecond after the observer knew it, the other half a millisecond before.
        assert_eq!(figures().detected_ms, Some(Spread { p50: -0.5, p99: 1.0 }));
    }

    #[test]
    fn waiting_is_counted_by_the_minute() {
        let waiting = figures().waiting.unwrap();
        assert_eq!(waiting.total_requests(), 1);
        assert_near(waiting.cpu_ms_a_run_and_minute, 0.5);
        assert_near(waiting.resident_mib, 2.0);
    }

    #[test]
    fn a_spread_takes_nearest_ranks() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(Spread::of(hundred), Some(Spread { p50: 50.0, p99: 99.0 }));
        assert_eq!(Spread::of(vec![7.0]), Some(Spread { p50: 7.0, p99: 7.0 }));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
