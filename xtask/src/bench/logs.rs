//! What a log costs its reader, beside kube's bare stream of the same bytes.

use std::{sync::Arc, time::Duration};

use futures::{AsyncReadExt as _, StreamExt as _, TryStreamExt as _, future::try_join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, LogParams},
};
use wm_core::RunRequest;
use wm_image::Prebuilt;
use wm_k8s::KubernetesWorkloadManager;
use workload_manager::{
    LogQuery, LogSource, RunId, Workload, WorkloadId, WorkloadKind, WorkloadManager as _,
};

use super::{
    Options,
    cluster::LocalCluster,
    process::{self, Resident},
    round::Bench,
    table::{Row, Target},
};
use crate::Failure;

/// CPU time, as a multiple of the bare stream's.
const CPU: f64 = 1.3;
/// Memory a stream, in MiB.
const STREAM: f64 = 2.0;
/// A kubelet gives no more than its current file of 10 MiB.
const READABLE: usize = 9;
/// So many logs are followed at the same time.
const STREAMS: usize = 50;
/// What each of them writes, in MB.
const EACH: usize = 2;
/// The lines of a chatty program: 200 bytes each.
const LINE: usize = 200;

/// Measures it with so many MB, and prints it.
pub(crate) async fn run(options: &Options, megabytes: usize) -> Result<(), Failure> {
    let local = LocalCluster::start(options.wm.as_deref()).await?;
    let bench = options.bench(local.kubeconfig()).await?;
    let reader = Reader::new(&bench).await?;
    let times = megabytes.div_ceil(READABLE);
    let ended = reader.submit("ended", READABLE).await?;
    reader.end(&ended).await?;
    let read = Costs::of(&reader, &ended, times).await?;
    let followed = reader.follow_one(megabytes).await?;
    let memory = reader.follow_many().await?;
    local.stop().await?;
    println!("Logs, lines of {LINE} bytes, CPU in ms a MB{:>24}{:>18}", "reader", "bare stream");
    for (name, costs) in [("an ended log", read), ("a followed log", followed)] {
        let ratio = costs.reader / costs.bare;
        let value = format!("{:.2}{:>18.2}", costs.reader, costs.bare);
        let text = format!("at most {CPU} x, is {ratio:.2} x");
        println!("{}", Row::alone(name, value, Target { text, met: ratio <= CPU }));
    }
    println!(
        "{}",
        Row::alone("memory a followed log, MiB", format!("{memory:.2}"), Target::at_most(memory, STREAM))
    );
    Ok(())
}

/// CPU time in milliseconds a MB.
#[derive(Clone, Copy, Debug)]
struct Costs {
    reader: f64,
    bare: f64,
}

impl Costs {
    async fn of(reader: &Reader<'_>, run: &RunId, times: usize) -> Result<Self, Failure> {
        let pod = reader.pod(run).await?;
        let (mut ours, mut bare) = (Duration::ZERO, Duration::ZERO);
        let mut bytes = 0;
        // By turns, so that both meet the same machine.
        for _ in 0..times {
            let begin = process::cpu();
            let read = reader.read(run, false).await?;
            ours += process::cpu().saturating_sub(begin);
            let begin = process::cpu();
            let streamed = reader.stream(&pod, false).await?;
            bare += process::cpu().saturating_sub(begin);
            if streamed < read {
                return Err(format!("{read} bytes were read, and {streamed} are there").into());
            }
            bytes += read;
        }
        Ok(Self { reader: per_megabyte(ours, bytes), bare: per_megabyte(bare, bytes) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a measure needs no more digits")]
fn per_megabyte(cpu: Duration, bytes: usize) -> f64 {
    cpu.as_secs_f64() * 1000.0 / (bytes as f64 / 1e6)
}

struct Reader<'a> {
    bench: &'a Bench,
    manager: Arc<KubernetesWorkloadManager>,
    pods: Api<Pod>,
}

impl<'a> Reader<'a> {
    async fn new(bench: &'a Bench) -> Result<Self, Failure> {
        let settings = wm_k8s::KubernetesSettings::new(&bench.namespace, &bench.service_account);
        let images = Arc::new(Prebuilt::new(bench.image.parse()?));
        let manager = Arc::new(KubernetesWorkloadManager::new(bench.client.clone(), settings, images).await?);
        let pods = Api::namespaced(bench.client.clone(), &bench.namespace);
        Ok(Self { bench, manager, pods })
    }

    /// Starts a program that writes so many MB.
    async fn submit(&self, id: &str, megabytes: usize) -> Result<RunId, Failure> {
        let lines = megabytes * 1_000_000 / LINE;
        // Cut into pieces, so that one who reads along can keep up.
        let script = format!("yes {} | head -n {lines}", "x".repeat(LINE - 1));
        let workload = Workload::builder(WorkloadId::new(id)?, WorkloadKind::Run);
        let workload = workload.command(["sh".to_owned(), "-c".to_owned(), script]).build()?;
        let request = RunRequest::new(workload, self.bench.image.parse()?);
        Ok(self.manager.submit(&request).await?.run)
    }

    async fn end(&self, run: &RunId) -> Result<(), Failure> {
        let mut states = self.manager.watch(run).await?;
        let mut last = None;
        while let Some(state) = states.next().await {
            last = state?.verdict;
        }
        match last {
            Some(verdict) if verdict.is_success() => Ok(()),
            other => Err(format!("a program that only writes ended so: {other:?}").into()),
        }
    }

    async fn pod(&self, run: &RunId) -> Result<String, Failure> {
        let params = ListParams::default().labels(&format!("workload-manager/id={}", run.workload));
        let pods = self.pods.list(&params).await?;
        Ok(pods.items.into_iter().find_map(|pod| pod.metadata.name).ok_or("the run has no pod")?)
    }

    /// Reads it as a server does; gives the bytes of the program.
    async fn read(&self, run: &RunId, follow: bool) -> Result<usize, Failure> {
        let query = LogQuery { follow, ..LogQuery::default() };
        let mut records = self.manager.logs(&run.workload, &query).await?;
        let mut bytes = 0;
        while let Some(record) = records.try_next().await? {
            if let LogSource::Output { .. } = record.source {
                bytes += record.line.len() + usize::from(record.ended);
            }
        }
        Ok(bytes)
    }

    /// Reads it as kube gives it, with the times that a reader needs.
    async fn stream(&self, pod: &str, follow: bool) -> Result<usize, Failure> {
        let params = LogParams { follow, timestamps: true, ..LogParams::default() };
        let mut stream = Box::pin(self.pods.log_stream(pod, &params).await?);
        let mut buffer = vec![0; 64 * 1024];
        let mut bytes = 0;
        loop {
            match stream.read(&mut buffer).await? {
                0 => return Ok(bytes),
                read => bytes += read,
            }
        }
    }

    /// Follows one log while it is written, and the same program's again with a bare stream.
    async fn follow_one(&self, megabytes: usize) -> Result<Costs, Failure> {
        let run = self.submit("read", megabytes).await?;
        let begin = process::cpu();
        let read = self.read(&run, true).await?;
        let ours = process::cpu().saturating_sub(begin);
        let run = self.submit("streamed", megabytes).await?;
        let pod = loop {
            // It is there when the run has a place.
            if self.manager.status(&run).await?.place.get("pod").is_some()
                && let Ok(pod) = self.pod(&run).await
                && self.pods.log_stream(&pod, &LogParams::default()).await.is_ok()
            {
                break pod;
            }
            tokio::task::yield_now().await;
        };
        let begin = process::cpu();
        let streamed = self.stream(&pod, true).await?;
        let bare = process::cpu().saturating_sub(begin);
        Ok(Costs { reader: per_megabyte(ours, read), bare: per_megabyte(bare, streamed) })
    }

    /// The memory that each of many followed logs takes, in MiB.
    #[expect(clippy::cast_precision_loss, reason = "a measure needs no more digits")]
    async fn follow_many(&self) -> Result<f64, Failure> {
        let runs = try_join_all(
            (0..STREAMS).map(|number| async move { self.submit(&format!("many-{number}"), EACH).await }),
        )
        .await?;
        // The kernel counts the peak anew from here.
        std::fs::write("/proc/self/clear_refs", "5")?;
        let before = Resident::read()?.now;
        try_join_all(runs.iter().map(|run| self.read(run, true))).await?;
        let grown = Resident::read()?.peak.saturating_sub(before);
        Ok(grown as f64 / 1024.0 / STREAMS as f64)
    }
}
