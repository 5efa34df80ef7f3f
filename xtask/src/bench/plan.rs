//! What one side of the benchmark is to do, as its process's arguments.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};
use wm_k8s::KubernetesSettings;
use workload_manager::{ImageReference, Workload, WorkloadId, WorkloadKind};

use crate::Failure;

/// The two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// The launcher, as a server embeds it.
    Launcher,
    /// The least that does the same: a POST a run, two watches for all.
    Bound,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Launcher => "launcher",
            Self::Bound => "bound",
        }
    }
}

/// What one side is to do.
#[derive(Clone, Debug, Args)]
pub(crate) struct Plan {
    #[arg(long, value_enum)]
    pub(crate) side: Side,
    #[arg(long)]
    pub(crate) kubeconfig: PathBuf,
    #[arg(long)]
    pub(crate) namespace: String,
    #[arg(long)]
    pub(crate) service_account: String,
    #[arg(long)]
    pub(crate) image: String,
    /// What the ids of all runs begin with.
    #[arg(long)]
    pub(crate) prefix: String,
    #[arg(long)]
    pub(crate) at_once: usize,
    #[arg(long)]
    pub(crate) runs: usize,
    #[arg(long)]
    pub(crate) pod_seconds: u32,
}

impl Plan {
    /// The arguments that make this plan.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let text = |text: &str| OsString::from(text);
        [
            (text("--side"), text(self.side.name())),
            (text("--kubeconfig"), self.kubeconfig.clone().into_os_string()),
            (text("--namespace"), text(&self.namespace)),
            (text("--service-account"), text(&self.service_account)),
            (text("--image"), text(&self.image)),
            (text("--prefix"), text(&self.prefix)),
            (text("--at-once"), self.at_once.to_string().into()),
            (text("--runs"), self.runs.to_string().into()),
            (text("--pod-seconds"), self.pod_seconds.to_string().into()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .collect()
    }

    /// The numbers of the runs, in the portions that are launched together.
    pub(crate) fn waves(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (runs, at_once) = (self.runs, self.at_once);
        (0..runs).step_by(at_once).map(move |first| first..(first + at_once).min(runs))
    }

    pub(crate) fn workload(&self, number: usize) -> Result<Workload, Failure> {
        let id = WorkloadId::new(format!("{}-{number}", self.prefix))?;
        let builder = Workload::builder(id, WorkloadKind::Run);
        let builder = match self.pod_seconds {
            0 => builder.command(["true"]),
            seconds => builder.command(["sleep".to_owned(), seconds.to_string()]),
        };
        Ok(builder.build()?)
    }

    pub(crate) fn image(&self) -> Result<ImageReference, Failure> {
        Ok(self.image.parse()?)
    }

    pub(crate) fn settings(&self) -> KubernetesSettings {
        KubernetesSettings::new(&self.namespace, &self.service_account)
    }

    /// The name of a run's Job, and what the names of all begin with.
    pub(crate) fn job(workload: &WorkloadId) -> String {
        format!("runner-{workload}-1")
    }

    pub(crate) fn job_prefix(&self) -> String {
        format!("runner-{}-", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use wm_core::RunRequest;

    use super::{super::follow::RUNNERS, *};

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        plan: Plan,
    }

    fn plan() -> Plan {
        Plan {
            side: Side::Bound,
            kubeconfig: PathBuf::from("/etc/kubeconfig"),
            namespace: "runs".to_owned(),
            service_account: "runner".to_owned(),
            image: "busybox".to_owned(),
            prefix: "bench-1".to_owned(),
            at_once: 8,
            runs: 20,
            pod_seconds: 3,
        }
    }

    #[test]
    fn the_arguments_make_the_same_plan_again() {
        let arguments = std::iter::once(OsString::from("bench-side")).chain(plan().arguments());
        let again = Command::parse_from(arguments).plan;
        assert_eq!(format!("{again:?}"), format!("{:?}", plan()));
    }

    #[test]
    fn waves_cover_all_runs_once() {
        assert_eq!(plan().waves().collect::<Vec<_>>(), [0..8, 8..16, 16..20]);
    }

    fn job(workload: &Workload) -> serde_json::Value {
        let request = RunRequest::new(workload.clone(), plan().image().unwrap());
        wm_k8s::render(&request, &plan().settings()).unwrap().swap_remove(0)
    }

    #[test]
    fn a_job_and_its_pods_have_the_labels_that_are_watched() {
        let job = job(&plan().workload(7).unwrap());
        for labels in [&job["metadata"]["labels"], &job["spec"]["template"]["metadata"]["labels"]] {
            for (key, value) in RUNNERS.split(',').filter_map(|label| label.split_once('=')) {
                assert_eq!(labels[key], value, "{key}");
            }
        }
    }

    #[test]
    fn a_job_is_named_as_the_manager_names_it() {
        let workload = plan().workload(7).unwrap();
        assert_eq!(job(&workload)["metadata"]["name"], Plan::job(workload.id()));
        assert!(Plan::job(workload.id()).starts_with(&plan().job_prefix()));
    }
}
