use futures::pin_mut;
use serde_json::json;
use wm_config::variable;
use workload_manager::{Configuration, Reason, Result, RunHandle, WorkloadId, local};

use super::{
    exit,
    failure::{CommandResult, Failure},
    follow::{End, follow},
    interrupts::Interrupts,
    output::{self, Output},
    progress::Progress,
    session,
    verdict::{self, Evidence},
    workload::WorkloadArguments,
};

const EXAMPLES: &str = "\
Examples:
  wm run -- sh -c 'echo hello; exit 3'
  wm run --image registry.example.com/team/app:1.2 --secret TOKEN --timeout 3600 -- python -m app
  wm run --detach --id nightly -- make report    then: wm logs -f nightly

The log goes to stdout as it was written, all else to stderr. Ctrl-C cancels the run and waits for its last lines; a
second one leaves at once. The exit code is the runner's own; `wm --help` lists those of wm.";

/// Run a workload, follow it live, tell how it ended
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArguments {
    /// Print the id and leave, while the run goes on
    #[arg(long)]
    detach: bool,

    #[command(flatten)]
    workload: WorkloadArguments,
}

impl RunArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        self.launch(output).await.map_err(Failure::of_run)
    }

    async fn launch(self, output: Output) -> CommandResult {
        let configuration = session::load()?;
        let workload = self.workload.into_workload(&configuration)?;
        session::tell_warnings(&configuration, output)?;
        let place = Place::of(&configuration).await;
        if place == Place::OwnCluster && self.detach {
            return Err(session::require_running()
                .await
                .err()
                .unwrap_or_else(|| Failure::usage("start the run again")));
        }
        if session::is_default(&configuration) {
            output.note(&place.note())?;
        }

        let mut interrupts = Interrupts::listen()?;
        let progress = Progress::new(output);
        progress.step("submitting");
        let id = workload.id().clone();
        let launcher = configuration.launcher().await?;
        let Some(handle) = submit(launcher.launch(workload), &mut interrupts, &progress).await? else {
            return Ok(exit::CANCELLED);
        };
        if self.detach {
            progress.finish();
            return detached(&id, &handle, output);
        }

        let ended = tokio::select! {
            left = cancel(&handle, &mut interrupts, &progress) => return left.map(|()| exit::CANCELLED),
            ended = follow(&handle, &progress) => ended,
        };
        progress.finish();
        match ended {
            Ok(end) => tell(&end, place, output),
            Err(failure) if failure.is_no_reader() || place == Place::OwnCluster => Err(failure),
            Err(failure) => {
                Err(failure.advising(format!("the run goes on without wm: wm status {id}; wm logs -f {id}")))
            }
        }
    }
}

/// Waits for the run to be accepted; `None` when it was cancelled before.
async fn submit(
    submission: impl Future<Output = Result<RunHandle>>,
    interrupts: &mut Interrupts,
    progress: &Progress,
) -> Result<Option<RunHandle>, Failure> {
    pin_mut!(submission);
    tokio::select! {
        handle = &mut submission => return Ok(Some(handle?)),
        () = interrupts.next() => {}
    }
    // It may have been accepted already, so the answer is waited for.
    progress.note("cancelling as soon as the run is accepted; Ctrl-C again leaves at once")?;
    tokio::select! {
        handle = submission => handle?.cancel().await?,
        () = interrupts.next() => {}
    }
    Ok(None)
}

/// Waits for Ctrl-C and cancels the run; ends at the second one, while the first leads to the run's own end.
async fn cancel(handle: &RunHandle, interrupts: &mut Interrupts, progress: &Progress) -> Result<(), Failure> {
    interrupts.next().await;
    progress.note("cancelling, the last lines are waited for; Ctrl-C again leaves at once")?;
    tokio::select! {
        cancelled = handle.cancel() => cancelled?,
        () = interrupts.next() => return Ok(()),
    }
    interrupts.next().await;
    Ok(())
}

/// Where the run is, and with it how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A cluster in this process, which ends with it.
    OwnCluster,
    /// The cluster of a `wm local`.
    ServedCluster,
    /// Somewhere else.
    Elsewhere,
}

impl Place {
    async fn of(configuration: &Configuration) -> Self {
        match (configuration.is_local(), local::running().await) {
            (false, _) => Self::Elsewhere,
            (true, Some(_)) => Self::ServedCluster,
            (true, None) => Self::OwnCluster,
        }
    }

    fn note(self) -> String {
        let which = match self {
            Self::ServedCluster => "the embedded cluster of `wm local`",
            _ => "an embedded cluster, for the time of this run",
        };
        format!(
            "no implementation source is set: using {which}. For a real one: export {}=kubernetes",
            variable::IMPLEMENTATION_SOURCE
        )
    }
}

fn tell(end: &End, place: Place, output: Output) -> CommandResult {
    let code = exit::of_verdict(&end.verdict);
    if output.is_json() {
        output::object(&json!({ "verdict": end.verdict, "run": end.run, "exit_code": code }))?;
        return Ok(code);
    }
    let evidence = if end.log_shown { Evidence::LogShown } else { Evidence::Whole };
    let mut verdict = end.verdict.clone();
    if place == Place::OwnCluster && end.log_shown && verdict.reason == Reason::ExitCode {
        "read the end of its log, above; `wm local` in another terminal keeps runs and logs for later"
            .clone_into(&mut verdict.advice);
    }
    output.note(verdict::text(&verdict, evidence).trim_end())?;
    Ok(code)
}

fn detached(id: &WorkloadId, handle: &RunHandle, output: Output) -> CommandResult {
    if output.is_json() {
        output::object(&json!({ "run": handle.run(), "workload": id }))?;
    } else {
        output::text(&format!("{id}\n"))?;
        output.note(&format!("the run goes on: wm logs -f {id}; wm status {id}; wm cancel {id}"))?;
    }
    Ok(exit::OK)
}
