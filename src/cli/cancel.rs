use std::num::NonZeroU32;

use serde_json::json;
use workload_manager::{Attempt, WorkloadId};

use super::{
    exit,
    failure::CommandResult,
    output::{self, Output},
    session,
};

const EXAMPLES: &str = "\
Examples:
  wm cancel nightly
  wm cancel nightly --attempt 2

The program is asked to end, and killed after its grace. Those who follow it see its last lines; after that the cluster
keeps nothing of it.";

/// Stop a run
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CancelArguments {
    /// The workload's id, or an alias
    id: WorkloadId,

    /// Which attempt; the latest by default
    #[arg(long, value_name = "N")]
    attempt: Option<NonZeroU32>,
}

impl CancelArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        let manager = session::manager().await?;
        let attempt = self.attempt.and_then(|number| Attempt::new(number.get()));
        let found = session::find(manager.as_ref(), &self.id, attempt).await?;
        let has_ended = found.phase.is_terminal();
        if !has_ended {
            manager.cancel(&found.run).await?;
        }
        if output.is_json() {
            let key = if has_ended { "ended" } else { "cancelled" };
            output::object(&json!({ key: found.run, "phase": found.phase }))?;
        } else if has_ended {
            output.note(&format!("{} has ended before: {}", found.run, found.phase))?;
        } else {
            output::text(&format!("{}\n", found.run))?;
            output.note(&format!("it is being stopped; until it has ended: wm logs -f {}", self.id))?;
        }
        Ok(exit::OK)
    }
}
