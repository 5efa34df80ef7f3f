use std::fmt::{self, Write as _};

/// Describes a metric, for whoever collects it and for the documents. What counts it is the emitting crate's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, which begins with `wm_`.
    pub name: &'static str,
    /// How its values are to be read.
    pub kind: MetricKind,
    /// In what it is measured; plain numbers count things.
    pub unit: MetricUnit,
    /// The names of its labels, each of which has few values.
    pub labels: &'static [&'static str],
    /// What it tells, as one sentence, with the values of its labels.
    pub help: &'static str,
}

impl Metric {
    /// Describes one, as a row of a table.
    pub const fn new(
        name: &'static str,
        kind: MetricKind,
        unit: MetricUnit,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind, unit, labels, help }
    }
}

/// How the values of a metric are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is a distribution.
    Histogram,
}

/// In what a metric is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// How many there are.
    Count,
    /// Seconds, with fractions.
    Seconds,
    /// Bytes.
    Bytes,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

impl fmt::Display for MetricUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        })
    }
}

/// Writes metrics as the rows of a table in Markdown.
pub fn metrics_table<'a>(metrics: impl IntoIterator<Item = &'a Metric>) -> String {
    let mut table =
        String::from("| Metric | Kind | Unit | Labels | What it tells |\n|---|---|---|---|---|\n");
    for Metric { name, kind, unit, labels, help } in metrics {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String can't fail.
        let _infallible = writeln!(table, "| `{name}` | {kind} | {unit} | {} | {help} |", labels.join(", "));
    }
    table
}
