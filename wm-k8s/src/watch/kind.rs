//! What is watched, and where it goes on the board.

use std::{collections::HashSet, future::Future, sync::Arc};

use kube::{api::ListParams, core::request::Request as Requests};
use serde::de::DeserializeOwned;

use crate::{
    api::Api,
    board::Board,
    error::CallError,
    names,
    view::{JobObject, JobView, PodObject, PodView},
};

/// Objects of one kind.
pub(super) trait Kind: 'static {
    const NAME: &'static str;
    /// As metrics name it.
    const RESOURCE: &'static str;
    type Object: DeserializeOwned + Send;

    fn requests(api: &Api) -> Requests;
    fn version(object: &Self::Object) -> Option<String>;
    fn put(board: &Board, object: &Self::Object);
    fn remove(board: &Board, object: &Self::Object);

    /// Lists all, at this version or a later one; gives the version of what is on the board then.
    fn list(api: &Api, board: &Board, least: &str) -> impl Future<Output = Result<String, CallError>> + Send;
}

pub(super) struct Jobs;

impl Kind for Jobs {
    const NAME: &'static str = "Jobs";
    const RESOURCE: &'static str = "jobs";
    type Object = JobObject;

    fn requests(api: &Api) -> Requests {
        api.jobs()
    }

    fn version(object: &JobObject) -> Option<String> {
        object.metadata.resource_version.clone()
    }

    fn put(board: &Board, object: &JobObject) {
        if let Some(job) = JobView::new(object) {
            board.put_job(job);
        }
    }

    fn remove(board: &Board, object: &JobObject) {
        if let Some(job) = JobView::new(object) {
            board.remove_job(&Arc::clone(&job.name), Some(job));
        }
    }

    async fn list(api: &Api, board: &Board, least: &str) -> Result<String, CallError> {
        let (jobs, version) = api.list_at(Self::requests(api), ours(), |job| JobView::new(&job)).await?;
        if is_older(&version, least) {
            return Ok(least.to_owned());
        }
        let listed: HashSet<_> = jobs.iter().map(|job| Arc::clone(&job.name)).collect();
        for job in jobs {
            board.put_job(job);
        }
        for name in board.jobs_beside(&listed) {
            // A run of ours may be younger than the list, and one that is told to be gone has failed for good.
            match api.job::<JobObject>(&name).await {
                Ok(job) => Self::put(board, &job),
                Err(error) if error.is_not_found() => board.remove_job(&name, None),
                Err(error) => return Err(error),
            }
        }
        board.set_synced(|synced| synced.jobs = true);
        Ok(version)
    }
}

pub(super) struct Pods;

impl Kind for Pods {
    const NAME: &'static str = "Pods";
    const RESOURCE: &'static str = "pods";
    type Object = PodObject;

    fn requests(api: &Api) -> Requests {
        api.core("pods")
    }

    fn version(object: &PodObject) -> Option<String> {
        object.metadata.resource_version.clone()
    }

    fn put(board: &Board, object: &PodObject) {
        if let Some(pod) = PodView::new(object) {
            board.put_pod(pod);
        }
    }

    fn remove(board: &Board, object: &PodObject) {
        if let Some(pod) = PodView::new(object) {
            board.remove_pod(&pod);
        }
    }

    async fn list(api: &Api, board: &Board, least: &str) -> Result<String, CallError> {
        let (pods, version) = api.list_at(Self::requests(api), ours(), |pod| PodView::new(&pod)).await?;
        if is_older(&version, least) {
            return Ok(least.to_owned());
        }
        let listed = pods.iter().map(|pod| pod.uid.clone()).collect();
        for pod in pods {
            board.put_pod(pod);
        }
        board.keep_pods(&listed);
        board.set_synced(|synced| synced.pods = true);
        Ok(version)
    }
}

fn ours() -> ListParams {
    ListParams::default().labels(names::OURS)
}

/// Whether a list shows less than what is known: versions are numbers that grow. One that is none is taken as it comes.
fn is_older(version: &str, least: &str) -> bool {
    let number = |text: &str| text.parse::<u128>().ok();
    number(version).zip(number(least)).is_some_and(|(version, least)| version < least)
}
