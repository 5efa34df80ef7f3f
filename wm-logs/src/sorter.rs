//! From the records of a backend's log to lines with places, by the outputs that they are of.

use std::collections::HashMap;

use jiff::Timestamp;
use wm_core::{LogLine, LogOutput, LogPosition, LogRecord, LogSource, RunId};

/// Gives each record of a run its place, the same on every server that reads the same log.
#[derive(Debug)]
pub(crate) struct Sorter {
    run: RunId,
    /// The last place of each output.
    last: HashMap<LogOutput, LogPosition>,
}

impl Sorter {
    pub(crate) fn new(run: RunId) -> Self {
        Self { run, last: HashMap::new() }
    }

    /// Sorts records by their outputs, those first whose lines come first; what is of another attempt is left out.
    pub(crate) fn sort(&mut self, records: Vec<LogRecord>) -> Vec<(LogOutput, Vec<LogLine>)> {
        let mut sorted: Vec<(LogOutput, Vec<LogLine>)> = Vec::new();
        for record in records {
            let Some(output) = self.output(&record.source) else { continue };
            let position = self.place(&output, record.time);
            let line = LogLine { position, line: record.line, ended: record.ended };
            match sorted.iter_mut().find(|(known, _)| *known == output) {
                Some((_, lines)) => lines.push(line),
                None => sorted.push((output, vec![line])),
            }
        }
        sorted
    }

    /// A note about an output, before a line of it.
    pub(crate) fn note(&mut self, before: LogPosition, text: &str) -> (LogOutput, LogLine) {
        let output = LogOutput::manager(self.run.clone());
        let position = self.place(&output, Some(before.time));
        (output, LogLine { position, line: text.into(), ended: true })
    }

    fn output(&self, source: &LogSource) -> Option<LogOutput> {
        let LogSource::Output { attempt, instance, container, restart } = source else {
            return Some(LogOutput::manager(self.run.clone()));
        };
        if *attempt != self.run.attempt {
            return None;
        }
        let named = LogOutput::new(self.run.clone(), instance, container, *restart);
        let renamed = || LogOutput::new(self.run.clone(), legal(instance), legal(container), *restart);
        named.or_else(|_| renamed()).ok()
    }

    /// The place behind the last one. Where times go back a little, as those of two streams of a program do, the order
    /// is that in which they came.
    fn place(&mut self, output: &LogOutput, time: Option<Timestamp>) -> LogPosition {
        let last = self.last.get(output).copied();
        let place = match (time, last) {
            (Some(time), Some(last)) if time <= last.time => {
                LogPosition { time: last.time, count: last.count.saturating_add(1) }
            }
            (Some(time), _) => LogPosition { time, count: 1 },
            (None, Some(last)) => LogPosition { count: last.count.saturating_add(1), ..last },
            (None, None) => {
                // What has no time is told about what has one.
                let time = self.last.values().map(|place| place.time).max();
                LogPosition { time: time.unwrap_or_else(Timestamp::now), count: 1 }
            }
        };
        self.last.insert(output.clone(), place);
        place
    }
}

/// A name that can be part of a key.
fn legal(name: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = name.chars().take(250).map(|c| if is_legal(c) { c } else { '_' });
    format!("x-{}", name.collect::<String>())
}

#[cfg(test)]
mod tests {
    use wm_core::{Attempt, WorkloadKind};

    use super::*;

    fn record(second: Option<i64>, container: &str, text: &str) -> LogRecord {
        let source = LogSource::Output {
            attempt: Attempt::FIRST,
            instance: "pod".to_owned(),
            container: container.to_owned(),
            restart: 0,
        };
        LogRecord::new(second.map(|second| Timestamp::from_second(second).unwrap()), source, text)
    }

    fn sorter() -> Sorter {
        let run = RunId { workload: "w".parse().unwrap(), kind: WorkloadKind::Run, attempt: Attempt::FIRST };
        Sorter::new(run)
    }

    fn places(lines: &[LogLine]) -> Vec<(i64, u32)> {
        lines.iter().map(|line| (line.position.time.as_second(), line.position.count)).collect()
    }

    #[test]
    fn places_go_up_whatever_the_times_do() {
        let times = [Some(5), Some(5), Some(4), Some(5), Some(6), None];
        let records = times.into_iter().map(|second| record(second, "main", "x")).collect();
        let sorted = sorter().sort(records);
        assert_eq!(places(&sorted[0].1), [(5, 1), (5, 2), (5, 3), (5, 4), (6, 1), (6, 2)]);
    }

    #[test]
    fn each_output_is_counted_for_itself_whatever_comes_at_once() {
        let all = || {
            let mut records = vec![record(Some(1), "main", "a"), record(Some(1), "side", "b")];
            records.push(LogRecord::new(Some(Timestamp::from_second(1).unwrap()), LogSource::Manager, "c"));
            records.push(record(Some(1), "main", "d"));
            records
        };
        let sorted = sorter().sort(all());
        let told: Vec<_> = sorted.iter().map(|(output, lines)| (output.container(), places(lines))).collect();
        assert_eq!(told, [("main", vec![(1, 1), (1, 2)]), ("side", vec![(1, 1)]), ("", vec![(1, 1)])]);
        let mut one_by_one = sorter();
        let parts = all().into_iter().flat_map(|record| one_by_one.sort(vec![record]));
        let places_of: Vec<_> = parts.map(|(_, lines)| places(&lines)).collect();
        assert_eq!(places_of, [vec![(1, 1)], vec![(1, 1)], vec![(1, 1)], vec![(1, 2)]]);
    }

    #[test]
    fn other_attempts_are_left_out_and_odd_names_are_kept() {
        let mut other = record(Some(1), "main", "x");
        other.source = LogSource::Output {
            attempt: Attempt::new(2).unwrap(),
            instance: "pod".to_owned(),
            container: "main".to_owned(),
            restart: 0,
        };
        let sorted = sorter().sort(vec![other, record(Some(2), "a b", "y")]);
        assert_eq!(sorted.len(), 1);
        assert_eq!(sorted[0].0.container(), "x-a_b");
    }
}
