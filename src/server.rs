use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use jiff::Timestamp;
use wm_core::{
    Error, ErrorKind, ImageReference, ImageRequest, LogQuery, LogRecord, LogSource, Result, Verdict,
    Workload, WorkloadId, WorkloadKind,
};

use crate::{Launcher, RunHandle};

/// The server reads this many lines of a log, the oldest, so the end with the error would be lost.
const MOST_LINES: usize = 50_000;

/// Looks up the image that a workload's snapshot was built with.
pub type SnapshotImages = Arc<dyn Fn(&WorkloadId, WorkloadKind) -> Option<ImageReference> + Send + Sync>;

/// The five calls that a ZenML server makes of its workload manager, as it makes them.
///
/// It writes under one id and reads under another in three of its four ways to start a run, so the ids in the runner's
/// arguments become aliases. Environment values whose names say so (`…TOKEN`, `…PASSWORD`, `…SECRET`, `…KEY`) are
/// kept secret.
#[derive(Clone)]
pub struct ServerInterface {
    launcher: Launcher,
    snapshot_images: SnapshotImages,
}

/// A runner, as the server asks for it.
#[derive(Clone, Debug, Default)]
pub struct RunnerCall {
    /// The image that [`build_and_push_image`](ServerInterface::build_and_push_image) returned; empty for none.
    pub image: String,
    /// The program.
    pub command: Vec<String>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment, tokens among it.
    pub environment: BTreeMap<String, String>,
    /// How long it may run, in seconds; 0 without a limit.
    pub timeout_in_seconds: u64,
}

/// The image of a runner, as the server asks for it.
#[derive(Clone, Debug)]
pub struct ImageCall {
    /// What the workload's id names.
    pub kind: WorkloadKind,
    /// The Dockerfile that the server made, as text; empty for none.
    pub dockerfile: String,
    /// `repository:tag` without a registry, the tag a hash of the Dockerfile; empty for none.
    pub image_name: String,
}

impl ServerInterface {
    /// Makes the interface to a launcher.
    pub fn new(launcher: Launcher) -> Self {
        Self { launcher, snapshot_images: Arc::new(|_, _| None) }
    }

    /// Sets how the image of a snapshot is looked up, for servers that reuse it.
    #[must_use]
    pub fn with_snapshot_images(mut self, snapshot_images: SnapshotImages) -> Self {
        self.snapshot_images = snapshot_images;
        self
    }

    /// Finds the image of a runner, with its registry: built, prebuilt or the snapshot's own, as configured. Only where
    /// images are built do the Dockerfile and the name count.
    ///
    /// # Errors
    /// As [`WorkloadManager::resolve_image`](wm_core::WorkloadManager::resolve_image); the reason is in the log too.
    pub async fn build_and_push_image(&self, workload: &WorkloadId, call: ImageCall) -> Result<String> {
        let image = (self.snapshot_images)(workload, call.kind);
        let mut request = ImageRequest::new(workload.clone(), call.kind, image);
        if !call.dockerfile.is_empty() {
            request = request.with_dockerfile(call.dockerfile);
        }
        if !call.image_name.is_empty() {
            request = request.with_image_name(call.image_name);
        }
        match self.launcher.manager().resolve_image(&request).await {
            Ok(resolved) => Ok(resolved.image.to_string()),
            Err(error) => {
                // The server tells its user nothing of an error here, but it shows the log.
                self.log(workload, &format!("No image for the runner: {error}")).await;
                Err(error)
            }
        }
    }

    /// Launches a runner; `wait` on the handle for what the server calls `sync`.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub async fn run(&self, workload: &WorkloadId, call: RunnerCall) -> Result<RunHandle> {
        self.launcher.launch(runner(workload, call)?).await
    }

    /// Launches a runner and waits for its end.
    ///
    /// # Errors
    /// As [`Launcher::launch`] and [`RunHandle::wait`]; a failed runner is a verdict.
    pub async fn run_to_end(&self, workload: &WorkloadId, call: RunnerCall) -> Result<Verdict> {
        self.run(workload, call).await?.wait().await
    }

    /// Adds a message to a workload's log. It never fails: the server would give up a run that is under way.
    pub async fn log(&self, workload: &WorkloadId, message: &str) {
        if let Err(error) = self.launcher.manager().log(workload, message).await {
            tracing::warn!(%workload, %error, "A message could not be added to the log");
        }
    }

    /// Reads a workload's log as text, by any of its ids; empty when nothing is known of it.
    ///
    /// # Errors
    /// Whatever keeps the log from being read; the server shows it to its user.
    pub async fn get_logs(&self, workload: &WorkloadId) -> Result<String> {
        let query = LogQuery { tail: Some(MOST_LINES as u64), ..LogQuery::default() };
        let mut records = match self.launcher.manager().logs(workload, &query).await {
            Ok(records) => records,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let mut text = Text::default();
        while let Some(record) = records.try_next().await? {
            text.push(record);
        }
        Ok(text.finish())
    }

    /// Deletes all runs of a workload with their logs.
    ///
    /// # Errors
    /// As [`WorkloadManager::delete`](wm_core::WorkloadManager::delete).
    pub async fn delete_workload(&self, workload: &WorkloadId) -> Result<()> {
        self.launcher.manager().delete(workload).await
    }
}

impl fmt::Debug for ServerInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerInterface").field("launcher", &self.launcher).finish_non_exhaustive()
    }
}

fn runner(id: &WorkloadId, call: RunnerCall) -> Result<Workload> {
    let ids = ids(&call.arguments);
    // The server names the kind only when it asks for the image; a run's own id is in its arguments.
    let kind = if ids.iter().any(|(option, found)| *option == "--run_id" && found == id) {
        WorkloadKind::Run
    } else {
        WorkloadKind::Snapshot
    };
    let mut builder =
        Workload::builder(id.clone(), kind).command(call.command).arguments(call.arguments.clone());
    for (_, alias) in ids {
        builder = builder.alias(alias);
    }
    if !call.image.is_empty() {
        builder = builder.snapshot_image(call.image.parse()?);
    }
    for (name, value) in call.environment {
        builder = if is_secret(&name) { builder.secret(name, value) } else { builder.variable(name, value) };
    }
    if call.timeout_in_seconds > 0 {
        builder = builder.timeout(Duration::from_secs(call.timeout_in_seconds));
    }
    builder.build().map_err(|error: Error| error.with_context("workload", id.to_string()))
}

/// The ids that a runner is told, by option.
fn ids(arguments: &[String]) -> Vec<(&str, WorkloadId)> {
    let options = ["--snapshot_id", "--run_id", "--placeholder_run_id", "--deployment_id"];
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    pairs
        .filter(|(option, _)| options.contains(&option.as_str()))
        .filter_map(|(option, id)| Some((option.as_str(), WorkloadId::new(id.clone()).ok()?)))
        .collect()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "KEY", "CREDENTIALS"].iter().any(|part| {
        name.strip_suffix(part).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
            || name.contains("SECRET")
    })
}

/// A log as the server takes it: `[YYYY-mm-dd HH:MM:SS UTC]` is for the time of a line; what a runner wrote says its time
/// itself.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Whose line goes on, if its next piece comes next.
    unended: Option<(LogSource, Option<Timestamp>)>,
}

impl Text {
    fn push(&mut self, record: LogRecord) {
        let line = (record.source, record.time);
        if self.unended.take().is_some_and(|unended| unended != line) {
            self.bytes.push(b'\n');
        }
        if let (LogSource::Manager, Some(time)) = &line {
            self.bytes.extend_from_slice(stamp(*time).as_bytes());
        }
        self.bytes.extend_from_slice(&record.line);
        if record.ended {
            self.bytes.push(b'\n');
        } else {
            self.unended = Some(line);
        }
    }

    fn finish(mut self) -> String {
        if self.unended.is_some() {
            self.bytes.push(b'\n');
        }
        String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

fn stamp(time: Timestamp) -> String {
    time.strftime("[%Y-%m-%d %H:%M:%S UTC] ").to_string()
}

#[cfg(test)]
mod tests {
    use wm_core::Attempt;

    use super::*;

    #[test]
    fn the_pieces_of_a_line_are_one_line() {
        let record = |second, line: &[u8], ended| {
            let time = Timestamp::from_second(second).ok();
            let (instance, container) = ("pod".to_owned(), "main".to_owned());
            let source = LogSource::Output { attempt: Attempt::FIRST, instance, container, restart: 0 };
            let mut record = LogRecord::new(time, source, line);
            record.ended = ended;
            record
        };
        let mut text = Text::default();
        // A piece may end within a character.
        text.push(record(1, b"one \xc3", false));
        text.push(record(1, b"\xb6 line", true));
        text.push(record(2, b"unended", false));
        text.push(LogRecord::new(Timestamp::from_second(3).ok(), LogSource::Manager, "said"));
        text.push(record(4, b"last", false));
        assert_eq!(text.finish(), "one \u{f6} line\nunended\n[1970-01-01 00:00:03 UTC] said\nlast\n");
    }

    #[test]
    fn the_ids_of_a_resumed_run_are_aliases() {
        let id = WorkloadId::new("05cd61e6").unwrap();
        let arguments = ["--snapshot_id", "2274250b", "--run_id", "05cd61e6", "--resume", "True"];
        let call = RunnerCall { arguments: arguments.map(str::to_owned).to_vec(), ..RunnerCall::default() };
        let workload = runner(&id, call).unwrap();
        assert_eq!(workload.kind(), WorkloadKind::Run);
        assert_eq!(workload.aliases().map(WorkloadId::as_str).collect::<Vec<_>>(), ["2274250b"]);
    }

    #[test]
    fn what_is_called_a_token_is_secret() {
        for name in ["ZENML_STORE_API_TOKEN", "AWS_SECRET_ACCESS_KEY", "API_KEY", "password"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["ZENML_STORE_URL", "MONKEY", "TOKENIZERS_PARALLELISM", "ZENML_STORE_VERIFY_SSL"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_message_has_the_time_form_that_the_server_reads() {
        let mut text = Text::default();
        let time = Timestamp::from_second(1_795_474_430).unwrap();
        text.push(LogRecord::new(Some(time), LogSource::Manager, "Starting."));
        assert_eq!(text.finish(), "[2026-11-23 22:53:50 UTC] Starting.\n");
    }
}
