//! A server that shows its metrics to Prometheus.
//!
//! `cargo run --example metrics` launches a few runs on the embedded cluster, then serves what was counted at
//! <http://127.0.0.1:9464/metrics> until Ctrl-C. docs/operations.md explains each metric.

#![expect(clippy::print_stdout, reason = "it tells where to look")]

use std::{error::Error, net::SocketAddr};

use axum::{Router, routing::get};
use futures::future::try_join_all;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::net::TcpListener;
use workload_manager::{Setup, Workload, WorkloadId, WorkloadKind, describe_metrics};

/// From a request to the API to a run of a day.
const SECONDS: [f64; 12] = [0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = "127.0.0.1:9464".parse()?;
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    describe_metrics();

    let launcher = Setup::from_process().default_source("local").load()?.launcher().await?;
    let verdicts = (0..4).map(|code| {
        let launcher = &launcher;
        async move {
            let workload = Workload::builder(WorkloadId::new(format!("run-{code}"))?, WorkloadKind::Run)
                .snapshot_image("registry.example.com/team/app:1.2".parse()?)
                .command(["sh", "-c", &format!("echo hello; exit {code}")])
                .build()?;
            launcher.launch(workload).await?.wait().await
        }
    });
    for verdict in try_join_all(verdicts).await? {
        println!("{verdict}");
    }
    let page = Router::new().route("/metrics", get(async move || recorder.render()));
    println!("http://{address}/metrics");
    axum::serve(TcpListener::bind(address).await?, page).await?;
    Ok(())
}
