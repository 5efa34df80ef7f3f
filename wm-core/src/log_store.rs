//! An archive of logs, which outlives the runs that wrote them.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, LogQuery, LogStream, Outcome, Reason, Result, RunId, Verdict, WorkloadId};

/// Who writes lines: one container of one pod, from one start of it to the next.
///
/// Invariant, checked by [`LogOutput::new`]: instance and container have 1 to 253 of `A-Z`, `a-z`, `0-9`, `-`, `_` and
/// `.` and begin with a letter or digit, so that they can be part of a file name and of an object's key. Those of
/// [`LogOutput::manager`] are empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct LogOutput {
    run: RunId,
    instance: String,
    container: String,
    restart: u32,
}

impl LogOutput {
    /// Names an output of a run; `instance` is never used again: a pod's UID, not its name.
    ///
    /// # Errors
    /// `InvalidRequest` for an instance or a container that breaks the invariant.
    pub fn new(
        run: RunId,
        instance: impl Into<String>,
        container: impl Into<String>,
        restart: u32,
    ) -> Result<Self> {
        let (instance, container) = (instance.into(), container.into());
        for name in [&instance, &container] {
            let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
            if !begins || name.len() > 253 || !name.bytes().all(is_legal) {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    format!("{name:?} can't name who writes a log: use 1 to 253 of A-Z, a-z, 0-9, '-', '_', '.', a letter or digit first"),
                )
                .with_context("run", run.to_string()));
            }
        }
        Ok(Self { run, instance, container, restart })
    }

    /// Names what the manager told about a run in the backend's own log. Its lines have positions like those of a
    /// container, so that two servers that copy them leave each once; they are read back as the manager's messages.
    pub fn manager(run: RunId) -> Self {
        Self { run, instance: String::new(), container: String::new(), restart: 0 }
    }

    /// Whether it is what the manager told, and no container's.
    pub fn is_manager(&self) -> bool {
        self.container.is_empty()
    }

    /// The run whose output it is.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Which pod or process of the run.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Which container of it.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// How often the container had been started before.
    pub fn restart(&self) -> u32 {
        self.restart
    }
}

/// The place of a line in its output, in the order of the lines: what a kubelet tells of a line, and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPosition {
    /// When the line was written.
    pub time: Timestamp,
    /// Which one it is of the lines with that very time, from 1.
    pub count: u32,
}

/// A line on its way into an archive.
#[derive(Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its place in its output.
    pub position: LogPosition,
    /// The line without its end; any bytes, not necessarily text.
    pub line: Vec<u8>,
    /// Whether the line ends here, as in [`LogRecord`](crate::LogRecord): a piece of a line has a position of its own.
    pub ended: bool,
}

impl fmt::Debug for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLine")
            .field("position", &self.position)
            .field("line", &format_args!("[{} bytes]", self.line.len()))
            .finish_non_exhaustive()
    }
}

/// How and when a run ended: the last that is written of it, from which its log's age counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seal {
    /// The run.
    pub run: RunId,
    /// When it ended.
    pub time: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, as one word for programs.
    pub reason: Reason,
    /// Why, as one sentence.
    pub message: String,
}

impl Seal {
    /// Says that a run ended with a verdict.
    pub fn new(run: RunId, time: Timestamp, verdict: &Verdict) -> Self {
        let Verdict { outcome, reason, message, .. } = verdict;
        Self { run, time, outcome: *outcome, reason: *reason, message: message.clone() }
    }
}

/// What an archive can do beyond the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogStoreCapabilities {
    /// Keep each line once when several servers write the same output at a time; without it some may be there twice,
    /// none is lost.
    pub exactly_once: bool,
    /// Remove logs: [`delete`](LogStore::delete) and [`expire`](LogStore::expire). Without it something else does.
    pub delete: bool,
}

/// Keeps the logs of workloads, also when the runs that wrote them are gone.
///
/// A log is what was written under any id of a workload: the outputs of its runs and the server's messages. Several
/// servers share an archive; any of them may write any output, at the same time too, and each reads what all have
/// written. Nothing that was written is ever changed.
///
/// What is taken is not yet kept: a store may gather lines before it writes them, and a server that dies loses those.
/// Outputs are then read again from their source, behind [`position`](Self::position). The store that took them reads
/// them back at once; other servers when they are kept, at the latest after [`flush`](Self::flush) or
/// [`seal`](Self::seal).
///
/// Errors that every method may give: `Unavailable`, `RateLimited` or `Timeout` while the store can't be reached: what
/// was taken stays taken, try again later. `PermissionDenied` when it refuses.
///
/// There are no default methods, so that a wrapper can't silently lose one.
#[async_trait]
pub trait LogStore: fmt::Debug + Send + Sync + 'static {
    /// What it can do. A missing ability is [`ErrorKind::Unsupported`] when asked for, never a silent nothing.
    fn capabilities(&self) -> LogStoreCapabilities;

    /// Puts a run on record, and other ids under which its workload is asked for. Again, it adds what is new.
    ///
    /// From here on its log is known, and whoever follows it waits for the run's seal. Whatever takes an id takes an
    /// alias. An alias of several workloads stands for all of them: reading it gives the lines of all. What was
    /// written under an id before it became an alias belongs to its workloads from then on.
    async fn begin(&self, run: &RunId, aliases: &[WorkloadId]) -> Result<()>;

    /// Adds lines to an output. Lines at or before the output's end are there already and are left out.
    ///
    /// Positions increase from line to line; so two servers that copy one output, each from wherever it likes, leave
    /// each line once, in order (see [`LogStoreCapabilities::exactly_once`]). The first lines of a run that is not on
    /// record [`begin`](Self::begin) it. While the store can't take more it waits: that is how its source is slowed.
    ///
    /// Cancel safety: dropped at any point, the first of the lines are taken, or none, or all; append them again.
    ///
    /// # Errors
    /// `Conflict` for new lines of a run that is sealed; nothing is added then. `InvalidRequest` when positions don't
    /// increase.
    async fn append(&self, output: &LogOutput, lines: &[LogLine]) -> Result<()>;

    /// Tells where an output ends, to read its source on from there; `None` when there is nothing of it.
    ///
    /// It counts what this server has taken and what others have kept.
    async fn position(&self, output: &LogOutput) -> Result<Option<LogPosition>>;

    /// Adds a message of the server's to a workload's log, whether or not it has runs yet. Each of its lines is a
    /// record; a line break at its end begins no further one. The same message again is another one.
    ///
    /// It never waits for the store: while that is away messages are gathered, and where they become too many the
    /// oldest are dropped, which a message in the log then tells.
    ///
    /// Cancel safety: dropped before it returns, the message is taken or not.
    async fn message(&self, workload: &WorkloadId, time: Timestamp, text: &str) -> Result<()>;

    /// Lets a workload's log have the log of another id in it as well, such as that of the image build that it
    /// waited for. Again, nothing changes. The other log stays one of its own, with its own end and age.
    async fn include(&self, workload: &WorkloadId, other: &WorkloadId) -> Result<()>;

    /// Waits until all that was taken of a workload's log is kept. Of an unknown one there is nothing to wait for.
    async fn flush(&self, workload: &WorkloadId) -> Result<()>;

    /// Ends a run's log: all that was taken of it is kept, then the seal. From then on there are no new lines of it;
    /// the server's messages may still come. A run that is not on record is put there.
    ///
    /// Sealing again changes nothing, whatever the verdict: the first seal stays.
    ///
    /// Cancel safety: dropped at any point, the run is sealed or not; seal it again.
    async fn seal(&self, seal: &Seal) -> Result<()>;

    /// Lists the seals of a workload's runs, first attempt first.
    ///
    /// # Errors
    /// `NotFound` when nothing is known of the workload.
    async fn seals(&self, workload: &WorkloadId) -> Result<Vec<Seal>>;

    /// Reads a log: all outputs and messages, merged by time, the lines of each output in their order.
    ///
    /// Each record has the instance and container of its [`LogOutput`] as its source, or the manager, and a cursor.
    /// Reading `after` a cursor gives what is behind it in each output, and messages, on any server: nothing twice,
    /// nothing left out. A query for one attempt leaves out messages and included logs, but not what the manager told
    /// about that attempt's run. To follow goes on until each run on record is
    /// sealed, or each run of that attempt; without any it ends at once. Lines that are known to be lost are told by a message in their place.
    ///
    /// # Errors
    /// `NotFound` when nothing is known of the workload; `InvalidRequest` for a cursor that is none of this log.
    async fn read(&self, workload: &WorkloadId, query: &LogQuery) -> Result<LogStream>;

    /// Removes a workload's log, under all its ids, its seals too, also while it is written. To delete nothing is no
    /// error. What it includes stays.
    ///
    /// # Errors
    /// `Unsupported` without [`LogStoreCapabilities::delete`].
    async fn delete(&self, workload: &WorkloadId) -> Result<()>;

    /// Removes the logs of workloads whose runs are all sealed, the last before this time; returns how many. A
    /// workload with a run that is not sealed, or without any run, stays.
    ///
    /// # Errors
    /// `Unsupported` without [`LogStoreCapabilities::delete`].
    async fn expire(&self, before: Timestamp) -> Result<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attempt, WorkloadKind};

    fn run() -> RunId {
        let workload = WorkloadId::new("w").unwrap();
        RunId { workload, kind: WorkloadKind::Run, attempt: Attempt::FIRST }
    }

    #[test]
    fn an_output_can_be_part_of_a_file_name() {
        for name in ["", ".", "..", "a/b", "../a", "-a", "a\0", "a b", "ä", &"a".repeat(254)] {
            for (instance, container) in [(name, "main"), ("uid", name)] {
                let error = LogOutput::new(run(), instance, container, 0).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{name}");
            }
        }
        let output = LogOutput::new(run(), "8e6aa9e7-00d5", "wm_main.1", 2).unwrap();
        assert_eq!(
            (output.instance(), output.container(), output.restart()),
            ("8e6aa9e7-00d5", "wm_main.1", 2)
        );
    }

    #[test]
    fn a_seal_is_read_back_from_text() {
        let verdict =
            Verdict::new(Outcome::Failed, Reason::ExitCode, "it ended with exit code 3", "read its log");
        let seal = Seal::new(run(), Timestamp::UNIX_EPOCH, &verdict);
        let text = serde_json::to_string(&seal).unwrap();
        assert_eq!(serde_json::from_str::<Seal>(&text).unwrap(), seal);
    }
}
