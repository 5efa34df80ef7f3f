use wm_core::{ImageRequest, RunRequest};

use super::{
    exit,
    failure::{CommandResult, Failure},
    manifests,
    output::Output,
    session,
    workload::WorkloadArguments,
};

const EXAMPLES: &str = "\
Examples:
  wm render --id nightly --image registry.example.com/team/app:1.2 -- python -m app
  wm render --id nightly -- true | kubectl diff -f -

Nothing is submitted and no cluster is asked. Secret values are never printed.";

/// Print the objects that `wm run` would submit, as YAML
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RenderArguments {
    #[command(flatten)]
    workload: WorkloadArguments,
}

impl RenderArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        let configuration = session::load()?;
        let settings = session::kubernetes(&configuration)?;
        let workload = self.workload.into_workload(&configuration)?;
        let request =
            ImageRequest::new(workload.id().clone(), workload.kind(), workload.snapshot_image().cloned());
        let resolved = configuration.resolve_image(&request).await.map_err(|error| {
            Failure::from(error)
                .advising("name an image with --image, or configure one (`wm config` shows the settings)")
        })?;
        manifests::print(&wm_k8s::render(&RunRequest::new(workload, resolved.image), &settings)?, output)?;
        Ok(exit::OK)
    }
}
