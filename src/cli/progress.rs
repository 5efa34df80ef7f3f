//! Where a run is, as it goes: a live line on a terminal, plain lines in a pipe, objects for a program.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use workload_manager::{LogRecord, RunStatus};

use super::output::{self, Output, error_line};

const TICK: Duration = Duration::from_millis(120);

/// Shows the phases and the log of one run.
#[derive(Debug)]
pub(crate) struct Progress {
    output: Output,
    /// The live line, where stderr is a terminal.
    line: Option<ProgressBar>,
    /// Whether the log and the live line share a terminal.
    shared: bool,
}

impl Progress {
    pub(crate) fn new(output: Output) -> Self {
        let is_live = !output.is_json()
            && io::stderr().is_terminal()
            && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let line = is_live.then(|| {
            let line = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                line.set_style(style);
            }
            line.enable_steady_tick(TICK);
            line
        });
        let shared = is_live && io::stdout().is_terminal();
        Self { output, line, shared }
    }

    /// Shows where the run is now. How it ended is the verdict's to say.
    pub(crate) fn status(&self, status: &RunStatus) -> io::Result<()> {
        if self.output.is_json() {
            let object = json!({ "phase": status.phase, "detail": status.detail, "run": status.run });
            return output::object(&object);
        }
        if status.phase.is_terminal() {
            return Ok(());
        }
        let mut text = format!("phase: {}", status.phase);
        if let Some(detail) = &status.detail {
            // Writing to a String can't fail.
            let _infallible = write!(text, " ({detail})");
        }
        match &self.line {
            Some(line) => line.set_message(text),
            None => error_line(format_args!("{text}")),
        }
        Ok(())
    }

    /// Shows what is done before the run has a phase.
    pub(crate) fn step(&self, text: &str) {
        if let Some(line) = &self.line {
            line.set_message(text.to_owned());
        }
    }

    /// Tells something beside.
    pub(crate) fn note(&self, text: &str) -> io::Result<()> {
        self.above(|| self.output.note(text))
    }

    /// Writes lines of the run's log.
    pub(crate) fn records(&self, records: &[LogRecord]) -> io::Result<()> {
        self.above(|| {
            self.output.records(records, false)?;
            // The live line would overwrite a last line without a newline.
            if self.shared && records.last().is_some_and(|last| !last.ended) {
                error_line(format_args!(""));
            }
            Ok(())
        })
    }

    /// Takes the live line away, for what comes last.
    pub(crate) fn finish(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }

    /// Writes above the live line.
    fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.line {
            Some(line) => line.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
