//! What the embedded cluster itself takes: how soon it is there, and what many Jobs leave behind.

use std::{fs, time::Instant};

use kube::api::{PostParams, Request};
use serde::de::IgnoredAny;
use wm_core::RunRequest;

use super::{
    Options,
    cluster::LocalCluster,
    follow::Kind,
    plan::Side,
    process::Resident,
    round::{Bench, Round},
    table::{Row, Target},
};
use crate::Failure;

/// From the start of the process to the first Job accepted, in milliseconds.
const FIRST_JOB: f64 = 100.0;
/// Resident memory at the most, in MB.
const RESIDENT: f64 = 300.0;
/// How many Jobs run at the same time.
const AT_ONCE: usize = 100;

/// What a process holds of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    files: usize,
    children: usize,
}

/// Measures it with so many Jobs, and prints it.
pub(crate) async fn run(options: &Options, jobs: usize) -> Result<(), Failure> {
    let begin = Instant::now();
    let local = LocalCluster::start(options.wm.as_deref()).await?;
    let bench = options.bench(local.kubeconfig()).await?;
    post(&bench).await?;
    let first_job = begin.elapsed().as_secs_f64() * 1000.0;
    let id = local.id().ok_or("`wm local` has ended")?;
    let before = Held::by(id)?;
    // It fails if one of them is lost, and takes them away in the end.
    let figures = bench.measure(Side::Bound, Round { at_once: AT_ONCE, runs: jobs, pod_seconds: 0 }).await?;
    let resident = Resident::of(id)?;
    let after = Held::by(id)?;
    local.stop().await?;
    println!("The embedded cluster, {} Jobs of `true`, {AT_ONCE} at a time", figures.runs);
    let peak = kilobytes_to_megabytes(resident.peak);
    let rows = [
        ("start to first Job accepted, ms", format!("{first_job:.1}"), Target::at_most(first_job, FIRST_JOB)),
        ("resident at the most, MB", format!("{peak:.0}"), Target::at_most(peak, RESIDENT)),
        (
            "open files, before -> after",
            format!("{} -> {}", before.files, after.files),
            fewer(before.files, after.files),
        ),
        (
            "processes, before -> after",
            format!("{} -> {}", before.children, after.children),
            fewer(before.children, after.children),
        ),
    ];
    for (name, value, target) in rows {
        println!("{}", Row::alone(name, value, target));
    }
    Ok(())
}

async fn post(bench: &Bench) -> Result<(), Failure> {
    let round = Round { at_once: 1, runs: 1, pod_seconds: 0 };
    let plan = bench.plan(Side::Bound, round, "first".to_owned());
    let objects = wm_k8s::render(&RunRequest::new(plan.workload(0)?, plan.image()?), &plan.settings())?;
    let job = serde_json::to_vec(objects.first().ok_or("a run without a Job")?)?;
    let request = Request::new(Kind::Job.path(&plan.namespace)).create(&PostParams::default(), job)?;
    let _made: IgnoredAny = bench.client.request(request).await?;
    Ok(())
}

/// Connections to clients come and go; pods would be thousands.
fn fewer(before: usize, after: usize) -> Target {
    Target { text: "no more than a few".to_owned(), met: after <= before + AT_ONCE / 4 }
}

#[expect(clippy::cast_precision_loss, reason = "no machine has so much memory")]
fn kilobytes_to_megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 * 1024.0 / 1e6
}

impl Held {
    fn by(process: u32) -> Result<Self, Failure> {
        let files = fs::read_dir(format!("/proc/{process}/fd"))?.count();
        let mut children = 0;
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may end meanwhile.
            let of_task = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            children += of_task.split_whitespace().count();
        }
        Ok(Self { files, children })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_told() {
        assert!(fewer(20, 30).met && !fewer(20, 100).met);
        let here = Held::by(std::process::id()).unwrap();
        assert!(here.files > 0, "{here:?}");
    }
}
