//! A cluster, the wire to it, and what is run there.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use serde_json::Value;
use tempfile::TempDir;
use wm_core::{
    Attempt, Capabilities, Error, ErrorKind, ImageRequest, ImageStrategy, LogQuery, LogStream, Phase,
    ResolvedImage, Result, RunId, RunRequest, RunStatus, StatusStream, Verdict, Workload, WorkloadBuilder,
    WorkloadId, WorkloadKind, WorkloadManager as _,
};
use wm_k8s::{Credentials, KubernetesSettings, KubernetesWorkloadManager, connect};
use wm_local::{Cluster, ClusterOptions};

use crate::wire::Wire;

/// A cluster of its own for each test.
pub(crate) struct Stage {
    pub(crate) wire: Wire,
    /// Past the wire: what the tests ask themselves is not counted.
    pub(crate) direct: Client,
    pub(crate) cluster: Cluster,
    directory: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ClusterOptions)) -> Self {
        let mut options = ClusterOptions::default();
        options.job_sync_delay = Duration::from_millis(20);
        options.job_backoff = Duration::from_millis(20);
        change(&mut options);
        let cluster = Cluster::start(options).await.unwrap();
        let direct = connect(&Credentials::Kubeconfig(cluster.kubeconfig())).await.unwrap();
        Self { wire: Wire::new(direct.clone()), direct, cluster, directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn manager(&self) -> KubernetesWorkloadManager {
        self.manager_with(KubernetesSettings::new("default", "default")).await.unwrap()
    }

    pub(crate) async fn manager_with(
        &self,
        settings: KubernetesSettings,
    ) -> Result<KubernetesWorkloadManager> {
        KubernetesWorkloadManager::new(self.wire.client(), settings, Arc::new(NoImages)).await
    }

    /// A manager of another server, past the wire.
    pub(crate) async fn observer(&self) -> KubernetesWorkloadManager {
        let settings = KubernetesSettings::new("default", "default");
        KubernetesWorkloadManager::new(self.direct.clone(), settings, Arc::new(NoImages)).await.unwrap()
    }

    /// From now on this goes wrong in the cluster, until it is lifted.
    pub(crate) fn inject(&self, fault: &str) -> u64 {
        self.cluster.faults().inject(fault.parse().unwrap())
    }

    /// A gate at which programs wait.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        let path = self.directory.path().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // Open for both, so that neither side waits for the other to open it.
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        Gate { path, file }
    }

    /// The objects of a kind, as the cluster has them.
    pub(crate) async fn objects(&self, path: &str) -> Vec<Value> {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let list: Value = self.direct.request(request).await.unwrap();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn jobs(&self) -> Vec<Value> {
        self.objects("/apis/batch/v1/namespaces/default/jobs").await
    }

    pub(crate) async fn secrets(&self) -> Vec<Value> {
        self.objects("/api/v1/namespaces/default/secrets").await
    }

    pub(crate) async fn pods(&self) -> Vec<Value> {
        self.objects("/api/v1/namespaces/default/pods").await
    }

    pub(crate) async fn job_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .jobs()
            .await
            .iter()
            .map(|job| job["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Makes an object as somebody else would.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Value {
        self.direct
            .request(http::Request::post(path).body(object.to_string().into_bytes()).unwrap())
            .await
            .unwrap()
    }

    /// Deletes an object as somebody else would.
    pub(crate) async fn delete(&self, path: &str) {
        let request = http::Request::delete(path).body(br#"{"propagationPolicy":"Background"}"#.to_vec());
        let _gone: Value = self.direct.request(request.unwrap()).await.unwrap();
    }
}

/// A gate, closed until it is opened for so many.
pub(crate) struct Gate {
    path: PathBuf,
    file: File,
}

impl Gate {
    /// The shell command that waits at the gate.
    pub(crate) fn wait(&self) -> String {
        format!("read -r go < '{}'", self.path.display())
    }

    pub(crate) fn path(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn open(&mut self, times: usize) {
        self.file.write_all("go\n".repeat(times).as_bytes()).unwrap();
    }
}

/// These tests name their images themselves.
#[derive(Debug)]
pub(crate) struct NoImages;

#[async_trait]
impl ImageStrategy for NoImages {
    fn name(&self) -> &'static str {
        "reuse"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn resolve(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        let image = request.snapshot_image.clone();
        let image = image.ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "there is no image"))?;
        Ok(ResolvedImage::new(image, "it is the snapshot's"))
    }
}

pub(crate) fn id(text: &str) -> WorkloadId {
    WorkloadId::new(text).unwrap()
}

pub(crate) fn run_id(workload: &str, attempt: u32) -> RunId {
    RunId { workload: id(workload), kind: WorkloadKind::Run, attempt: Attempt::new(attempt).unwrap() }
}

/// A workload that is a shell script.
pub(crate) fn script(workload: &str, script: &str) -> WorkloadBuilder {
    Workload::builder(id(workload), WorkloadKind::Run).command(["sh", "-c", script])
}

pub(crate) fn request(workload: WorkloadBuilder) -> RunRequest {
    RunRequest::new(workload.build().unwrap(), "registry.example.com/app:1".parse().unwrap())
}

/// The states of a run to its end.
pub(crate) async fn states(stream: StatusStream) -> Vec<RunStatus> {
    stream.try_collect().await.unwrap()
}

/// Follows a run to its end.
pub(crate) async fn verdict(manager: &KubernetesWorkloadManager, run: &RunId) -> Verdict {
    states(manager.watch(run).await.unwrap()).await.pop().unwrap().verdict.unwrap()
}

/// Follows a run until it is there.
pub(crate) async fn reach(manager: &KubernetesWorkloadManager, run: &RunId, phase: Phase) {
    let mut stream = manager.watch(run).await.unwrap();
    while let Some(status) = stream.next().await {
        if status.unwrap().phase == phase {
            return;
        }
    }
    panic!("{run} ended and was never {phase}");
}

/// Submits, and waits for the end.
pub(crate) async fn finish(manager: &KubernetesWorkloadManager, request: &RunRequest) -> RunId {
    let run = manager.submit(request).await.unwrap().run;
    verdict(manager, &run).await;
    run
}

pub(crate) async fn lines(stream: LogStream) -> Vec<String> {
    stream.map_ok(|record| record.text().into_owned()).try_collect().await.unwrap()
}

/// What the log has now.
pub(crate) async fn log(manager: &KubernetesWorkloadManager, workload: &str) -> Vec<String> {
    lines(manager.logs(&id(workload), &LogQuery::default()).await.unwrap()).await
}

pub(crate) fn following() -> LogQuery {
    LogQuery { follow: true, ..LogQuery::default() }
}
