use std::fmt::Write as _;

use serde_json::json;
use wm_config::variable;
use workload_manager::{Configuration, Finding, Mend, Report, Severity};

use super::{
    exit,
    failure::CommandResult,
    manifests,
    output::{self, Output},
    session,
};

const EXAMPLES: &str = "\
Examples:
  wm doctor
  wm doctor --fix-plan | kubectl apply -f -
  wm doctor --json | jq -r 'select(.finding.severity == \"failure\").finding.mend'

Nothing is started and nothing is changed: it reads, asks which rights there are, and submits a Job and a pod as dry runs.
With the credentials of an administrator it sees more (quotas, limit ranges, pull secrets); with those of the server it
sees what the server may do.";

/// Look whether runs can be expected to work: rights, namespace, quotas, a dry run; say what mends what is wrong
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArguments {
    /// Print the objects that are missing as YAML, to be applied by somebody who may: namespace, service account, a Role
    /// with the missing rights and its binding
    #[arg(long)]
    fix_plan: bool,
}

impl DoctorArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        let configuration = session::load()?;
        session::tell_warnings(&configuration, output)?;
        if session::is_default(&configuration) {
            output.note(&format!(
                "no implementation source is set: looking at the embedded cluster. For a real one: export {}=kubernetes",
                variable::IMPLEMENTATION_SOURCE
            ))?;
        }
        let report = configuration.manager().await?.preflight().await?;
        if self.fix_plan {
            if report.plan.is_empty() {
                output.note("nothing is missing that could be applied")?;
            } else {
                manifests::print(&report.plan, output)?;
            }
            return Ok(exit::OK);
        }
        if output.is_json() {
            for finding in &report.findings {
                let mut told = json!(finding);
                if let Some(mend) = &finding.mend {
                    told["mend"] = json!(words(mend, &configuration));
                }
                output::object(&json!({ "finding": told }))?;
            }
            output::object(&json!({ "report": { "ready": report.is_ready(), "worst": report.worst() } }))?;
        } else {
            output::text(&text(&report, &configuration))?;
        }
        Ok(if report.is_ready() { exit::OK } else { exit::CLUSTER })
    }
}

/// What mends it, with an option by the name of its variable.
fn words(mend: &Mend, configuration: &Configuration) -> String {
    match mend {
        Mend::Option { name, to } => {
            let variable = configuration.variable(name).unwrap_or_else(|| name.to_string());
            format!("set {variable} to {to}")
        }
        mend => mend.to_string(),
    }
}

fn text(report: &Report, configuration: &Configuration) -> String {
    let mut text = String::new();
    let mut line = |finding: &Finding| {
        // Writing to a String can't fail.
        let _infallible =
            writeln!(text, "{:<8} {:<15}  {}", finding.severity, finding.check, finding.message);
        if let Some(mend) = &finding.mend {
            let _infallible = writeln!(text, "{:26}next: {}", "", words(mend, configuration));
        }
    };
    report.findings.iter().for_each(&mut line);
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let verdict = if report.is_ready() { "ready" } else { "not ready" };
    let (failures, warnings) = (count(Severity::Failure), count(Severity::Warning));
    let _infallible = writeln!(text, "{verdict}: {failures} failure(s), {warnings} warning(s)");
    text
}
