//! Whether runs can be expected to work: what is asked of the cluster, and what is concluded from it.
//!
//! `survey` asks, without starting or changing anything; the other modules are pure functions of its answers.

mod account;
mod demand;
mod identity;
mod limits;
mod namespace;
mod plan;
mod pod_security;
mod quota;
mod rights;
mod server;
mod survey;
mod trial;
mod warning;

use wm_core::{Finding, ImageStrategy, Mend, Report, Result, Severity};

use self::survey::Survey;
use crate::{settings::KubernetesSettings, shared::Shared};

impl Shared {
    pub(crate) async fn preflight(&self, images: &dyn ImageStrategy) -> Result<Report> {
        let server = match server::Server::ask(&self.api).await {
            Ok(server) => server,
            Err(error) => return Ok(Report::new(vec![server::unreachable(error, self.api.namespace())])),
        };
        let survey = Survey::take(self, images).await?;
        Ok(report(&server, &survey, &self.settings))
    }
}

/// Concludes from what the cluster said.
fn report(server: &server::Server, survey: &Survey, settings: &KubernetesSettings) -> Report {
    let mut findings = Vec::new();
    findings.extend(server.findings());
    findings.push(identity::finding(survey));
    findings.push(namespace::finding(&survey.namespace, &settings.namespace));
    findings.extend(rights::findings(&survey.rights, settings));
    findings.extend(account::findings(survey, settings));
    findings.extend(pod_security::findings(survey, settings));
    let defaults = limits::Defaults::of(&survey.limit_ranges);
    findings.extend(limits::findings(survey, settings));
    findings.extend(quota::findings(survey, settings, &defaults));
    // What a trial says is told where nothing has been said of the same: the objects themselves say it better.
    for finding in trial::findings(survey, settings) {
        let is_known =
            findings.iter().any(|known| known.check == finding.check && known.severity >= Severity::Warning);
        if !is_known {
            findings.push(finding);
        }
    }
    let mut report = Report::new(findings);
    report.plan = plan::objects(survey, settings);
    report
}

/// What could not be looked at, as a note.
fn unknown(check: &'static str, what: &str, why: &str) -> Finding {
    Finding::note(check, format!("{what} can't be told: {why}"))
}

/// What the plan mends.
fn by_plan() -> Mend {
    Mend::command("wm doctor --fix-plan | kubectl apply -f -")
}
