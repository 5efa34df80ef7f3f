use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use super::{
    CommandLine, exit,
    failure::CommandResult,
    output::{self, Output},
};

const EXAMPLES: &str = "\
Examples:
  wm completions bash > ~/.local/share/bash-completion/completions/wm
  wm completions zsh > ~/.zfunc/_wm
  wm completions fish > ~/.config/fish/completions/wm.fish";

/// Print the completions for a shell
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArguments {
    /// For which shell
    shell: Shell,
}

impl CompletionsArguments {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut CommandLine::command(), "wm", &mut script);
        let script = String::from_utf8_lossy(&script);
        if output.is_json() {
            output::object(&json!({ "shell": self.shell.to_string(), "script": script }))?;
        } else {
            output::text(&script)?;
        }
        Ok(exit::OK)
    }
}
