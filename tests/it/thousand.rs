//! A thousand runs through the library: each has its Job, none has two.

use std::{collections::BTreeSet, num::NonZeroUsize};

use futures::{StreamExt as _, stream};
use workload_manager::{Launcher, LauncherSettings, RunFilter, Setup, Workload, WorkloadId, WorkloadKind};

const RUNS: usize = 1000;
const AT_ONCE: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_runs_are_a_thousand_jobs_none_twice_none_lost() {
    let variables = [
        ("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", "local"),
        ("ZENML_KUBERNETES_WORKLOAD_MANAGER_RUNNER_IMAGE", "registry.example.com/runner:1"),
    ];
    let manager = Setup::new().environment(variables).load().unwrap().manager().await.unwrap();
    let settings = LauncherSettings {
        max_concurrent_runs: NonZeroUsize::new(AT_ONCE).unwrap(),
        max_queued_runs: RUNS,
        ..LauncherSettings::default()
    };
    let launcher = Launcher::new(manager, settings);

    let runs: Vec<_> = stream::iter(0..RUNS)
        .map(|number| {
            let launcher = launcher.clone();
            async move {
                let id = WorkloadId::new(format!("run-{number}")).unwrap();
                let workload = Workload::builder(id, WorkloadKind::Run).command(["true"]).build().unwrap();
                let handle = launcher.launch(workload).await.unwrap();
                let verdict = handle.wait().await.unwrap();
                assert!(verdict.is_success(), "{number}: {verdict}");
                handle.run().unwrap()
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;

    let told: BTreeSet<_> = runs.into_iter().collect();
    assert_eq!(told.len(), RUNS);
    let listed = launcher.manager().list(&RunFilter::default()).await.unwrap();
    assert_eq!(listed.len(), RUNS);
    let listed: BTreeSet<_> = listed.into_iter().map(|status| status.run).collect();
    assert_eq!(listed, told);
    assert_eq!((launcher.load().running, launcher.load().queued), (0, 0));
}
