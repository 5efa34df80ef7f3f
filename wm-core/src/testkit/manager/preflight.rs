//! What a look at the set-up says, and leaves alone.

use super::{ManagerHarness, Stage, patient};
use crate::{Phase, RunFilter, Severity, testkit::Program};

/// Looking at the set-up starts nothing and changes nothing: the runs, their states and their logs stay as they are.
pub async fn a_preflight_starts_and_changes_nothing(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    if stage.can().hold_runs {
        let held = stage.request("held", &patient()).held();
        assert_eq!(stage.status(&stage.submit(&held).await.run).await.phase, Phase::Held);
    }
    let open = stage.start("open", &patient()).await;
    stage.until("open", "begun").await;
    stage.run("ended", &Program::new().print("out\n")).await;
    let everything = async || {
        let mut runs = Vec::new();
        for status in stage.list(&RunFilter::default()).await {
            let log = stage.manager.logs(&status.run.workload, &crate::LogQuery::default()).await;
            let log = if log.is_ok() { stage.lines(status.run.workload.as_str()).await } else { Vec::new() };
            runs.push((status.run, status.phase, log));
        }
        runs
    };
    let before = everything().await;
    for server in stage.another().await.iter().chain([&stage]) {
        for _again in 0..2 {
            server.manager.preflight().await.expect("the set-up can be looked at");
            assert_eq!(everything().await, before, "something is not as it was before");
        }
    }
    stage.open().await;
    assert_eq!(stage.end(&open).await.phase, Phase::Succeeded);
}

/// A backend on which runs work finds no failure; whatever it complains of it says how to mend.
pub async fn what_a_preflight_complains_of_it_says_how_to_mend(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    for server in stage.servers().await {
        let report = server.manager.preflight().await.expect("the set-up can be looked at");
        assert!(report.is_ready(), "a failure is told where runs work: {report:?}");
        for finding in &report.findings {
            assert!(!finding.check.is_empty() && !finding.message.is_empty(), "it says nothing: {finding:?}");
            if finding.severity >= Severity::Warning {
                let mend = finding.mend.as_ref().map(ToString::to_string).unwrap_or_default();
                assert!(!mend.is_empty(), "it does not say what mends it: {finding:?}");
            }
        }
    }
}
