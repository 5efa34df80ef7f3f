//! One container of a pod: from its configuration through all its runs.

use std::{process::ExitStatus, time::Duration};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::warn;
use uuid::Uuid;

use super::{
    Shared,
    command::launch,
    environment::ConfigError,
    halt::{Halt, Urgency},
    image::Image,
    launcher::{Launch, LaunchError},
    log::{LogHandle, LogLimits, LogWriter},
    memory::Memory,
    process::{Process, exit_code},
    status::{State, Termination},
    termination::TerminationMessage,
    unsupported,
};
use crate::{
    clock::Moment,
    faults::Effect,
    recorder::{Component, Severity},
    store::{Key, meta},
};

/// The first restart comes at once, the others after this time, doubled each time up to the longest.
const FIRST_RESTART_DELAY: Duration = Duration::from_secs(10);
const LONGEST_RESTART_DELAY: Duration = Duration::from_mins(5);

/// A kubelet looks at a pod again after this time, and only then tells that a container waits for its next run.
const RESYNC: Duration = Duration::from_secs(10);

/// After a run of this time the delays begin anew.
const LONG_RUN: Duration = Duration::from_mins(10);

/// What becomes of a container, for the status of its pod.
#[derive(Debug)]
pub(crate) enum Report {
    Created { image_id: String, container_id: String },
    Is(State),
    Restarts(u32),
}

/// A container on its way.
pub(crate) struct Container<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) pod: &'a Value,
    pub(crate) spec: &'a Value,
    pub(crate) is_init: bool,
    pub(crate) index: usize,
    pub(crate) halt: Halt,
    pub(crate) reports: mpsc::UnboundedSender<(usize, Report)>,
}

impl Container<'_> {
    /// Runs it, again and again if its pod's policy says so, until it has ended for good or the pod is to stop.
    pub(crate) async fn run(self) {
        let image = match Image::parse(self.text("image")) {
            Ok(image) => image,
            Err(error) => {
                let message = error.to_string();
                self.event(Severity::Warning, "InspectFailed", &message);
                self.event(Severity::Warning, "Failed", "Error: InvalidImageName");
                self.report(Report::Is(State::Waiting { reason: "InvalidImageName", message }));
                return self.halt.asked().await;
            }
        };
        if !self.pull(self.text("image")).await {
            return;
        }
        let (mut restarts, mut quick_restarts) = (0, 0_u32);
        loop {
            let pulled = format!(
                "Container image \"{}\" already present on machine and can be accessed by the pod",
                self.text("image")
            );
            self.event(Severity::Normal, "Pulled", &pulled);
            let Some(launch) = self.configured().await else { return };
            let container_id = self.id(restarts);
            let created = Report::Created { image_id: image.id.clone(), container_id: container_id.clone() };
            let begin = self.shared.clock.moment();
            let termination = self.run_once(launch, restarts, container_id, created).await;
            let is_success = termination.exit_code == 0;
            if self.shared.clock.moment() >= begin + LONG_RUN {
                quick_restarts = 0;
            }
            // Of the runs that have ended one is kept.
            self.shared.logs.forget_previous(meta(self.pod, "uid"), self.text("name"));
            self.report(Report::Is(State::Terminated(termination)));
            if self.halt.is_asked() || !self.is_restarted(is_success) {
                return;
            }
            if let Some(doublings) = quick_restarts.checked_sub(1) {
                let delay = FIRST_RESTART_DELAY.saturating_mul(2_u32.saturating_pow(doublings));
                if !self.back_off(delay.min(LONGEST_RESTART_DELAY)).await {
                    return;
                }
            }
            (restarts, quick_restarts) = (restarts + 1, quick_restarts + 1);
            self.report(Report::Restarts(restarts));
        }
    }

    /// Another one for each run; it follows from the pod's uid, which is made up.
    fn id(&self, run: u32) -> String {
        let name = format!("{}/{}", self.text("name"), run);
        let pod = Uuid::parse_str(meta(self.pod, "uid")).unwrap_or_default();
        format!("process://{}", Uuid::new_v5(&pod, name.as_bytes()).simple())
    }

    fn is_restarted(&self, is_success: bool) -> bool {
        if self.is_init && self.text("restartPolicy") == "Always" {
            return true;
        }
        match self.pod["spec"]["restartPolicy"].as_str() {
            Some("Always") => !(self.is_init && is_success),
            Some("OnFailure") => !is_success,
            _ => false,
        }
    }

    /// Whether it may be started again after the delay; not if the pod is to stop.
    async fn back_off(&self, delay: Duration) -> bool {
        let message = format!(
            "back-off {}s restarting failed container={} pod={}_{}({})",
            delay.as_secs(),
            self.text("name"),
            meta(self.pod, "name"),
            meta(self.pod, "namespace"),
            meta(self.pod, "uid"),
        );
        let event = format!(
            "Back-off restarting failed container {} in pod {}",
            self.text("name"),
            pod_name(self.pod)
        );
        self.event(Severity::Warning, "BackOff", &event);
        let begin = self.shared.clock.moment();
        for until in [begin + delay.min(RESYNC), begin + delay] {
            tokio::select! {
                () = self.halt.asked() => return false,
                () = self.shared.clock.sleep_until_if(Some(until)) => {}
            }
            self.report(Report::Is(State::Waiting { reason: "CrashLoopBackOff", message: message.clone() }));
        }
        true
    }

    /// What to run, as soon as all that its configuration names exists. `None` if the pod is to stop before.
    async fn configured(&self) -> Option<Result<Launch, String>> {
        // Listens before it looks, so that no change is missed.
        let mut changes = self.shared.config_changes.subscribe();
        loop {
            let error = match unsupported::reason(self.pod, self.spec) {
                Some(reason) => ConfigError::Unsupported(reason),
                None => match launch(self.shared, self.pod, self.spec) {
                    _ if self.halt.is_asked() => return None,
                    Ok(launch) => return Some(launch),
                    Err(error) => error,
                },
            };
            let message = error.to_string();
            self.event(Severity::Warning, "Failed", &format!("Error: {message}"));
            self.report(Report::Is(State::Waiting { reason: "CreateContainerConfigError", message }));
            loop {
                tokio::select! {
                    () = self.halt.asked() => return None,
                    change = changes.recv() => match change {
                        Ok(key) if self.may_mend(&error, &key) => break,
                        Ok(_) => {}
                        // Some were missed, and one of them may have been it.
                        Err(broadcast::error::RecvError::Lagged(_)) => break,
                        Err(broadcast::error::RecvError::Closed) => return None,
                    },
                }
            }
        }
    }

    fn may_mend(&self, error: &ConfigError, key: &Key) -> bool {
        key.namespace == meta(self.pod, "namespace") && error.may_be_mended_by(key.kind, &key.name)
    }

    /// One run, from its log to its end.
    async fn run_once(
        &self,
        launch: Result<Launch, String>,
        run: u32,
        container_id: String,
        created: Report,
    ) -> Termination {
        let (log, handle) = match self.open_log(run).await {
            Ok(log) => log,
            Err(error) => return self.start_error(&format!("log can't be written: {error}"), container_id),
        };
        self.report(created);
        let mut launch = match launch {
            Ok(launch) => launch,
            Err(message) => return self.start_error(&message, container_id),
        };
        let message = TerminationMessage::new(self.shared, self.pod, self.spec, run);
        match message.create().await {
            Ok(mount) => launch.mounts.push(mount),
            Err(error) => return self.start_error(&error.to_string(), container_id),
        }
        self.event(Severity::Normal, "Created", "Container created");
        let process = match self.shared.launcher.start(launch).await {
            Ok(process) => Ok(process),
            Err(LaunchError::Exec(message)) => Err(message),
            Err(LaunchError::Start(message)) => return self.start_error(&message, container_id),
        };
        let started_at = self.shared.clock.timestamp();
        self.event(Severity::Normal, "Started", "Container started");
        self.report(Report::Is(State::Running { since: started_at }));
        let memory = self.memory(handle.clone());
        let (exit_code, is_out_of_memory) = match process {
            Ok(process) => self.supervise(process, log, &memory).await,
            Err(message) => {
                let mut log = log;
                log.line(&message).await;
                (1, false)
            }
        };
        let message = message.read(exit_code, handle).await;
        Termination {
            exit_code,
            reason: match exit_code {
                _ if is_out_of_memory => "OOMKilled",
                0 => "Completed",
                _ => "Error",
            },
            message,
            started_at,
            finished_at: self.shared.clock.timestamp(),
            container_id,
        }
    }

    async fn open_log(&self, run: u32) -> std::io::Result<(LogWriter, LogHandle)> {
        let (uid, name) = (meta(self.pod, "uid"), self.text("name"));
        let path = self.shared.directories.log(uid, name, run);
        if let Some(directory) = path.parent() {
            tokio::fs::create_dir_all(directory).await?;
        }
        let limits = self.log_limits();
        let (writer, handle) = LogWriter::create(path, limits, self.shared.clock.clone()).await?;
        self.shared.logs.begin(uid, name, handle.clone());
        Ok((writer, handle))
    }

    /// The node's, unless a fault rotates sooner.
    fn log_limits(&self) -> LogLimits {
        let is_meant = |effect: &Effect| matches!(effect, Effect::LogRotation(_));
        match self.shared.fault(self.pod, "log", is_meant).map(|hit| hit.effect) {
            Some(Effect::LogRotation(max_size)) => LogLimits { max_size, ..self.shared.log_limits },
            _ => self.shared.log_limits,
        }
    }

    fn start_error(&self, message: &str, container_id: String) -> Termination {
        let message = format!("failed to create task: {message}");
        self.event(Severity::Warning, "Failed", &format!("Error: {message}"));
        Termination {
            exit_code: 128,
            reason: "StartError",
            message,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: self.shared.clock.timestamp(),
            container_id,
        }
    }

    /// Copies the output until the process has ended. The log is complete when this returns.
    async fn supervise(&self, mut process: Process, mut log: LogWriter, memory: &Memory) -> (i32, bool) {
        let (ended, has_ended) = oneshot::channel::<()>();
        let output = process.output.take();
        let copying = async {
            if let Some((stdout, stderr)) = output {
                log.copy(stdout, stderr, async { drop(has_ended.await) }).await;
            }
        };
        let waiting = async {
            let status = self.wait(&mut process, memory).await;
            drop(ended);
            status
        };
        let (status, ()) = tokio::join!(waiting, copying);
        match status {
            Ok((status, is_out_of_memory)) => (exit_code(status), is_out_of_memory),
            Err(error) => {
                warn!(%error, "Process can't be waited for");
                (255, false)
            }
        }
    }

    /// Waits for the process, and stops it when the pod is to stop. Whether the kernel killed it or a child of it.
    async fn wait(&self, process: &mut Process, memory: &Memory) -> std::io::Result<(ExitStatus, bool)> {
        let signaller = process.signaller();
        let mut halt = self.halt.subscribe();
        let mut kill_at: Option<Moment> = None;
        let mut is_out_of_memory = false;
        let mut exhausted = std::pin::pin!(memory.exhausted(&self.shared.clock));
        loop {
            tokio::select! {
                status = process.wait() => {
                    return Ok((status?, is_out_of_memory || memory.has_lost_a_child()));
                }
                () = &mut exhausted, if !is_out_of_memory => {
                    signaller.kill();
                    is_out_of_memory = true;
                }
                Ok(()) = halt.changed() => match *halt.borrow_and_update() {
                    Urgency::None => {}
                    Urgency::Now => signaller.kill(),
                    Urgency::Within(grace) => {
                        if kill_at.is_none() {
                            let message = format!("Stopping container {}", self.text("name"));
                            self.event(Severity::Normal, "Killing", &message);
                            signaller.terminate();
                        }
                        let latest = self.shared.clock.moment() + grace;
                        kill_at = Some(kill_at.map_or(latest, |at| at.min(latest)));
                    }
                },
                () = self.shared.clock.sleep_until_if(kill_at) => {
                    signaller.kill();
                    kill_at = None;
                }
            }
        }
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.spec[field].as_str().unwrap_or_default()
    }

    pub(super) fn report(&self, report: Report) {
        // The receiver lives as long as the pod's other containers run.
        self.reports.send((self.index, report)).ok();
    }

    pub(super) fn event(&self, severity: Severity, reason: &str, message: &str) {
        if self.shared.is_unreachable() {
            return;
        }
        let list = if self.is_init { "initContainers" } else { "containers" };
        let field = format!("spec.{list}{{{}}}", self.text("name"));
        self.shared.recorder.record(Component::Kubelet, self.pod, Some(&field), severity, reason, message);
    }
}

fn pod_name(pod: &Value) -> String {
    format!("{}_{}({})", meta(pod, "name"), meta(pod, "namespace"), meta(pod, "uid"))
}
