//! The process of a run, from its start to its end.

use std::{
    collections::BTreeMap,
    future::pending,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use futures::future::{Either, select};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::unix::pipe::Receiver,
    process::{Child, Command},
    time::{sleep, timeout},
};
use wm_core::{EnvironmentValue, Evidence, LogRecord, LogSource, Outcome, Phase, Reason, Verdict, Workload};

use super::{
    factory::Options,
    run::{Run, Stop},
};

/// How long output is waited for after the program's end, when somebody who left its group still has the pipe.
const DRAIN: Duration = Duration::from_secs(1);

/// What is needed to start a process. It goes as soon as the process runs, and the secret values with it.
pub(super) struct Launch {
    words: Vec<String>,
    environment: BTreeMap<String, EnvironmentValue>,
    timeout: Option<Duration>,
    options: Options,
}

impl Launch {
    pub(super) fn new(workload: &Workload, options: &Options) -> Self {
        Self {
            words: workload.command().iter().chain(workload.arguments()).cloned().collect(),
            environment: workload.environment().clone(),
            timeout: workload.timeout(),
            options: options.clone(),
        }
    }

    /// Starts the program as the leader of a process group; both its streams are one pipe, which keeps their order.
    fn start(&self) -> io::Result<Process> {
        let (output, input) = io::pipe()?;
        let (program, arguments) = self.words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        // The variables of the server are its own, and so are the secrets among them.
        command.args(arguments).env_clear().current_dir(&self.options.directory).process_group(0);
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(self.environment.iter().map(|(name, value)| (name, value.expose())));
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        let child = command.spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let group = Group(pid.ok_or(io::ErrorKind::NotFound)?);
        Ok(Process { child, group, output: Receiver::from_owned_fd(OwnedFd::from(output))? })
    }
}

struct Process {
    child: Child,
    group: Group,
    output: Receiver,
}

/// A process and its children; killed when this is dropped.
struct Group(Pid);

impl Group {
    fn signal(&self, signal: Signal) {
        // Nobody of the group may be left, which is as well.
        let _gone = kill_process_group(self.0, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Why a process ended.
#[derive(Clone, Copy)]
enum Cause {
    Itself,
    Cancelled,
    Deadline,
}

/// Sees a run to its end.
pub(super) async fn live(run: Arc<Run>, launch: Launch) {
    let program = launch.words.first().cloned().unwrap_or_default();
    let verdict = match launch.start() {
        Err(error) => Verdict::new(
            Outcome::Failed,
            Reason::StartError,
            format!("the program {program} can't be started: {error}"),
            "check the command, and that this machine has the program",
        ),
        Ok(process) => {
            let (limit, grace) = (launch.timeout, launch.options.grace);
            drop(launch);
            follow(&run, process, limit, grace).await
        }
    };
    run.end(verdict);
}

async fn follow(run: &Run, process: Process, limit: Option<Duration>, grace: Duration) -> Verdict {
    let Process { child, group, output } = process;
    let pid = group.0.as_raw_nonzero().to_string();
    run.update(|status| {
        status.phase = Phase::Running;
        status.started = Some(Timestamp::now());
        status.place.insert("process", pid.clone());
    });
    let copy = pin!(copy(run, pid, output));
    let (cause, ended) = match select(pin!(wait(run, child, group, limit, grace)), copy).await {
        Either::Left((ended, copy)) => {
            let _drained = timeout(DRAIN, copy).await;
            ended
        }
        Either::Right(((), wait)) => wait.await,
    };
    match ended {
        Ok(ended) => verdict(cause, ended),
        Err(error) => Verdict::new(
            Outcome::Failed,
            Reason::BackendFailure,
            format!("the end of the process is not known: {error}"),
            "read its log",
        ),
    }
}

/// Copies what the program writes to the log, line by line.
async fn copy(run: &Run, instance: String, output: Receiver) {
    let container = "subprocess".to_owned();
    let source = LogSource::Output { attempt: run.id.attempt, instance, container, restart: 0 };
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        let mut record = LogRecord::new(Some(Timestamp::now()), source.clone(), std::mem::take(&mut line));
        record.ended = ended;
        run.log.push(record);
    }
}

/// Waits for the end of the program, and makes it end when it has to. As in a container, nobody of its group outlives it.
async fn wait(
    run: &Run,
    mut child: Child,
    group: Group,
    limit: Option<Duration>,
    grace: Duration,
) -> (Cause, io::Result<ExitStatus>) {
    let limit = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => pending().await,
        }
    };
    let cause = tokio::select! {
        // A run that has ended stays as it is.
        biased;
        ended = child.wait() => return (Cause::Itself, ended),
        () = run.stopped(Stop::Ask) => Cause::Cancelled,
        () = limit => Cause::Deadline,
    };
    run.update(|status| status.phase = Phase::Stopping);
    group.signal(Signal::TERM);
    tokio::select! {
        ended = child.wait() => return (cause, ended),
        () = run.stopped(Stop::Kill) => {}
        () = sleep(grace) => {}
    }
    group.signal(Signal::KILL);
    (cause, child.wait().await)
}

fn verdict(cause: Cause, ended: ExitStatus) -> Verdict {
    // A shell tells of a signal in the same way.
    let code = ended.code().or(ended.signal().map(|signal| 128 + signal)).unwrap_or_default();
    let mut evidence = Evidence::default();
    evidence.exit_code = Some(code);
    let verdict = match cause {
        Cause::Cancelled => {
            Verdict::new(Outcome::Cancelled, Reason::Cancelled, "a caller cancelled the run", "")
        }
        Cause::Deadline => Verdict::new(
            Outcome::Failed,
            Reason::DeadlineExceeded,
            "the run exceeded its time limit",
            "give it more time, or find out in its log what takes so long",
        ),
        Cause::Itself if ended.success() => {
            Verdict::new(Outcome::Succeeded, Reason::Completed, "the runner ended with exit code 0", "")
        }
        Cause::Itself => Verdict::new(
            Outcome::Failed,
            Reason::ExitCode,
            format!("the runner ended with exit code {code}"),
            "read the end of its log",
        ),
    };
    verdict.with_evidence(evidence)
}
