use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use workload_manager::{Attempt, Cursor, LogQuery, WorkloadId};

use super::{exit, failure::CommandResult, lines, output::Output, session};

const EXAMPLES: &str = "\
Examples:
  wm logs nightly
  wm logs -f --tail 50 nightly
  wm logs --since 10m --timestamps nightly
  wm logs --json nightly | tail -1 | jq -r .log.cursor   # a place, from which --cursor goes on

What the program wrote goes to stdout as it was written, the manager's own messages to stderr.";

/// Print a workload's log, over all its attempts
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArguments {
    /// The workload's id, or an alias
    id: WorkloadId,

    /// Go on with new lines until the last attempt has ended
    #[arg(long, short)]
    follow: bool,

    /// Only the last lines, this many
    #[arg(long, short = 'n', value_name = "N")]
    tail: Option<u64>,

    /// Only this attempt
    #[arg(long, value_name = "N")]
    attempt: Option<NonZeroU32>,

    /// Only what containers of this name wrote; without it all do, and the manager's messages come too
    #[arg(long, short = 'c', value_name = "NAME")]
    container: Option<String>,

    /// Only lines behind this place, which --json tells of each line
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,

    /// Only lines that are not older: 90s, 10m, 1h30m, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "DURATION", value_parser = time)]
    since: Option<Timestamp>,

    /// Print when each line was written
    #[arg(long)]
    timestamps: bool,
}

impl LogsArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        let manager = session::manager().await?;
        let query = LogQuery {
            attempt: self.attempt.and_then(|number| Attempt::new(number.get())),
            container: self.container,
            after: self.cursor.map(Cursor::from),
            tail: self.tail,
            since: self.since,
            follow: self.follow,
        };
        let lines = manager.logs(&self.id, &query).await?;
        lines::write(lines, |records| output.records(records, self.timestamps)).await??;
        Ok(exit::OK)
    }
}

/// Reads a time, or how long ago it was.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago = text.parse::<SignedDuration>().ok().filter(|ago| !ago.is_negative());
    ago.and_then(|ago| Timestamp::now().checked_sub(ago).ok())
        .ok_or_else(|| "neither a duration such as 10m nor a time such as 2026-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_durations_and_times() {
        for text in ["90s", "10m", "1h30m", "1h 30m", "2026-01-31T12:00:00Z"] {
            assert!(time(text).is_ok_and(|time| time <= Timestamp::now()), "{text}");
        }
        for text in ["", "soon", "-5m", "10", "99999999999h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
