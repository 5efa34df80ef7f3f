use std::{fmt::Write as _, num::NonZeroU32};

use workload_manager::{Attempt, RunStatus, WorkloadId};

use super::{
    age::span,
    exit,
    failure::CommandResult,
    output::Output,
    session,
    verdict::{self, Evidence},
};

const EXAMPLES: &str = "\
Examples:
  wm status 65afb85a-6866-4551-9140-f4f1f74141ff
  wm status nightly --attempt 1 --json";

/// Tell all that is known of a run: where it is, or how it ended and why
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArguments {
    /// The workload's id, or an alias
    id: WorkloadId,

    /// Which attempt; the latest by default
    #[arg(long, value_name = "N")]
    attempt: Option<NonZeroU32>,
}

impl StatusArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        let manager = session::manager().await?;
        let attempt = self.attempt.and_then(|number| Attempt::new(number.get()));
        let found = session::find(manager.as_ref(), &self.id, attempt).await?;
        let status = manager.status(&found.run).await?;
        output.list(&[status], |all| all.iter().map(text).collect())?;
        Ok(exit::OK)
    }
}

fn text(status: &RunStatus) -> String {
    let RunStatus { run, phase, detail, image, created, started, finished, aliases, place, verdict, .. } =
        status;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String can't fail.
        let _infallible = writeln!(text, "{:<10} {value}", format!("{name}:"));
    };
    line("workload", run.workload.as_str());
    line("kind", run.kind.as_str());
    line("attempt", &run.attempt.to_string());
    for alias in aliases {
        line("alias", alias.as_str());
    }
    line("phase", &phase.to_string());
    if let Some(detail) = detail {
        line("waits for", detail);
    }
    if let Some(image) = image {
        line("image", image);
    }
    for (name, time) in [("created", created), ("started", started), ("finished", finished)] {
        if let Some(time) = time {
            line(name, &time.to_string());
        }
    }
    if let (Some(started), Some(finished)) = (started, finished) {
        line("took", &span(finished.duration_since(*started)));
    }
    for (name, value) in place.iter() {
        line(name, value);
    }
    if let Some(verdict) = verdict {
        line("verdict", verdict::text(verdict, Evidence::Whole).trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::Timestamp;
    use workload_manager::{Outcome, Phase, Reason, RunId, Verdict, WorkloadKind};

    use super::*;

    #[test]
    fn everything_that_is_known_is_told() {
        let run = RunId {
            workload: WorkloadId::new("nightly").unwrap(),
            kind: WorkloadKind::Snapshot,
            attempt: Attempt::FIRST,
        };
        let mut status = RunStatus::new(run, Phase::Running);
        status.aliases.push(WorkloadId::new("other").unwrap());
        status.image = Some("r.io/app:1".to_owned());
        status.created = Some(Timestamp::UNIX_EPOCH);
        status.started = Some(Timestamp::from_second(1).unwrap());
        status.finished = Some(Timestamp::from_second(4).unwrap());
        status.place.insert("namespace", "runs".to_owned());
        let verdict =
            Verdict::new(Outcome::Failed, Reason::OutOfMemory, "it needed more memory", "raise the limit");
        expect![[r"
            workload:  nightly
            kind:      snapshot
            attempt:   1
            alias:     other
            phase:     failed
            image:     r.io/app:1
            created:   1970-01-01T00:00:00Z
            started:   1970-01-01T00:00:01Z
            finished:  1970-01-01T00:00:04Z
            took:      3s
            namespace: runs
            verdict:   failed: it needed more memory
              next: raise the limit
              reason: OutOfMemory
        "]]
        .assert_eq(&text(&status.with_verdict(verdict)));
    }
}
