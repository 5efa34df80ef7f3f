//! The node: runs each pod as processes of this machine and keeps what they print.

mod agent;
mod base64;
mod command;
mod container;
mod directories;
mod disturbance;
mod downward;
mod environment;
mod eviction;
mod expansion;
mod groups;
mod guard;
mod halt;
mod image;
mod isolation;
mod launcher;
mod lifecycle;
mod log;
mod logs;
mod memory;
mod options;
mod pod;
mod process;
mod program;
mod pull;
mod scheduler;
mod scheduling;
mod sequence;
mod status;
mod strays;
mod termination;
mod unsupported;
mod volumes;

#[cfg(test)]
mod tests;

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{
    sync::{broadcast, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use self::options::{NodeOptions, Taint};
use self::{agent::Agent, directories::Directories, launcher::Launcher, logs::Logs, scheduling::Ledger};
pub(crate) use self::{
    base64::decode as decode_base64,
    log::{LogLimits, LogOptions},
};
use crate::{
    clock::Clock,
    controller::{ControllerOptions, Controllers},
    faults::Faults,
    policy::Policy,
    recorder::Recorder,
    store::{Key, Store},
};

/// The one node of the cluster.
pub(crate) const NODE_NAME: &str = "local";

/// How many changes of Secrets and `ConfigMap`s a waiting container may be behind before it just looks again.
const CONFIG_CHANGES: usize = 256;

/// The node and the controllers. Dropping it kills every process; [`Node::shutdown`] lets them end.
pub(crate) struct Node {
    shared: Arc<Shared>,
    agent: JoinSet<()>,
    stopping: CancellationToken,
    controllers: Controllers,
}

/// Where and how the node keeps what it has.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeSetup {
    /// The files of its pods are kept here.
    pub(crate) directory: PathBuf,
    /// Whether the directory goes with this process.
    pub(crate) is_temporary: bool,
    pub(crate) log_limits: LogLimits,
    /// How long it waits after the first failed pull of an image.
    pub(crate) image_backoff: Duration,
}

/// What the workers of all pods share.
pub(crate) struct Shared {
    store: Store,
    recorder: Recorder,
    clock: Clock,
    directories: Directories,
    launcher: Launcher,
    logs: Logs,
    log_limits: LogLimits,
    config_changes: broadcast::Sender<Key>,
    /// Tells that the node's object is another one.
    node_changes: watch::Sender<()>,
    faults: Faults,
    ledger: Arc<Ledger>,
    image_backoff: Duration,
    stopping: CancellationToken,
}

impl Node {
    /// Starts the node and the controllers.
    pub(crate) fn start(
        store: Store,
        setup: NodeSetup,
        clock: Clock,
        options: ControllerOptions,
        faults: Faults,
    ) -> Self {
        process::allow_many_files();
        let recorder = Recorder::new(store.clone(), clock.clone());
        let controllers = Controllers::start(&store, &recorder, &clock, options, &faults);
        let stopping = CancellationToken::new();
        let shared = Arc::new(Shared {
            store,
            recorder,
            clock,
            launcher: Launcher::new(&setup.directory, setup.is_temporary),
            directories: Directories::new(setup.directory),
            logs: Logs::default(),
            log_limits: setup.log_limits,
            config_changes: broadcast::Sender::new(CONFIG_CHANGES),
            node_changes: watch::Sender::new(()),
            faults,
            ledger: Arc::default(),
            image_backoff: setup.image_backoff,
            stopping: stopping.clone(),
        });
        let mut agent = JoinSet::new();
        agent.spawn(Agent::new(Arc::clone(&shared)).run(stopping.clone()));
        agent.spawn(lifecycle::run(Arc::clone(&shared)));
        Self { shared, agent, stopping, controllers }
    }

    /// Ends every pod: asks its processes to end, and kills those that don't within two seconds.
    pub(crate) async fn shutdown(mut self) {
        self.stopping.cancel();
        while self.agent.join_next().await.is_some() {}
    }

    /// What namespaces allow.
    pub(crate) fn policy(&self) -> &Policy {
        self.controllers.policy()
    }

    /// Whether there is a log of this container.
    pub(crate) fn has_log(&self, pod_uid: &str, container: &str, previous: bool) -> bool {
        self.shared.logs.find(pod_uid, container, previous).is_some()
    }

    /// The log of a container, from its first run or the last one. A log that is not there is told of in the
    /// stream itself, as a kubelet does.
    pub(crate) fn logs(
        &self,
        pod_uid: &str,
        container: &str,
        previous: bool,
        options: LogOptions,
    ) -> BoxStream<'static, io::Result<Bytes>> {
        let Some(handle) = self.shared.logs.find(pod_uid, container, previous) else {
            let text = format!("unable to retrieve container logs for process://{pod_uid}/{container}");
            return stream::once(async { Ok(text.into()) }).boxed();
        };
        log::read(handle, options, self.shared.clock.timestamp()).boxed()
    }
}

impl fmt::Debug for Node {
    /// Nothing of the store, which has secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.launcher.close();
    }
}
