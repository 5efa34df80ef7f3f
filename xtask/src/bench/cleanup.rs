//! Removes what a measurement left on the cluster.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Client,
    api::{DeleteParams, ListParams, Request},
};
use serde::{Deserialize, de::IgnoredAny};
use tokio::time::sleep;

use super::follow::Kind;
use crate::Failure;

const DELETES_AT_ONCE: usize = 8;
const POLL: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Deletes the Jobs whose names begin so, and waits until they and their pods are gone.
pub(crate) async fn remove(client: &Client, namespace: &str, prefix: &str) -> Result<(), Failure> {
    let jobs = names(client, Kind::Job, namespace, prefix).await?;
    stream::iter(jobs)
        .map(|job| async move {
            let request =
                Request::new(Kind::Job.path(namespace)).delete(&job, &DeleteParams::background())?;
            match client.request::<IgnoredAny>(request).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                other => other.map(|_| ()).map_err(Failure::from),
            }
        })
        .buffer_unordered(DELETES_AT_ONCE)
        .try_collect::<()>()
        .await?;
    for kind in [Kind::Job, Kind::Pod] {
        while !names(client, kind, namespace, prefix).await?.is_empty() {
            sleep(POLL).await;
        }
    }
    Ok(())
}

async fn names(client: &Client, kind: Kind, namespace: &str, prefix: &str) -> Result<Vec<String>, Failure> {
    let request = Request::new(kind.path(namespace)).list(&ListParams::default())?;
    let list: List = client.request(request).await?;
    let names = list.items.into_iter().map(|item| item.metadata.name);
    Ok(names.filter(|name| name.starts_with(prefix)).collect())
}
