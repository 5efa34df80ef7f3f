use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};
use serde_json::Value;

/// What a backend found out about its own set-up, before anything is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What was looked at and what it is like, in an order to read.
    pub findings: Vec<Finding>,
    /// What to create where the runs are, in the backend's own form, so that what it may mend by itself is mended.
    pub plan: Vec<Value>,
}

impl Report {
    /// Reports these findings.
    pub fn new(findings: Vec<Finding>) -> Self {
        Self { findings, plan: Vec::new() }
    }

    /// Whether runs can be expected to work: no finding is a failure.
    pub fn is_ready(&self) -> bool {
        self.worst() < Severity::Failure
    }

    /// The worst that was found; good if nothing was looked at.
    pub fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at, as one word for programs: `namespace`, `right`, …
    pub check: &'static str,
    /// What it is like, as one sentence.
    pub message: String,
    /// What mends it; there is one for each warning and failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<Mend>,
}

impl Finding {
    /// Says that something is as it should be.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, check, message: message.into(), mend: None }
    }

    /// Says something that is good to know, or that could not be found out.
    pub fn note(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, check, message: message.into(), mend: None }
    }

    /// Says what works worse than it could, or may fail.
    pub fn warning(check: &'static str, message: impl Into<String>, mend: Mend) -> Self {
        Self { severity: Severity::Warning, check, message: message.into(), mend: Some(mend) }
    }

    /// Says what keeps runs from working.
    pub fn failure(check: &'static str, message: impl Into<String>, mend: Mend) -> Self {
        Self { severity: Severity::Failure, check, message: message.into(), mend: Some(mend) }
    }

    /// Says what mends it.
    #[must_use]
    pub fn mended_by(mut self, mend: Mend) -> Self {
        self.mend = Some(mend);
        self
    }
}

/// How bad a finding is; the worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is as it should be.
    Ok,
    /// It is good to know, or could not be found out.
    Note,
    /// Something works worse than it could, or may fail.
    Warning,
    /// Runs can't work.
    Failure,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
        })
    }
}

/// What mends a finding. `Display` is a text for a person, and what is serialized.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mend {
    /// A command to run.
    Command(String),
    /// An option of the backend's to change.
    Option {
        /// Its name, as the backend is given it.
        name: Cow<'static, str>,
        /// What to set it to: a value, or words about one.
        to: String,
    },
    /// What a person has to do.
    Words(String),
}

impl Mend {
    /// A command to run.
    pub fn command(command: impl Into<String>) -> Self {
        Self::Command(command.into())
    }

    /// An option of the backend's to change.
    pub fn option(name: impl Into<Cow<'static, str>>, to: impl Into<String>) -> Self {
        Self::Option { name: name.into(), to: to.into() }
    }

    /// What a person has to do.
    pub fn words(words: impl Into<String>) -> Self {
        Self::Words(words.into())
    }
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(text) | Self::Words(text) => f.write_str(text),
            Self::Option { name, to } => write!(f, "set {name} to {to}"),
        }
    }
}

impl Serialize for Mend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let mend = || Mend::command("mend it");
        assert!(Report::default().is_ready());
        let mut findings = vec![Finding::ok("a", "good"), Finding::warning("b", "slow", mend())];
        assert_eq!(Report::new(findings.clone()).worst(), Severity::Warning);
        assert!(Report::new(findings.clone()).is_ready());
        findings.insert(0, Finding::failure("c", "no", mend()));
        findings.push(Finding::note("d", "unknown"));
        assert!(!Report::new(findings).is_ready());
    }

    #[test]
    fn a_mend_is_serialized_as_its_text() {
        let finding = Finding::failure("quota", "no limits", Mend::option("pod_resources", "{}"));
        let json = serde_json::to_value(finding).unwrap();
        assert_eq!(json["severity"], "failure");
        assert_eq!(json["mend"], "set pod_resources to {}");
        assert!(serde_json::to_value(Finding::ok("a", "good")).unwrap().get("mend").is_none());
    }
}
