//! The launcher, used as a server uses it.

use std::{num::NonZeroUsize, sync::Arc};

use kube::Client;
use tokio::{sync::mpsc, task::JoinSet};
use wm_image::Prebuilt;
use wm_k8s::KubernetesWorkloadManager;
use workload_manager::{Launcher, LauncherSettings};

use super::{
    counter::Counter,
    plan::Plan,
    process,
    recorder::{Event, Recorder, Report},
};
use crate::Failure;

pub(crate) async fn run(plan: &Plan, client: Client) -> Result<Report, Failure> {
    let counter = Counter::default();
    let client = counter.count(client);
    let images = Arc::new(Prebuilt::new(plan.image()?));
    let manager = KubernetesWorkloadManager::new(client, plan.settings(), images).await?;
    let settings = LauncherSettings {
        max_concurrent_runs: NonZeroUsize::new(plan.at_once).ok_or("no run at all")?,
        ..LauncherSettings::default()
    };
    let launcher = Launcher::new(Arc::new(manager), settings);
    let shared = Arc::new(plan.clone());
    let (sender, events) = mpsc::channel(plan.runs * 4);
    let mut recorder = Recorder::begin(counter, events)?;
    for wave in plan.waves() {
        let size = wave.len();
        let mut runs = JoinSet::new();
        for number in wave {
            let (launcher, plan, sender) = (launcher.clone(), Arc::clone(&shared), sender.clone());
            runs.spawn(async move {
                if let Err(failure) = follow(&launcher, &plan, number, &sender).await {
                    let _nobody_listens = sender.send(Event::Failed(failure.to_string())).await;
                }
            });
        }
        recorder.wave(size).await?;
    }
    recorder.finish().await
}

async fn follow(
    launcher: &Launcher,
    plan: &Plan,
    number: usize,
    sender: &mpsc::Sender<Event>,
) -> Result<(), Failure> {
    let workload = plan.workload(number)?;
    let job = Plan::job(workload.id());
    let called = process::now();
    let handle = launcher.launch(workload).await?;
    let accepted = process::now();
    // There is room for all events of all runs.
    sender.try_send(Event::Accepted { job: job.clone(), called, accepted })?;
    let verdict = handle.wait().await?;
    let at = process::now();
    if !verdict.is_success() {
        return Err(format!("{job} {verdict}").into());
    }
    sender.try_send(Event::Ended { job, at })?;
    Ok(())
}
