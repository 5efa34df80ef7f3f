//! Which runs there are.

use super::{ManagerHarness, Stage, patient, request};
use crate::{
    ErrorKind, LogQuery, Phase, RunFilter, Workload, WorkloadKind,
    testkit::{Program, assert_refused, id},
};

/// A list shows each run as its status does, at once after it was submitted and at its end.
pub async fn list_and_status_agree(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    assert_eq!(stage.list(&RunFilter::default()).await, [], "a new backend has no runs");
    let run = stage.start("agree", &patient()).await;
    let listed = stage.list(&RunFilter::default()).await;
    assert_eq!(listed.iter().map(|status| &status.run).collect::<Vec<_>>(), [&run], "it is listed at once");
    assert_eq!(stage.status(&run).await.run, run, "it has a status at once");
    stage.open().await;
    let end = stage.end(&run).await;
    let (listed, status) = (stage.list(&RunFilter::default()).await, stage.status(&run).await);
    assert_eq!(listed.len(), 1);
    for told in [&listed[0], &status] {
        assert_eq!((&told.run, told.phase), (&run, end.phase));
        assert_eq!((&told.image, &told.created, &told.finished), (&end.image, &end.created, &end.finished));
        let outcome = |verdict: &Option<crate::Verdict>| verdict.as_ref().map(|v| (v.outcome, v.reason));
        assert_eq!(outcome(&told.verdict), outcome(&end.verdict));
    }
}

/// A list is oldest first, and shows what passes its filter.
pub async fn a_list_is_filtered_and_oldest_first(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    // Not in the order of their names.
    let mut runs = Vec::new();
    for workload in ["c", "a", "a", "b"] {
        runs.push(stage.run(workload, &Program::new()).await.run);
    }
    let snapshot = Workload::builder(id("s"), WorkloadKind::Snapshot);
    let snapshot = request(harness.program(snapshot, &Program::new()));
    let snapshot = stage.submit(&snapshot).await.run;
    assert_eq!(snapshot.kind, WorkloadKind::Snapshot);
    stage.end(&snapshot).await;
    let open = stage.start("d", &patient()).await;
    runs.extend([snapshot.clone(), open.clone()]);

    let listed = async |filter: RunFilter| {
        stage.list(&filter).await.into_iter().map(|status| status.run).collect::<Vec<_>>()
    };
    assert_eq!(listed(RunFilter::default()).await, runs, "all, oldest first");
    assert_eq!(listed(RunFilter::of(&id("a"))).await, runs[1..3], "those of a workload");
    assert_eq!(listed(RunFilter::of(&id("none"))).await, [], "none of an unknown one");
    let unfinished = RunFilter { unfinished: true, ..RunFilter::default() };
    assert_eq!(listed(unfinished).await, [open], "those that have not ended");
    let snapshots = RunFilter { kind: Some(WorkloadKind::Snapshot), ..RunFilter::default() };
    assert_eq!(listed(snapshots).await, [snapshot], "those of a kind");
    stage.open().await;
}

/// Whatever takes a workload's id takes an alias: the list, the log, a message, to delete.
pub async fn an_alias_is_as_good_as_the_id(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let alias = id("the-alias");
    let workload = stage.workload("own", &Program::new().print("out\n")).alias(alias.clone());
    let run = stage.submit(&request(workload)).await.run;
    assert_eq!(run.workload, id("own"), "a run is named after the workload's own id");
    stage.end(&run).await;
    stage.run("other", &Program::new().print("other\n")).await;
    stage.manager.log(&alias, "said").await.expect("a message is added");
    for server in stage.servers().await {
        // What has been followed is known.
        server.end(&run).await;
        for name in ["own", "the-alias"] {
            assert_eq!(server.lines(name).await, ["out", "said"], "the log of {name}");
            let listed = server.list(&RunFilter::of(&id(name))).await;
            assert_eq!(listed.iter().map(|status| &status.run).collect::<Vec<_>>(), [&run], "{name}");
        }
    }
}

/// To delete by an alias removes what the id removes.
pub async fn an_alias_deletes_what_the_id_deletes(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let workload = stage.workload("own", &Program::new()).alias(id("the-alias"));
    let run = stage.submit(&request(workload)).await.run;
    stage.end(&run).await;
    stage.manager.delete(&id("the-alias")).await.expect("a workload is deleted");
    assert_refused(stage.manager.status(&run).await, ErrorKind::NotFound, "the status of what was deleted");
    for name in ["own", "the-alias"] {
        let log = stage.manager.logs(&id(name), &LogQuery::default()).await;
        assert_refused(log.map(drop), ErrorKind::NotFound, "the log of what was deleted");
    }
    assert_eq!(stage.run("own", &Program::new()).await.phase, Phase::Succeeded, "it can run anew");
}
