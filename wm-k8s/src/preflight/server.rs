//! Whether the server answers, how old it is, and what time it has.

use http::header::DATE;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::Value;
use wm_core::{ErrorKind, Finding, Mend};

use crate::{api::Api, error::CallError};

/// The oldest and the newest minor version of Kubernetes 1 that this is known to work with.
const OLDEST: u32 = 24;
const NEWEST: u32 = 36;
/// Clocks that differ by more make the times of logs and runs hard to compare.
const TOLERATED: SignedDuration = SignedDuration::from_secs(5);

/// What a server says of itself.
#[derive(Clone, Debug)]
pub(super) struct Server {
    version: Value,
    /// How far its clock is ahead of ours, if it tells the time.
    ahead: Option<SignedDuration>,
}

impl Server {
    /// Asks; only an error that leaves nothing else to ask is one.
    pub(super) async fn ask(api: &Api) -> Result<Self, CallError> {
        let before = Timestamp::now();
        match api.read_once("/version").await {
            Ok(answer) => {
                let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
                Ok(Self {
                    version: serde_json::from_slice(&answer.body).unwrap_or_default(),
                    ahead: date.and_then(|date| ahead(before, Timestamp::now(), date)),
                })
            }
            Err(error) => match error.refusal().map(|refusal| refusal.code) {
                // The version may be kept from us, and all else work.
                Some(403 | 404) => Ok(Self { version: Value::Null, ahead: None }),
                _ => Err(error),
            },
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![version(&self.version)];
        findings.extend(self.ahead.map(clock));
        findings
    }
}

/// The only finding where there is no server to ask.
pub(super) fn unreachable(error: CallError, namespace: &str) -> Finding {
    let error = error.into_error("the cluster does not answer as it should", namespace);
    let mend = match error.kind() {
        ErrorKind::PermissionDenied => "kubectl auth whoami    # then mend the credentials in the kubeconfig",
        _ => "kubectl cluster-info    # then mend KUBECONFIG, or the way to the server that it names",
    };
    let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})")).unwrap_or_default();
    Finding::failure("server", format!("{}{cause}", error.message()), Mend::command(mend))
}

fn version(version: &Value) -> Finding {
    // Some providers write `27+`.
    let number = |field: &str| {
        let digits = version[field].as_str()?.trim_end_matches(|c: char| !c.is_ascii_digit());
        digits.parse::<u32>().ok()
    };
    let (Some(major), Some(minor)) = (number("major"), number("minor")) else {
        return super::unknown("server", "the server's version", "it answers without one");
    };
    let name = version["gitVersion"].as_str().unwrap_or("of an unknown version");
    match (major, minor) {
        (1, OLDEST..=NEWEST) => Finding::ok("server", format!("the server is Kubernetes {name}")),
        (1, ..OLDEST) => Finding::failure(
            "server",
            format!(
                "the server is Kubernetes {name}, older than 1.{OLDEST}, the first that Jobs like ours work on"
            ),
            Mend::words(format!("upgrade the cluster to 1.{OLDEST} or later")),
        ),
        _ => Finding::note(
            "server",
            format!(
                "the server is Kubernetes {name}, newer than 1.{NEWEST}, the last that this was tried on"
            ),
        ),
    }
}

/// How far a clock is ahead that showed a date between two times of ours. Dates have whole seconds.
fn ahead(before: Timestamp, after: Timestamp, date: &str) -> Option<SignedDuration> {
    let date = rfc2822::parse(date).ok()?.timestamp();
    let latest = date.checked_add(SignedDuration::from_secs(1)).ok()?;
    if latest < before {
        return Some(latest.duration_since(before));
    }
    if date > after {
        return Some(date.duration_since(after));
    }
    Some(SignedDuration::ZERO)
}

fn clock(ahead: SignedDuration) -> Finding {
    if ahead.abs() <= TOLERATED {
        return Finding::ok("clock", "the server's clock agrees with ours");
    }
    let word = if ahead.is_negative() { "behind" } else { "ahead of" };
    Finding::warning(
        "clock",
        format!(
            "the server's clock is {} s {word} ours, so that lines of a log and messages come in a wrong order",
            ahead.abs().as_secs()
        ),
        Mend::command("timedatectl set-ntp true    # here, or on the cluster's nodes"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wm_core::Severity;

    use super::*;

    #[test]
    fn versions_from_1_24_on_are_good() {
        for (minor, severity) in [
            ("23", Severity::Failure),
            ("24", Severity::Ok),
            ("24+", Severity::Ok),
            ("36", Severity::Ok),
            ("37", Severity::Note),
            ("x", Severity::Note),
        ] {
            let told = version(&json!({ "major": "1", "minor": minor, "gitVersion": format!("v1.{minor}") }));
            assert_eq!(told.severity, severity, "{told:?}");
        }
        assert_eq!(version(&Value::Null).severity, Severity::Note);
    }

    #[test]
    fn a_clock_is_compared_by_the_seconds_that_its_date_tells() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (before, after) = (at("2026-11-25T12:00:10.9Z"), at("2026-11-25T12:00:11.1Z"));
        let skew =
            |time: &str| ahead(before, after, &format!("Wed, 25 Nov 2026 {time} GMT")).unwrap().as_millis();
        assert_eq!(skew("12:00:10"), 0, "it may have been 10.9");
        assert_eq!(skew("12:00:11"), 0);
        assert_eq!(skew("12:00:12"), 900);
        assert_eq!(skew("12:01:11"), 59_900);
        assert_eq!(skew("11:59:10"), -59_900);
        assert_eq!(ahead(before, after, "soon"), None);
    }

    #[test]
    fn a_clock_that_is_off_is_a_warning() {
        assert_eq!(clock(SignedDuration::from_secs(-5)).severity, Severity::Ok);
        let told = clock(SignedDuration::from_secs(-90));
        assert_eq!(told.severity, Severity::Warning);
        assert!(told.message.contains("90 s behind"), "{told:?}");
        assert!(clock(SignedDuration::from_secs(90)).message.contains("90 s ahead"));
    }
}
