//! The two shared watches: on the Jobs and on the Pods of all runs.

use std::{borrow::Cow, collections::HashSet, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Resource,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::task::JoinSet;

use crate::{
    api::Api,
    board::Board,
    metrics, names,
    view::{JobObject, JobView, PodObject, PodView},
};

/// How often a manager lists whose role lacks `watch`.
const POLL: Duration = Duration::from_secs(3);

/// Keeps the board up to date until the tasks are dropped.
pub(crate) fn start(api: &Api, board: &Arc<Board>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(follow_jobs(api.clone(), Arc::clone(board)));
    tasks.spawn(follow_pods(api.clone(), Arc::clone(board)));
    tasks
}

fn config() -> watcher::Config {
    watcher::Config::default().labels(names::RUNNERS)
}

async fn follow_jobs(api: Api, board: Arc<Board>) {
    let resource: kube::Api<JobObject> = kube::Api::namespaced(api.client().clone(), api.namespace());
    let mut events = pin!(watcher(resource, config()).default_backoff());
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        if let Err(error) = &event {
            metrics::watch_broke("jobs", error);
        }
        match event {
            Ok(watcher::Event::Init) => {
                metrics::listed("jobs");
                listed.clear();
            }
            Ok(watcher::Event::InitApply(job)) => {
                if let Some(job) = JobView::new(&job) {
                    listed.insert(Arc::clone(&job.name));
                    board.put_job(job);
                }
            }
            Ok(watcher::Event::InitDone) => {
                board.keep_jobs(&listed);
                listed = HashSet::new();
                board.set_synced(|synced| synced.jobs = true);
            }
            Ok(watcher::Event::Apply(job)) => {
                metrics::watched("jobs");
                if let Some(job) = JobView::new(&job) {
                    board.put_job(job);
                }
            }
            Ok(watcher::Event::Delete(job)) => {
                metrics::watched("jobs");
                if let Some(job) = JobView::new(&job) {
                    board.remove_job(&Arc::clone(&job.name), Some(job));
                }
            }
            Err(error) if is_refused(&error) => {
                tracing::warn!(%error, "The watch on Jobs is refused, listing them every {} s", POLL.as_secs());
                return poll_jobs(&api, &board).await;
            }
            Err(error) => tracing::warn!(%error, "The watch on Jobs broke, it is taken up again"),
        }
    }
}

async fn follow_pods(api: Api, board: Arc<Board>) {
    let resource: kube::Api<PodObject> = kube::Api::namespaced(api.client().clone(), api.namespace());
    let mut events = pin!(watcher(resource, config()).default_backoff());
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        if let Err(error) = &event {
            metrics::watch_broke("pods", error);
        }
        match event {
            Ok(watcher::Event::Init) => {
                metrics::listed("pods");
                listed.clear();
            }
            Ok(watcher::Event::InitApply(pod)) => {
                if let Some(pod) = PodView::new(&pod) {
                    listed.insert(pod.uid.clone());
                    board.put_pod(pod);
                }
            }
            Ok(watcher::Event::InitDone) => {
                board.keep_pods(&listed);
                listed = HashSet::new();
                board.set_synced(|synced| synced.pods = true);
            }
            Ok(watcher::Event::Apply(pod)) => {
                metrics::watched("pods");
                if let Some(pod) = PodView::new(&pod) {
                    board.put_pod(pod);
                }
            }
            Ok(watcher::Event::Delete(pod)) => {
                metrics::watched("pods");
                if let Some(pod) = PodView::new(&pod) {
                    board.remove_pod(&pod);
                }
            }
            Err(error) if is_refused(&error) => {
                tracing::warn!(%error, "The watch on Pods is refused, listing them every {} s", POLL.as_secs());
                return poll_pods(&api, &board).await;
            }
            Err(error) => tracing::warn!(%error, "The watch on Pods broke, it is taken up again"),
        }
    }
}

async fn poll_jobs(api: &Api, board: &Board) {
    loop {
        metrics::listed("jobs");
        match api.jobs_with(names::RUNNERS).await {
            Ok(jobs) => {
                let jobs: Vec<_> = jobs.iter().filter_map(JobView::new).collect();
                let listed = jobs.iter().map(|job| Arc::clone(&job.name)).collect();
                for job in jobs {
                    board.put_job(job);
                }
                board.keep_jobs(&listed);
                board.set_synced(|synced| synced.jobs = true);
            }
            Err(error) => tracing::warn!(?error, "The Jobs could not be listed"),
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn poll_pods(api: &Api, board: &Board) {
    loop {
        metrics::listed("pods");
        match api.pods_with(names::RUNNERS).await {
            Ok(pods) => {
                let pods: Vec<_> = pods.iter().filter_map(PodView::new).collect();
                let listed = pods.iter().map(|pod| pod.uid.clone()).collect();
                for pod in pods {
                    board.put_pod(pod);
                }
                board.keep_pods(&listed);
                board.set_synced(|synced| synced.pods = true);
            }
            Err(error) => tracing::warn!(?error, "The Pods could not be listed"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether the role lacks `watch`: asking again and again would change nothing.
fn is_refused(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.is_forbidden(),
        watcher::Error::WatchError(status) => status.is_forbidden(),
        _ => false,
    }
}

macro_rules! resource {
    ($object:ty, $kind:literal, $group:literal, $plural:literal) => {
        impl Resource for $object {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind(_: &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group(_: &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version(_: &()) -> Cow<'_, str> {
                "v1".into()
            }

            fn plural(_: &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(JobObject, "Job", "batch", "jobs");
resource!(PodObject, "Pod", "", "pods");
