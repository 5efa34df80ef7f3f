//! One measurement of one side, in a fresh process.

use std::{env, path::PathBuf, pin::pin, process::Stdio};

use kube::Client;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};
use uuid::Uuid;

use super::{
    cleanup,
    figures::Figures,
    observer::Observer,
    plan::{Plan, Side},
};
use crate::Failure;

/// How many runs, how many of them at once, and how long their pods take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Round {
    pub(crate) at_once: usize,
    pub(crate) runs: usize,
    pub(crate) pod_seconds: u32,
}

/// Where all rounds are measured.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    pub(crate) image: String,
}

impl Bench {
    /// Measures one side and removes what it left, also after a failure.
    pub(crate) async fn measure(&self, side: Side, round: Round) -> Result<Figures, Failure> {
        // Two benchmarks may share a cluster, so each measurement has names of its own.
        let unique = Uuid::new_v4().simple().to_string();
        let plan = self.plan(side, round, format!("bench-{}", &unique[..12]));
        let measured = self.observed(&plan).await;
        cleanup::remove(&self.client, &self.namespace, &plan.job_prefix()).await?;
        measured
    }

    /// What one side is to do, with ids that begin so.
    pub(crate) fn plan(&self, side: Side, round: Round, prefix: String) -> Plan {
        Plan {
            side,
            kubeconfig: self.kubeconfig.clone(),
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
            image: self.image.clone(),
            prefix,
            at_once: round.at_once,
            runs: round.runs,
            pod_seconds: round.pod_seconds,
        }
    }

    async fn observed(&self, plan: &Plan) -> Result<Figures, Failure> {
        let mut observer = Observer::start(&self.client, &self.namespace, &plan.job_prefix()).await?;
        let mut process = Command::new(env::current_exe()?)
            .arg("bench-side")
            .args(plan.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut output = process.stdout.take().ok_or("the output of the side is not ours")?;
        let mut go_on = process.stdin.take().ok_or("the input of the side is not ours")?;
        let mut reading = pin!(async {
            let mut text = String::new();
            output.read_to_string(&mut text).await.map(|_| text)
        });
        let letting_go = async {
            observer.finished(plan.runs).await?;
            go_on.write_all(b"\n").await.map_err(Failure::from)
        };
        let text = tokio::select! {
            // It ended too early, and has printed why.
            text = &mut reading => text?,
            seen = letting_go => {
                seen?;
                reading.await?
            }
        };
        let status = process.wait().await?;
        if !status.success() {
            return Err(format!("{:?} failed, {status}: {}", plan.side, text.trim_end()).into());
        }
        Ok(Figures::new(&serde_json::from_str(&text)?, plan.at_once, &observer.pod_ends()))
    }
}
