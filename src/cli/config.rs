use std::fmt::Write as _;

use serde_json::json;
use wm_config::EffectiveValue;

use super::{
    exit,
    failure::CommandResult,
    output::{self, Output},
    session,
    table::table,
};

const EXAMPLES: &str = "\
Examples:
  wm config
  ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE=kubernetes wm config

With problems, all of them are printed, and the exit code is 2. Secret values are never printed.";

/// Show the settings in effect and where each comes from, or all that is wrong with them
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArguments {}

impl ConfigArguments {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let Self {} = self;
        let configuration = session::load()?;
        let effective = configuration.settings.effective();
        if output.is_json() {
            for value in effective {
                output::object(&json!({ "setting": value }))?;
            }
        } else {
            output::text(&text(&effective))?;
        }
        session::tell_warnings(&configuration, output)?;
        Ok(exit::OK)
    }
}

fn text(effective: &[EffectiveValue]) -> String {
    let row = |value: &EffectiveValue| {
        vec![
            value.variable.to_owned(),
            value.origin.to_string(),
            value.value.clone().unwrap_or_else(|| "(unset)".to_owned()),
        ]
    };
    let mut text = table(&["VARIABLE", "FROM", "VALUE"], &effective.iter().map(row).collect::<Vec<_>>());
    let notes = effective.iter().filter_map(|value| Some((value.variable, value.note.as_ref()?)));
    for (index, (variable, note)) in notes.enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        // Writing to a String can't fail.
        let _infallible = writeln!(text, "{gap}{variable}: {note}");
    }
    text
}
