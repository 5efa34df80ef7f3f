//! The lower bound: a POST a run, one watch on Jobs, one on Pods, and nothing else.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use kube::{
    Client,
    api::{PostParams, Request},
};
use serde::de::IgnoredAny;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use wm_core::RunRequest;

use super::{
    counter::Counter,
    follow::{self, Kind},
    plan::Plan,
    process,
    recorder::{Event, Recorder, Report},
};
use crate::Failure;

/// As many POSTs at once as the manager sends.
const POSTS_AT_ONCE: usize = 16;

pub(crate) async fn run(plan: &Plan, client: Client) -> Result<Report, Failure> {
    let counter = Counter::default();
    let client = counter.count(client);
    // To make the bytes is no part of the bound.
    let jobs = (0..plan.runs).map(|number| job(plan, number)).collect::<Result<Vec<_>, _>>()?;
    let (sender, events) = mpsc::channel(plan.runs * 4);
    let mut recorder = Recorder::begin(counter, events)?;
    let mut watches = JoinSet::new();
    for kind in [Kind::Job, Kind::Pod] {
        let version = follow::version(&client, kind, &plan.namespace).await?;
        watches.spawn(watch(client.clone(), kind, plan.clone(), version, sender.clone()));
    }
    let slots = Arc::new(Semaphore::new(POSTS_AT_ONCE));
    for wave in plan.waves() {
        let size = wave.len();
        let mut posts = JoinSet::new();
        for job in &jobs[wave] {
            let post = post(client.clone(), plan.namespace.clone(), job.clone(), Arc::clone(&slots));
            let sender = sender.clone();
            posts.spawn(async move {
                let event = post.await.unwrap_or_else(|failure| Event::Failed(failure.to_string()));
                sender.send(event).await
            });
        }
        recorder.wave(size).await?;
    }
    recorder.finish().await
}

/// A Job's name and the bytes that the manager would send for it.
fn job(plan: &Plan, number: usize) -> Result<(String, Arc<[u8]>), Failure> {
    let workload = plan.workload(number)?;
    let name = Plan::job(workload.id());
    let objects = wm_k8s::render(&RunRequest::new(workload, plan.image()?), &plan.settings())?;
    let job = objects.first().ok_or("a run without a Job")?;
    Ok((name, serde_json::to_vec(job)?.into()))
}

async fn post(
    client: Client,
    namespace: String,
    (job, body): (String, Arc<[u8]>),
    slots: Arc<Semaphore>,
) -> Result<Event, Failure> {
    let called = process::now();
    let _slot = slots.acquire().await?;
    let request = Request::new(Kind::Job.path(&namespace)).create(&PostParams::default(), body.to_vec())?;
    let _made: IgnoredAny = client.request(request).await?;
    Ok(Event::Accepted { job, called, accepted: process::now() })
}

async fn watch(client: Client, kind: Kind, plan: Plan, version: String, sender: mpsc::Sender<Event>) {
    let known = Mutex::new(HashSet::new());
    let prefix = plan.job_prefix();
    let tell = |ended: follow::Ended| {
        // The end of a run is that of its pod, which is known first.
        if kind == Kind::Job || !ended.job.starts_with(&prefix) {
            return;
        }
        let at = process::now();
        if known.lock().unwrap_or_else(PoisonError::into_inner).insert(ended.job.clone()) {
            let event = if ended.succeeded {
                Event::Ended { job: ended.job, at }
            } else {
                Event::Failed(format!("the pod of {} failed", ended.job))
            };
            // There is room for two events a run and more; without it nobody listens any more.
            let _nobody_listens = sender.try_send(event);
        }
    };
    if let Err(failure) = follow::follow(&client, kind, &plan.namespace, version, tell).await {
        let _nobody_listens = sender.send(Event::Failed(failure.to_string())).await;
    }
}
