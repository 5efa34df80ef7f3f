use serde_json::json;
use workload_manager::{ErrorKind, LogQuery, WorkloadId};

use super::{
    exit,
    failure::CommandResult,
    output::{self, Output},
    session,
};

const EXAMPLES: &str = "\
Example:
  wm delete nightly

To stop a run and keep its log, use `wm cancel`.";

/// Delete all runs of a workload with their logs, running ones too
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteArguments {
    /// The workload's id, or an alias
    id: WorkloadId,
}

impl DeleteArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        let manager = session::manager().await?;
        match session::find(manager.as_ref(), &self.id, None).await {
            // A role may allow to delete, but not to look.
            Err(failure) if failure.is(ErrorKind::PermissionDenied) => {}
            // Its log may have outlived its runs.
            Err(failure) if failure.is(ErrorKind::NotFound) => {
                let last = LogQuery { tail: Some(1), ..LogQuery::default() };
                drop(manager.logs(&self.id, &last).await.map_err(|_| failure)?);
            }
            Err(failure) => return Err(failure),
            Ok(_) => {}
        }
        manager.delete(&self.id).await?;
        if output.is_json() {
            output::object(&json!({ "deleted": self.id }))?;
        } else {
            output::text(&format!("{}\n", self.id))?;
        }
        Ok(exit::OK)
    }
}
