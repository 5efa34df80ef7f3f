//! How a run ended, for a person.

use std::fmt::Write as _;

use workload_manager::Verdict;

/// What of a verdict is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// All that there is.
    Whole,
    /// Without the end of the log, since the log was shown before.
    LogShown,
}

/// The verdict: one sentence; after a failure also what to do and what it is concluded from.
pub(crate) fn text(verdict: &Verdict, evidence: Evidence) -> String {
    let mut text = format!("{verdict}\n");
    if verdict.is_success() {
        return text;
    }
    // Writing to a String can't fail.
    if !verdict.advice.is_empty() {
        let _infallible = writeln!(text, "  next: {}", verdict.advice);
    }
    let _infallible = writeln!(text, "  reason: {}", verdict.reason);
    if let Some(code) = verdict.evidence.exit_code {
        let _infallible = writeln!(text, "  exit code: {code}");
    }
    for (name, fact) in &verdict.evidence.facts {
        // Where a container left no message, Kubernetes takes the end of its log.
        if *name == "container message" && evidence == Evidence::LogShown {
            continue;
        }
        let _infallible = writeln!(text, "  {name}: {}", indented(fact));
    }
    list(&mut text, "events", &verdict.evidence.events);
    if evidence == Evidence::Whole {
        list(&mut text, "last lines of its log", &verdict.evidence.log_tail);
    }
    text
}

fn list(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "  {title}:");
    for line in lines {
        let _infallible = writeln!(text, "    {}", indented(line));
    }
}

/// A text of several lines stays below its title.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n      ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use workload_manager::{Outcome, Reason};

    use super::*;

    fn failed() -> Verdict {
        let mut evidence = wm_core::Evidence::default();
        evidence.exit_code = Some(3);
        evidence.facts.insert("node", "worker-1".to_owned());
        evidence.facts.insert("container message", "Traceback:\nno such table\n".to_owned());
        evidence.events.push("Normal Started: Started container main".to_owned());
        evidence.log_tail.push("no such table".to_owned());
        Verdict::new(Outcome::Failed, Reason::ExitCode, "the runner ended with exit code 3", "read its log")
            .with_evidence(evidence)
    }

    #[test]
    fn a_failure_shows_what_it_is_concluded_from() {
        expect![[r"
            failed: the runner ended with exit code 3
              next: read its log
              reason: ExitCode
              exit code: 3
              container message: Traceback:
                  no such table
              node: worker-1
              events:
                Normal Started: Started container main
              last lines of its log:
                no such table
        "]]
        .assert_eq(&text(&failed(), Evidence::Whole));
    }

    #[test]
    fn a_log_that_was_shown_is_not_repeated() {
        assert!(!text(&failed(), Evidence::LogShown).contains("no such table"));
    }

    #[test]
    fn a_success_is_one_sentence() {
        let verdict =
            Verdict::new(Outcome::Succeeded, Reason::Completed, "the runner ended with exit code 0", "");
        assert_eq!(text(&verdict, Evidence::Whole), "succeeded: the runner ended with exit code 0\n");
    }
}
