//! The cluster: store, node, controllers and API server, started and ended together.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    access::{Access, Grant, Identity},
    api::{Api, Server, populate, populate_account},
    clock::Clock,
    controller::ControllerOptions,
    faults::{Fault, Faults},
    kubeconfig::kubeconfig,
    node::{LogLimits, Node, NodeOptions, NodeSetup},
    store::Store,
};

/// What a cluster is like. `ClusterOptions::default()` is a cluster on a free port of the loopback interface, with the
/// namespace `default` and its files in a temporary directory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// Where the logs and the home directories of the pods are kept. A temporary directory if there is none, which
    /// goes with the cluster.
    pub directory: Option<PathBuf>,
    /// Where the API server listens. Whoever can reach it and has the token can run processes as this user.
    pub address: SocketAddr,
    /// The namespaces, each with the service account `default`. The first one is the kubeconfig's.
    pub namespaces: Vec<String>,
    /// Further service accounts, as pairs of namespace and name. A namespace that is not there is made.
    pub service_accounts: Vec<(String, String)>,
    /// Further tokens, each with its own rights. The service account of one is made if it is not there.
    pub grants: Vec<Grant>,
    /// What the node is like.
    pub node: NodeOptions,
    /// How long a kubelet waits after the first failed pull of an image, doubled with each further one: 10 s.
    pub image_backoff: Duration,
    /// Faults that are active from the start.
    pub faults: Vec<Fault>,
    /// From this it follows which requests and pods a fault hits, and what generated names and uids are. Another one
    /// for each cluster by default.
    pub seed: u64,
    /// How long changes of a Job's pods are gathered before the Job's status follows: 1 s in a real cluster.
    pub job_sync_delay: Duration,
    /// How long a Job waits after its first failed pod, doubled with each further one: 10 s as in a real cluster.
    pub job_backoff: Duration,
    /// The time that the cluster goes by: the system's, unless a test drives it.
    pub clock: Clock,
    /// After how many bytes a container's log begins another file. As in a real cluster only the last file can be read,
    /// but who follows a log gets all of it. 10 MiB, a kubelet's default.
    pub container_log_max_size: u64,
    /// How many files of a container's log are kept: 5, a kubelet's default.
    pub container_log_max_files: u32,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        let controller = ControllerOptions::default();
        let log = LogLimits::default();
        Self {
            directory: None,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            namespaces: vec!["default".to_owned()],
            service_accounts: Vec::new(),
            grants: Vec::new(),
            node: NodeOptions::default(),
            image_backoff: Duration::from_secs(10),
            faults: Vec::new(),
            seed: any_seed(),
            job_sync_delay: controller.job_sync_delay,
            job_backoff: controller.job_backoff,
            clock: Clock::system(),
            container_log_max_size: log.max_size,
            container_log_max_files: log.max_files,
        }
    }
}

/// Why a cluster could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The directory of the pods could not be made.
    #[error("the cluster's directory {path} could not be made")]
    Directory {
        /// The directory, or the one in which a temporary one was to be made.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The address could not be listened on.
    #[error("the cluster could not listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address is one that other machines can reach.
    #[error(
        "the cluster must listen on a loopback address such as 127.0.0.1, not on {address}: who reaches it could run \
         processes as this user"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// A namespace or service account has a name that Kubernetes does not allow.
    #[error("{0}")]
    InvalidName(String),
}

/// A running cluster. Dropping it kills its pods at once; [`Cluster::shutdown`] lets them end.
pub struct Cluster {
    url: String,
    namespace: String,
    api: Arc<Api>,
    // Dropped in this order: no request comes in any more, the pods end, their files go.
    server: Server,
    node: Arc<Node>,
    _directory: Option<TempDir>,
}

impl Cluster {
    /// Starts a cluster. It must be called within a tokio runtime, on which the cluster runs.
    pub async fn start(options: ClusterOptions) -> Result<Self, StartError> {
        if !options.address.ip().is_loopback() {
            return Err(StartError::NotLoopback { address: options.address });
        }
        let (directory, temporary) = directory(options.directory).await?;
        let clock = options.clock;
        let store = Store::new(clock.clone(), options.seed);
        populate(&store, &options.node, &options.namespaces, &options.service_accounts)
            .map_err(|error| StartError::InvalidName(error.message))?;
        let controller =
            ControllerOptions { job_sync_delay: options.job_sync_delay, job_backoff: options.job_backoff };
        let access = Access::new(store.clone(), clock.clone());
        for grant in &options.grants {
            add_grant(&store, &access, grant)?;
        }
        let faults = Faults::new(options.seed, clock.clone(), &options.faults);
        let log_limits = LogLimits {
            max_size: options.container_log_max_size,
            max_files: options.container_log_max_files,
        };
        let setup = NodeSetup {
            directory,
            is_temporary: temporary.is_some(),
            log_limits,
            image_backoff: options.image_backoff,
        };
        let node = Arc::new(Node::start(store.clone(), setup, clock, controller, faults.clone()));
        let api = Arc::new(Api { store, node: Arc::clone(&node), access, faults });
        let server = Server::start(options.address, Arc::clone(&api))
            .await
            .map_err(|source| StartError::Listen { address: options.address, source })?;
        let url = format!("http://{}", server.address());
        let namespace = options.namespaces.into_iter().next().unwrap_or_else(|| "default".to_owned());
        Ok(Self { url, namespace, api, server, node, _directory: temporary })
    }

    /// The address of the API server, such as `http://127.0.0.1:41273`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bearer token that opens the API. It is a secret: who has it can run processes as this user.
    pub fn token(&self) -> &str {
        self.api.access.administrator().as_str()
    }

    /// Grants an identity a new token and returns it. Its service account is made if it is not there.
    ///
    /// # Errors
    /// `InvalidName` when the service account or its namespace has a name that Kubernetes does not allow.
    pub fn grant(&self, identity: Identity) -> Result<String, StartError> {
        let grant = Grant::random(identity);
        add_grant(&self.api.store, &self.api.access, &grant)?;
        Ok(grant.token)
    }

    /// Revokes a token that was granted; from now on it is answered 401. Returns whether there was such a token.
    pub fn revoke(&self, token: &str) -> bool {
        self.api.access.revoke(token)
    }

    /// The faults: to inject and lift them, and to read what they did.
    pub fn faults(&self) -> Faults {
        self.api.faults.clone()
    }

    /// The time that the cluster goes by, to be driven by a test that started it with [`Clock::driven`].
    pub fn clock(&self) -> &Clock {
        self.api.store.clock()
    }

    /// A kubeconfig with address and token, for kubectl and other clients. A secret like the token.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_for(self.token())
    }

    /// A kubeconfig with address and a token that was granted.
    pub fn kubeconfig_for(&self, token: &str) -> String {
        kubeconfig(self.server.address(), token, &self.namespace)
    }

    /// Ends the cluster: closes the API, asks all pods to end, and kills those that do not.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the pods at once.
    pub async fn shutdown(self) {
        let Self { server, api, node, _directory, .. } = self;
        // Closed connections give back their share of the node only when their tasks have ended.
        server.shutdown().await;
        drop(api);
        if let Some(node) = Arc::into_inner(node) {
            node.shutdown().await;
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cluster").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Another one for each cluster whose options do not choose.
fn any_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

fn add_grant(store: &Store, access: &Access, grant: &Grant) -> Result<(), StartError> {
    if let Some((namespace, name)) = &grant.identity.service_account {
        populate_account(store, namespace, name).map_err(|error| StartError::InvalidName(error.message))?;
    }
    access.grant(grant);
    Ok(())
}

async fn directory(wanted: Option<PathBuf>) -> Result<(PathBuf, Option<TempDir>), StartError> {
    if let Some(path) = wanted {
        return match tokio::fs::create_dir_all(&path).await {
            Ok(()) => Ok((path, None)),
            Err(source) => Err(StartError::Directory { path, source }),
        };
    }
    let made = tempfile::Builder::new().prefix("workload-manager-").tempdir();
    match made {
        Ok(directory) => Ok((directory.path().to_owned(), Some(directory))),
        Err(source) => Err(StartError::Directory { path: std::env::temp_dir(), source }),
    }
}
