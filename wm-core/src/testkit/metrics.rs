//! Whether what is emitted is what a table of metrics says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Metric, MetricKind};

/// Compares the text of a Prometheus exporter with a table: each metric in it is in the table with these very labels,
/// and each of the table is in it, but for those that are named as `unseen`.
pub fn problems(text: &str, table: &[Metric], unseen: &[&str]) -> Vec<String> {
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut problems = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let name = ["_sum", "_count", "_bucket"]
            .iter()
            .find_map(|suffix| line[..end].strip_suffix(suffix).filter(|name| is_histogram(name, table)))
            .unwrap_or(&line[..end]);
        let labels =
            line[end..].strip_prefix('{').and_then(|rest| rest.rsplit_once('}')).map(|(labels, _)| labels);
        let labels: BTreeSet<_> = labels
            .into_iter()
            .flat_map(|labels| labels.split("\","))
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|label| !matches!(*label, "quantile" | "le"))
            .collect();
        match table.iter().find(|metric| metric.name == name) {
            None => problems.push(format!("{name} is not in the table")),
            Some(metric) if labels != metric.labels.iter().copied().collect() => {
                problems.push(format!("{name} has the labels {labels:?}, in the table {:?}", metric.labels));
            }
            Some(_) => {}
        }
        seen.entry(name).or_default().extend(labels);
    }
    for Metric { name, .. } in table {
        match (seen.contains_key(name), unseen.contains(name)) {
            (false, false) => problems.push(format!("{name} is never emitted")),
            (true, true) => problems.push(format!("{name} is emitted, and was said not to be")),
            _ => {}
        }
    }
    problems
}

fn is_histogram(name: &str, table: &[Metric]) -> bool {
    table.iter().any(|metric| metric.name == name && metric.kind == MetricKind::Histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MetricUnit;

    const TABLE: &[Metric] = &[
        Metric {
            name: "wm_a_total",
            kind: MetricKind::Counter,
            unit: MetricUnit::Count,
            labels: &["of"],
            help: "",
        },
        Metric {
            name: "wm_b_seconds",
            kind: MetricKind::Histogram,
            unit: MetricUnit::Seconds,
            labels: &[],
            help: "",
        },
    ];
    const GOOD: &str = "# TYPE wm_a_total counter\nwm_a_total{of=\"x, y\"} 1\n\nwm_b_seconds{quantile=\"0.5\"} 1\nwm_b_seconds_sum 1\nwm_b_seconds_count 1\n";

    #[test]
    fn what_is_emitted_as_the_table_says_is_no_problem() {
        assert_eq!(problems(GOOD, TABLE, &[]), [""; 0]);
    }

    #[test]
    fn each_difference_is_one() {
        for (text, unseen) in [
            (GOOD.replace("of=", "off="), &[][..]),
            (format!("{GOOD}wm_c 1\n"), &[]),
            (GOOD.lines().take(2).collect::<Vec<_>>().join("\n"), &[]),
            (GOOD.to_owned(), &["wm_a_total"]),
        ] {
            assert_eq!(problems(&text, TABLE, unseen).len(), 1, "{text}");
        }
    }
}
