use std::time::Duration;

use http::{HeaderValue, header::USER_AGENT, uri::Scheme};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt as _},
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::{BoxError, ServiceBuilder};
use wm_core::{Error, ErrorKind, Result};

/// How much of an answer is read at a time, in bytes. It bounds a connection's memory, not what is answered: a watch
/// that is busy would take six times as much, and keep it.
const READ_BUFFER: usize = 64 * 1024;

/// Where the credentials for a cluster come from.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// `KUBECONFIG`, `~/.kube/config`, or the pod's service account, in this order.
    #[default]
    Inferred,
    /// This context of the kubeconfig.
    Context(String),
    /// A kubeconfig given as YAML.
    Kubeconfig(String),
}

/// Makes a client for a cluster.
///
/// It asks nothing of the cluster yet. Connections send without delay and are kept alive, so that a dead one is noticed;
/// kube's own retries are off, since they repeat a POST for minutes.
///
/// # Errors
/// `InvalidConfig` when there are no credentials, or they can't be used.
pub async fn connect(credentials: &Credentials) -> Result<Client> {
    let mut config = config(credentials).await?;
    config.default_retry = false;
    config.headers.push((
        USER_AGENT,
        HeaderValue::from_static(concat!("workload-manager/", env!("CARGO_PKG_VERSION"))),
    ));
    // Whoever embeds us may have chosen a provider before, and keeps it.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    client(config).map_err(|error| {
        Error::new(ErrorKind::InvalidConfig, "the kubeconfig's credentials can't be used").with_source(error)
    })
}

async fn config(credentials: &Credentials) -> Result<Config> {
    let refuse = |message: &'static str, error: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::InvalidConfig, format!("{message}: {error}")).with_source(error)
    };
    match credentials {
        Credentials::Inferred => Config::infer().await.map_err(|error| {
            refuse(
                "no credentials for a cluster: set KUBECONFIG, or run in a pod with a service account",
                error.into(),
            )
        }),
        Credentials::Context(context) => {
            let options =
                KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options)
                .await
                .map_err(|error| refuse("the kubeconfig's context can't be used", error.into()))
        }
        Credentials::Kubeconfig(yaml) => {
            let kubeconfig = Kubeconfig::from_yaml(yaml)
                .map_err(|error| refuse("the kubeconfig can't be read", error.into()))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(|error| refuse("the kubeconfig can't be used", error.into()))
        }
    }
}

fn client(config: Config) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        return Ok(ClientBuilder::try_from(config)?.build());
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(30)));
    connector.set_keepalive_interval(Some(Duration::from_secs(10)));
    connector.set_keepalive_retries(Some(3));
    connector.set_connect_timeout(Some(Duration::from_secs(10)));
    let layers = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from);
    let namespace = config.default_namespace.clone();
    // A plain server must work on a machine without certificates.
    if config.cluster_url.scheme() == Some(&Scheme::HTTP) {
        let http: HttpClient<_, Body> =
            HttpClient::builder(TokioExecutor::new()).http1_max_buf_size(READ_BUFFER).build(connector);
        return Ok(Client::new(layers.service(http), namespace));
    }
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let https: HttpClient<_, Body> =
        HttpClient::builder(TokioExecutor::new()).http1_max_buf_size(READ_BUFFER).build(connector);
    Ok(Client::new(layers.service(https), namespace))
}
