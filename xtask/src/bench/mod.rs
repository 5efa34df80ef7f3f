//! What a run costs in the launcher, beside a lower bound: the same Jobs posted bare over one client with one watch.
//!
//! Launcher and bound run one after the other against the same cluster, each in a fresh process, so that its CPU time
//! and memory are its own. This process only watches the pods end, by which both are timed.

mod bound;
mod cleanup;
mod cluster;
mod counter;
mod embedded;
mod figures;
mod follow;
mod launcher;
mod logs;
mod observer;
mod plan;
mod process;
mod recorder;
mod round;
mod table;

use std::path::PathBuf;

use clap::Args;
use kube::Client;
use tokio::runtime::Runtime;
use wm_k8s::{Credentials, connect};

pub(crate) use self::plan::Plan;
use self::{
    cluster::LocalCluster,
    plan::Side,
    round::{Bench, Round},
};
use crate::Failure;

/// What to measure, and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The cluster; the embedded one, in a process of its own, if not given.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The namespace of the Jobs.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// The service account of the pods.
    #[arg(long, default_value = "default")]
    service_account: String,
    /// An image that has `true` and `sleep`.
    #[arg(long, default_value = "busybox")]
    image: String,
    /// How many runs at once, one round for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,50,200,1000")]
    at: Vec<usize>,
    /// How many seconds a pod takes; 0 for one that ends at once.
    #[arg(long, default_value_t = 0)]
    duration: u32,
    /// How many seconds a pod takes in the last round, where all runs are in flight together; 0 leaves it out.
    #[arg(long, default_value_t = 60)]
    hold: u32,
    /// A round of fewer runs is repeated until so many have been measured.
    #[arg(long, default_value_t = 100)]
    least_runs: usize,
    /// Measures the embedded cluster itself with so many Jobs instead; 10000 by default.
    #[arg(long, num_args = 0..=1, default_missing_value = "10000", conflicts_with = "kubeconfig", value_name = "JOBS")]
    embedded: Option<usize>,
    /// Measures what the reader of a log costs instead, with so many MB; 100 by default.
    #[arg(long, num_args = 0..=1, default_missing_value = "100", conflicts_with_all = ["kubeconfig", "embedded"], value_name = "MB")]
    logs: Option<usize>,
    /// One JSON object a round, instead of tables.
    #[arg(long)]
    json: bool,
    /// The `wm` that serves the embedded cluster.
    #[arg(long, hide = true)]
    wm: Option<PathBuf>,
}

impl Options {
    async fn bench(&self, kubeconfig: PathBuf) -> Result<Bench, Failure> {
        Ok(Bench {
            client: client(&kubeconfig).await?,
            kubeconfig,
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
            image: self.image.clone(),
        })
    }

    fn rounds(&self) -> Vec<Round> {
        let measured = self.at.iter().filter(|at| **at > 0).map(|&at_once| Round {
            at_once,
            runs: at_once * self.least_runs.div_ceil(at_once).max(1),
            pod_seconds: self.duration,
        });
        let held = self.at.iter().max().filter(|_| self.hold > 0);
        let held = held.map(|&most| Round { at_once: most, runs: most, pod_seconds: self.hold });
        measured.chain(held).collect()
    }
}

/// Measures all rounds and prints them.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    Runtime::new()?.block_on(async {
        if let Some(jobs) = options.embedded {
            return embedded::run(options, jobs).await;
        }
        if let Some(megabytes) = options.logs {
            return logs::run(options, megabytes).await;
        }
        let local = match &options.kubeconfig {
            Some(_) => None,
            None => Some(LocalCluster::start(options.wm.as_deref()).await?),
        };
        let kubeconfig = match (&options.kubeconfig, &local) {
            (Some(path), _) => path.clone(),
            (None, Some(local)) => local.kubeconfig(),
            (None, None) => return Err("there is no cluster".into()),
        };
        let measured = rounds(options, kubeconfig).await;
        if let Some(local) = local {
            local.stop().await?;
        }
        measured
    })
}

async fn rounds(options: &Options, kubeconfig: PathBuf) -> Result<(), Failure> {
    let bench = options.bench(kubeconfig).await?;
    for round in options.rounds() {
        let bound = bench.measure(Side::Bound, round).await?;
        let launcher = bench.measure(Side::Launcher, round).await?;
        if options.json {
            println!("{}", serde_json::json!({ "round": round, "launcher": launcher, "bound": bound }));
        } else {
            println!("{}", table::table(round, &launcher, &bound));
        }
    }
    Ok(())
}

/// Does one side's part and prints its report.
pub(crate) fn run_side(plan: &Plan) -> Result<(), Failure> {
    Runtime::new()?.block_on(async {
        let client = client(&plan.kubeconfig).await?;
        let report = match plan.side {
            Side::Launcher => launcher::run(plan, client).await?,
            Side::Bound => bound::run(plan, client).await?,
        };
        println!("{}", serde_json::to_string(&report)?);
        Ok(())
    })
}

async fn client(kubeconfig: &PathBuf) -> Result<Client, Failure> {
    let text = std::fs::read_to_string(kubeconfig)
        .map_err(|error| format!("{} can't be read: {error}", kubeconfig.display()))?;
    Ok(connect(&Credentials::Kubeconfig(text)).await?)
}
