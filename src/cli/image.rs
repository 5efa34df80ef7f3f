//! Images of runners: which one, whether it is there, how it is built.

mod source;

use std::{collections::HashSet, error::Error as _, time::Duration};

use serde_json::json;
use tokio::time::interval;
use wm_core::Probe;
use wm_image::BuildFailed;
use workload_manager::{
    Configuration, Cursor, Error, ErrorKind, ImageReference, LogQuery, LogRecord, WorkloadId, WorkloadManager,
};

use self::source::{DockerfileArguments, RequestArguments};
use super::{
    exit,
    failure::{CommandResult, Failure},
    lines, manifests,
    output::{self, Output},
    session,
};

const EXAMPLES: &str = "\
Examples:
  wm image dockerfile --parent zenmldocker/zenml:0.98.0-py3.12 --apt git --pip 'boto3>=1.34'
  wm image resolve --dockerfile Dockerfile
  wm image probe registry.example.com/team/app:1.2
  wm image build --parent python:3.12 --pip requests

Which way to a runner's image is taken (build, prebuilt, reuse) is a matter of the configuration: `wm config`.";

/// How often the log of a build is read.
const READ: Duration = Duration::from_millis(500);

/// Tell a runner's image, look for it, build it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImageArguments {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(clap::Subcommand)]
enum ImageCommand {
    /// Print the image that a runner would start from, and why; no registry and no cluster is asked
    Resolve(RequestArguments),
    /// Ask the registry whether it has an image; exit code 4 if not, 5 if nobody can tell
    Probe {
        /// The image; by default the one that `resolve` tells
        #[arg(value_name = "IMAGE")]
        reference: Option<ImageReference>,
        #[command(flatten)]
        request: RequestArguments,
    },
    /// Build the image if it is not there, and print its name with its digest; the build's log goes to stderr
    Build {
        /// Print the pod that would build it, as YAML, and build nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        request: RequestArguments,
    },
    /// Print the Dockerfile that installs packages on a parent image
    Dockerfile(DockerfileArguments),
}

impl ImageArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        match self.command {
            ImageCommand::Resolve(request) => resolve(request, output).await,
            ImageCommand::Probe { reference, request } => probe(reference, request, output).await,
            ImageCommand::Build { dry_run, request } => build(dry_run, request, output).await,
            ImageCommand::Dockerfile(arguments) => dockerfile(arguments, output),
        }
    }
}

async fn resolve(request: RequestArguments, output: Output) -> CommandResult {
    let configuration = session::load()?;
    let resolved = configuration.resolve_image(&request.into_request()?).await.map_err(advised)?;
    if output.is_json() {
        output::object(&json!({ "image": resolved }))?;
    } else {
        output::text(&format!("{}\n", resolved.image))?;
        output.note(&resolved.explanation)?;
    }
    Ok(exit::OK)
}

async fn probe(
    reference: Option<ImageReference>,
    request: RequestArguments,
    output: Output,
) -> CommandResult {
    let configuration = session::load()?;
    let image = match reference {
        Some(image) => image,
        None => configuration.resolve_image(&request.into_request()?).await.map_err(advised)?.image,
    };
    let probe = configuration.probe_image(&image).await?;
    let (state, found, why, code) = match &probe {
        Probe::Found(digest) => ("found", Some(image.with_digest(digest)?), None, exit::OK),
        Probe::Absent => ("absent", None, None, exit::NOT_FOUND),
        Probe::Unknown(why) => ("unknown", None, Some(why), exit::CLUSTER),
    };
    if output.is_json() {
        output::object(&json!({ "probe": { "image": image, "state": state, "found": found, "why": why } }))?;
        return Ok(code);
    }
    match (found, why) {
        (Some(found), _) => output::text(&format!("{found}\n"))?,
        (None, None) => output.note(&format!("the registry does not have {image}"))?,
        (None, Some(why)) => output.note(&format!("nobody can tell whether {image} is there: {why}"))?,
    }
    Ok(code)
}

fn dockerfile(arguments: DockerfileArguments, output: Output) -> CommandResult {
    let text = wm_image::generate_dockerfile(&arguments.into_requirements())?;
    let hash = wm_image::dockerfile_hash(&text);
    if output.is_json() {
        output::object(&json!({ "dockerfile": text, "hash": hash }))?;
    } else {
        output::text(&format!("{text}\n"))?;
        output.note(&format!("its hash, without the line break at the end, is {hash}"))?;
    }
    Ok(exit::OK)
}

async fn build(dry_run: bool, request: RequestArguments, output: Output) -> CommandResult {
    let configuration = session::load()?;
    let request = request.into_request()?;
    let Some(plan) = configuration.plan_build(&request).await.map_err(advised)? else {
        return Err(not_building(&configuration));
    };
    if dry_run {
        manifests::print(
            &[
                json!({ "apiVersion": "v1", "kind": "PodTemplate", "metadata": { "name": format!("builder-{}", plan.id) }, "template": plan.pod }),
            ],
            output,
        )?;
        return Ok(exit::OK);
    }
    session::tell_warnings(&configuration, output)?;
    let manager = configuration.manager().await?;
    let told = HashSet::new();
    let mut log = Log { manager: &*manager, workload: &request.workload, after: None, told, output };
    let resolution = manager.resolve_image(&request);
    tokio::pin!(resolution);
    let mut pulse = interval(READ);
    let resolved = loop {
        tokio::select! {
            resolved = &mut resolution => break resolved,
            _ = pulse.tick() => log.show().await?,
        }
    };
    log.show().await?;
    let resolved = resolved.map_err(failed)?;
    if output.is_json() {
        output::object(&json!({ "image": resolved }))?;
    } else {
        output.note(&resolved.explanation)?;
        output::text(&format!("{}\n", resolved.image))?;
    }
    Ok(exit::OK)
}

/// The log of a workload whose image is built, read piece by piece.
struct Log<'a> {
    manager: &'a dyn WorkloadManager,
    workload: &'a WorkloadId,
    after: Option<Cursor>,
    /// What has no place in the log, such as what is missing from it, and has been told.
    told: HashSet<Vec<u8>>,
    output: Output,
}

impl Log<'_> {
    /// Shows what is new. A log that can't be read is not worth the build.
    async fn show(&mut self) -> Result<(), Failure> {
        let query = LogQuery { after: self.after.clone(), ..LogQuery::default() };
        let Ok(new) = self.manager.logs(self.workload, &query).await else { return Ok(()) };
        let (after, told, output) = (&mut self.after, &mut self.told, self.output);
        let read = lines::write(new, |records| {
            if let Some(cursor) = records.iter().rev().find_map(|record| record.cursor.clone()) {
                *after = Some(cursor);
            }
            let is_new = |record: &&LogRecord| record.cursor.is_some() || told.insert(record.line.clone());
            let new: Vec<_> = records.iter().filter(is_new).cloned().collect();
            output.log_beside(&new)
        });
        if let Err(error) = read.await? {
            tracing::debug!(%error, "The build's log can't be read");
        }
        Ok(())
    }
}

fn advised(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::InvalidRequest => Failure::from(error)
            .advising("pass --dockerfile FILE, or --parent with --apt and --pip, or an image with --image"),
        _ => Failure::from(error),
    }
}

/// A build that failed says itself what to do.
fn failed(error: Error) -> Failure {
    let failed = error.source().and_then(|source| source.downcast_ref::<BuildFailed>());
    match failed.map(|failed| failed.verdict().advice.clone()) {
        Some(advice) => Failure::from(error).advising(advice).with_code(exit::FAILED),
        None => Failure::from(error),
    }
}

fn not_building(configuration: &Configuration) -> Failure {
    let error = Error::new(ErrorKind::Unsupported, "runner images are not built by this configuration")
        .with_context("source", configuration.source());
    Failure::from(error).advising(format!(
        "export {}=true, and {} to where they are pushed",
        wm_config::variable::BUILD_RUNNER_IMAGE,
        wm_config::variable::DOCKER_REGISTRY
    ))
}
