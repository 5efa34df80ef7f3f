use jiff::Timestamp;
use workload_manager::{RunFilter, RunStatus};

use super::{age::age, exit, failure::CommandResult, output::Output, session, table::table};

const EXAMPLES: &str = "\
Examples:
  wm ps
  wm ps --all --json";

/// List the runs that have not ended
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PsArguments {
    /// List those that have ended too
    #[arg(long, short)]
    all: bool,
}

impl PsArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        let manager = session::manager().await?;
        let filter = RunFilter { unfinished: !self.all, ..RunFilter::default() };
        let runs = manager.list(&filter).await?;
        if runs.is_empty() && !output.is_json() {
            let hint = if self.all {
                "there are no runs"
            } else {
                "nothing runs; `wm ps --all` lists what has ended"
            };
            output.note(hint)?;
            return Ok(exit::OK);
        }
        output.list(&runs, |runs| text(runs, Timestamp::now()))?;
        Ok(exit::OK)
    }
}

fn text(runs: &[RunStatus], now: Timestamp) -> String {
    let rows: Vec<_> = runs.iter().map(|status| row(status, now)).collect();
    table(&["ID", "KIND", "ATTEMPT", "PHASE", "AGE", "IMAGE", "DETAIL"], &rows)
}

fn row(status: &RunStatus, now: Timestamp) -> Vec<String> {
    let detail = match &status.verdict {
        Some(verdict) if !verdict.is_success() => verdict.message.clone(),
        Some(_) => String::new(),
        None => status.detail.clone().unwrap_or_default(),
    };
    vec![
        status.run.workload.to_string(),
        status.run.kind.to_string(),
        status.run.attempt.to_string(),
        status.phase.to_string(),
        status.created.map(|created| age(created, now)).unwrap_or_default(),
        status.image.clone().unwrap_or_else(|| "-".to_owned()),
        detail.lines().next().unwrap_or_default().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use workload_manager::{Attempt, Outcome, Phase, Reason, RunId, Verdict, WorkloadId, WorkloadKind};

    use super::*;

    fn status(id: &str, phase: Phase) -> RunStatus {
        let run = RunId {
            workload: WorkloadId::new(id).unwrap(),
            kind: WorkloadKind::Run,
            attempt: Attempt::FIRST,
        };
        let mut status = RunStatus::new(run, phase);
        status.image = Some("r.io/app:1".to_owned());
        status.created = Some(Timestamp::UNIX_EPOCH);
        status
    }

    #[test]
    fn a_row_tells_what_a_run_waits_for_or_why_it_failed() {
        let mut waiting = status("waiting", Phase::Pending);
        waiting.detail = Some("0/3 nodes are available\nmore".to_owned());
        let failed = status("failed", Phase::Running).with_verdict(Verdict::new(
            Outcome::Failed,
            Reason::ExitCode,
            "the runner ended with exit code 3",
            "",
        ));
        let now = Timestamp::from_second(42).unwrap();
        expect![[r"
            ID       KIND  ATTEMPT  PHASE    AGE  IMAGE       DETAIL
            waiting  run   1        pending  42s  r.io/app:1  0/3 nodes are available
            failed   run   1        failed   42s  r.io/app:1  the runner ended with exit code 3
        "]]
        .assert_eq(&text(&[waiting, failed], now));
    }
}
