//! A workload from the words of a command line.

use std::{env, num::NonZeroU32, time::Duration};

use uuid::Uuid;
use workload_manager::{Attempt, Configuration, ImageReference, Workload, WorkloadId, WorkloadKind};

use super::failure::Failure;

/// What a run that has no image is said to start from: the embedded cluster starts programs of this machine.
const NO_IMAGE: &str = "local/none";

/// What to run.
///
/// Without `Debug`: it has secret values.
#[derive(clap::Args)]
pub(crate) struct WorkloadArguments {
    /// The workload's id, usually a UUID; a new one by default
    #[arg(long)]
    id: Option<WorkloadId>,

    /// What the id names: `snapshot` or `run`
    #[arg(long, value_name = "KIND", default_value_t = WorkloadKind::Run)]
    kind: WorkloadKind,

    /// The image that the workload was built with; a configured runner image wins over it
    #[arg(long)]
    image: Option<ImageReference>,

    /// An environment variable; KEY alone takes it from wm's own environment
    #[arg(long = "env", short = 'e', value_name = "KEY=VALUE")]
    variables: Vec<String>,

    /// As --env, but the value is never shown; KEY alone also keeps it out of the shell's history
    #[arg(long = "secret", value_name = "KEY[=VALUE]")]
    secrets: Vec<String>,

    /// How long it may run
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,

    /// Which attempt it is; the next one by default
    #[arg(long, value_name = "N")]
    attempt: Option<NonZeroU32>,

    /// Another id under which it will be asked for
    #[arg(long = "alias", value_name = "ID")]
    aliases: Vec<WorkloadId>,

    /// The program and its arguments; the image's own entrypoint by default
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl WorkloadArguments {
    /// Makes the workload, checked.
    pub(crate) fn into_workload(self, configuration: &Configuration) -> Result<Workload, Failure> {
        let is_local = configuration.is_local();
        let mut words = self.command.into_iter();
        let program = words.next();
        if program.is_none() && is_local {
            return Err(Failure::usage(
                "the embedded cluster has no images, and so no entrypoints: a command is needed",
            )
            .advising("name a program of this machine, for example: wm run -- sh -c 'echo hello'"));
        }
        let id = match self.id {
            Some(id) => id,
            None => WorkloadId::new(Uuid::new_v4().to_string())?,
        };
        let mut builder = Workload::builder(id, self.kind).command(program).arguments(words);
        if let Some(image) = self.image {
            builder = builder.snapshot_image(image);
        } else if is_local {
            builder = builder.snapshot_image(NO_IMAGE.parse()?);
        }
        for alias in self.aliases {
            builder = builder.alias(alias);
        }
        for variable in self.variables {
            let (name, value) = assignment(variable, "--env")?;
            builder = builder.variable(name, value);
        }
        for secret in self.secrets {
            let (name, value) = assignment(secret, "--secret")?;
            builder = builder.secret(name, value);
        }
        if let Some(seconds) = self.timeout {
            builder = builder.timeout(Duration::from_secs(seconds));
        }
        if let Some(attempt) = self.attempt.and_then(|number| Attempt::new(number.get())) {
            builder = builder.attempt(attempt);
        }
        Ok(builder.build()?)
    }
}

/// Takes `KEY=VALUE` apart, or looks `KEY` up. No message shows a value, since it may be secret.
fn assignment(text: String, option: &str) -> Result<(String, String), Failure> {
    if let Some((name, value)) = text.split_once('=') {
        if name.is_empty() {
            return Err(Failure::usage(format!("{option} has a value without a name"))
                .advising(format!("write {option} KEY=VALUE")));
        }
        return Ok((name.to_owned(), value.to_owned()));
    }
    let refuse = |what: &str| {
        Failure::usage(format!(
            "{option} {text} takes the variable from wm's own environment, where it {what}"
        ))
        .advising(format!("export it first, or write {option} {text}=VALUE"))
    };
    match env::var(&text) {
        Ok(value) => Ok((text, value)),
        Err(env::VarError::NotPresent) => Err(refuse("is not set")),
        Err(env::VarError::NotUnicode(_)) => Err(refuse("is not valid UTF-8")),
    }
}
