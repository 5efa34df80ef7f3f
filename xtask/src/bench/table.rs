//! The figures of a round beside the bound and the targets.

use std::fmt::{self, Write as _};

use super::{
    counter::Counts,
    figures::{Figures, Idle, Spread},
    round::Round,
};

/// Other requests than writes, a run.
const OTHER_REQUESTS: f64 = 1.1;
/// From so many runs on, what is asked once for all no longer counts.
const MANY: usize = 50;
/// CPU time, as a multiple of the bound's.
const CPU: f64 = 2.5;
/// From the call to the accepted POST, as a multiple of the bound's.
const ACCEPTED: f64 = 3.0;
/// From the pod's end to the verdict, later than the bound, in milliseconds.
const DETECTED_LATER: f64 = 10.0;
/// Resident memory with `IN_FLIGHT` runs, in MiB.
const RESIDENT: f64 = 20.0;
const IN_FLIGHT: usize = 1000;

/// One figure, beside the bound where there is one.
pub(crate) struct Row {
    name: &'static str,
    launcher: String,
    bound: String,
    target: Option<Target>,
}

pub(crate) struct Target {
    pub(crate) text: String,
    pub(crate) met: bool,
}

impl Target {
    pub(crate) fn at_most(value: f64, most: f64) -> Self {
        Self { text: format!("at most {most}"), met: value <= most }
    }

    fn later_than_bound(value: f64, bound: f64, most: f64) -> Self {
        Self { text: format!("at most {most} later than bound"), met: value <= bound + most }
    }

    fn times_bound(value: f64, bound: f64, most: f64) -> Self {
        Self {
            text: format!("at most {most} x bound, is {:.1} x", value / bound),
            met: value <= most * bound,
        }
    }
}

/// Writes a round as a table.
pub(crate) fn table(round: Round, launcher: &Figures, bound: &Figures) -> String {
    let mut text = format!(
        "{} at once, {} runs, pods of {} s\n  {:<36}{:>18}{:>18}  target\n",
        round.at_once, round.runs, round.pod_seconds, "", "launcher", "bound"
    );
    for row in rows(round, launcher, bound) {
        // Writing to a String can't fail.
        let _infallible = writeln!(text, "{row}");
    }
    text.push_str(&requests("launcher", launcher));
    text.push_str(&requests("bound", bound));
    text
}

fn rows(round: Round, launcher: &Figures, bound: &Figures) -> Vec<Row> {
    let number = |name, value: fn(&Figures) -> f64| Row {
        name,
        launcher: format!("{:.2}", value(launcher)),
        bound: format!("{:.2}", value(bound)),
        target: None,
    };
    let text = |name, value: fn(&Figures) -> String| Row {
        name,
        launcher: value(launcher),
        bound: value(bound),
        target: None,
    };
    let mut rows = vec![
        number("writes a run", |side| side.writes_a_run)
            .target(Some(Target { text: "1".to_owned(), met: (launcher.writes_a_run - 1.0).abs() < 1e-9 })),
        number("other requests a run", |side| side.other_requests_a_run).target(
            (round.at_once >= MANY).then(|| Target::at_most(launcher.other_requests_a_run, OTHER_REQUESTS)),
        ),
        number("log streams a run", |side| side.log_streams_a_run),
        number("CPU, ms a run", |side| side.cpu_ms_a_run).target(Some(Target::times_bound(
            launcher.cpu_ms_a_run,
            bound.cpu_ms_a_run,
            CPU,
        ))),
        text("call to accepted, ms, p50 / p99", |side| spread(side.accepted_ms)).target(
            launcher
                .accepted_ms
                .zip(bound.accepted_ms)
                .map(|(launcher, bound)| Target::times_bound(launcher.p50, bound.p50, ACCEPTED)),
        ),
        text("pod's end to verdict, ms, p50 / p99", |side| spread(side.detected_ms)).target(
            launcher
                .detected_ms
                .zip(bound.detected_ms)
                .map(|(launcher, bound)| Target::later_than_bound(launcher.p50, bound.p50, DETECTED_LATER)),
        ),
        text("resident before -> peak, MiB", |side| {
            format!("{:.1} -> {:.1}", side.resident_before_mib, side.resident_peak_mib)
        }),
    ];
    if round.at_once >= MANY {
        rows.push(number("growth, KiB a run at once", |side| side.growth_kib_a_run));
    }
    // Only long pods leave a time in which there is nothing to do but wait.
    if let (Some(waiting), Some(bound)) = (&launcher.waiting, &bound.waiting) {
        rows.extend(waiting_rows(round, waiting, bound));
    }
    rows
}

/// All requests of a side, by verb.
fn requests(name: &str, side: &Figures) -> String {
    let before = if side.setup_requests.is_empty() {
        String::new()
    } else {
        format!("; before the first run {}", counts(&side.setup_requests))
    };
    format!("  requests of the {name}: {}{before}\n", counts(&side.requests))
}

fn waiting_rows(round: Round, launcher: &Idle, bound: &Idle) -> [Row; 4] {
    let row = |name, value: fn(&Idle) -> String| Row {
        name,
        launcher: value(launcher),
        bound: value(bound),
        target: None,
    };
    [
        row("waited for all, s", |side| format!("{:.1}", side.seconds)),
        row("requests while waiting", |side| side.total_requests().to_string())
            .target(Some(Target { text: "0".to_owned(), met: launcher.total_requests() == 0 })),
        row("CPU waiting, ms a run and minute", |side| format!("{:.2}", side.cpu_ms_a_run_and_minute)),
        row("resident with all in flight, MiB", |side| format!("{:.1}", side.resident_mib))
            .target((round.at_once >= IN_FLIGHT).then(|| Target::at_most(launcher.resident_mib, RESIDENT))),
    ]
}

impl Row {
    /// A figure for which there is no bound.
    pub(crate) fn alone(name: &'static str, value: String, target: Target) -> Self {
        Self { name, launcher: value, bound: String::new(), target: Some(target) }
    }

    fn target(mut self, target: Option<Target>) -> Self {
        self.target = target;
        self
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<36}{:>18}{:>18}", self.name, self.launcher, self.bound)?;
        match &self.target {
            Some(Target { text, met: true }) => write!(f, "  {text}: ok"),
            Some(Target { text, met: false }) => write!(f, "  {text}: MISSED"),
            None => Ok(()),
        }
    }
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |spread| spread.to_string())
}

fn counts(counts: &Counts) -> String {
    counts.iter().map(|(verb, count)| format!("{count} {verb}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{super::counter::Verb, *};

    fn figures(cpu: f64, resident: f64) -> Figures {
        Figures {
            runs: 1000,
            setup_requests: Counts::new(),
            requests: Counts::from([(Verb::Create, 1000), (Verb::Watch, 2)]),
            writes_a_run: 1.0,
            other_requests_a_run: 0.002,
            log_streams_a_run: 0.0,
            cpu_ms_a_run: cpu,
            resident_before_mib: 8.0,
            resident_peak_mib: resident,
            growth_kib_a_run: 7.0,
            accepted_ms: Spread::of(vec![3.0]),
            detected_ms: None,
            waiting: Some(Idle {
                seconds: 20.0,
                requests: Counts::new(),
                cpu_ms_a_run_and_minute: 0.1,
                resident_mib: resident,
            }),
        }
    }

    fn line(text: &str, name: &str) -> String {
        text.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned()
    }

    const ROUND: Round = Round { at_once: 1000, runs: 1000, pod_seconds: 60 };

    #[test]
    fn a_target_is_met_or_missed() {
        let text = table(ROUND, &figures(1.0, 25.0), &figures(0.5, 10.0));
        assert!(line(&text, "CPU, ms").ends_with("at most 2.5 x bound, is 2.0 x: ok"), "{text}");
        assert!(line(&text, "resident with all").ends_with("at most 20: MISSED"), "{text}");
        assert!(line(&text, "requests while").ends_with("0: ok"), "{text}");
    }

    #[test]
    fn the_end_of_a_pod_may_be_known_a_little_later_than_the_bound_knows_it() {
        let detected = |p50| Figures { detected_ms: Spread::of(vec![p50]), ..figures(1.0, 10.0) };
        for (launcher, target) in [(12.0, "ok"), (12.5, "MISSED")] {
            let text = table(ROUND, &detected(launcher), &detected(2.0));
            let line = line(&text, "pod's end");
            assert!(line.ends_with(&format!("at most 10 later than bound: {target}")), "{text}");
        }
    }

    #[test]
    fn what_is_asked_once_for_all_counts_only_among_many_runs() {
        let few = Round { at_once: 1, runs: 20, pod_seconds: 0 };
        let text = table(few, &figures(1.0, 10.0), &figures(1.0, 10.0));
        assert!(!line(&text, "other requests").contains("at most"), "{text}");
        assert!(!line(&text, "resident with all").contains("at most"), "{text}");
    }

    #[test]
    fn requests_are_listed_by_verb() {
        let text = table(ROUND, &figures(1.0, 10.0), &figures(1.0, 10.0));
        assert!(line(&text, "requests of the launcher").ends_with("1000 create, 2 watch"), "{text}");
        let mut asking = figures(1.0, 10.0);
        asking.setup_requests = Counts::from([(Verb::Review, 13)]);
        let text = table(ROUND, &asking, &figures(1.0, 10.0));
        assert!(
            line(&text, "requests of the launcher").ends_with("before the first run 13 review"),
            "{text}"
        );
    }
}
