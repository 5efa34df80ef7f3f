//! Asks registries whether they have an image, as a client of the OCI distribution protocol.

mod answer;
mod credentials;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use oci_client::{
    Client, Reference,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};
use tokio::time::{Instant, sleep, timeout};
use wm_core::{Error, ErrorKind, ImageReference, ManifestProbe, Probe, Result};

use crate::lookup::answer::Answer;
pub use crate::lookup::credentials::RegistryCredentials;

/// One question to a registry, with the detour to its token service.
const QUESTION: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// All of it, credentials and repetitions included.
const WHOLE: Duration = Duration::from_secs(25);
/// How long credentials are taken for good. A refusal has them fetched anew at once.
const LIFETIME: Duration = Duration::from_mins(5);
const DOCKER_HUB: &str = "docker.io";

/// Looks for images in registries with the server's own credentials.
///
/// A registry that refuses, is slow or is down is answered by [`Probe::Unknown`]: what to do then is the caller's.
pub struct RegistryProbe {
    credentials: RegistryCredentials,
    plain_http_registries: Vec<String>,
    certificates: Vec<Certificate>,
    sessions: Mutex<HashMap<String, Session>>,
}

/// A client and the credentials that it keeps for ever: new ones need a new client.
#[derive(Clone)]
struct Session {
    client: Client,
    auth: RegistryAuth,
    since: Instant,
}

impl RegistryProbe {
    /// Makes a probe that asks the named registries, `host[:port]`, over plain HTTP and all others over HTTPS.
    ///
    /// # Errors
    /// `InvalidConfig` when no client can be made.
    pub fn new(credentials: RegistryCredentials, plain_http_registries: Vec<String>) -> Result<Self> {
        // Whoever embeds us may have chosen a provider before, and keeps it.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let sessions = Mutex::default();
        let probe = Self { credentials, plain_http_registries, certificates: Vec::new(), sessions };
        probe.client()?;
        Ok(probe)
    }

    /// Trusts a certificate authority, as PEM, besides those of the system.
    ///
    /// # Errors
    /// `InvalidConfig` for what is no certificate.
    pub fn with_certificate(mut self, pem: Vec<u8>) -> Result<Self> {
        self.certificates.push(Certificate { encoding: CertificateEncoding::Pem, data: pem });
        self.client()?;
        Ok(self)
    }

    fn client(&self) -> Result<Client> {
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(self.plain_http_registries.clone()),
            extra_root_certificates: self.certificates.clone(),
            connect_timeout: Some(CONNECT),
            read_timeout: Some(QUESTION),
            user_agent: concat!("workload-manager/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        Client::try_from(config).map_err(|error| {
            Error::new(
                ErrorKind::InvalidConfig,
                "no client for registries can be made; look at the certificates",
            )
            .with_source(error)
        })
    }

    /// The client for a registry, with credentials that are fresh enough.
    async fn session(&self, registry: &str) -> Result<Session, String> {
        if let Some(session) =
            self.sessions().get(registry).filter(|session| session.since.elapsed() < LIFETIME)
        {
            return Ok(session.clone());
        }
        let auth = self.credentials.fetch(registry).await?;
        // The same credentials go on with the same client and its tokens.
        if let Some(session) = self.sessions().get_mut(registry).filter(|session| session.auth == auth) {
            session.since = Instant::now();
            return Ok(session.clone());
        }
        let client = self.client().map_err(|error| error.to_string())?;
        let session = Session { client, auth, since: Instant::now() };
        self.sessions().insert(registry.to_owned(), session.clone());
        Ok(session)
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, image: &Reference) -> Result<Probe, String> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_times(2)
            .with_jitter()
            .build();
        let mut is_renewed = false;
        loop {
            let session = self.session(image.registry()).await?;
            let question = session.client.fetch_manifest_digest(image, &session.auth);
            let answer = match timeout(QUESTION, question).await {
                Ok(answer) => Answer::of(answer),
                Err(_) => Answer::Unknown("it did not answer in time".to_owned()),
            };
            match answer {
                Answer::Found(digest) => return Ok(Probe::Found(digest)),
                Answer::Absent => return Ok(Probe::Absent),
                Answer::Unknown(why) => return Err(why),
                Answer::Refused(why) => {
                    // A password may have been changed, a token may be too old: some registries call that forbidden.
                    if is_renewed || session.auth == RegistryAuth::Anonymous {
                        return Err(why);
                    }
                    is_renewed = true;
                    self.sessions().remove(image.registry());
                }
                Answer::Busy(why) => match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => return Err(why),
                },
            }
        }
    }
}

/// The image as registries know it: Docker Hub has a name, and its own images a directory.
fn canonical(image: &ImageReference) -> Reference {
    let registry = match image.registry() {
        None | Some("index.docker.io" | "registry-1.docker.io") => DOCKER_HUB,
        Some(registry) => registry,
    };
    let mut repository = image.repository().to_owned();
    if registry == DOCKER_HUB && !repository.contains('/') {
        repository.insert_str(0, "library/");
    }
    let registry = registry.to_owned();
    match image.digest() {
        Some(digest) => Reference::with_digest(registry, repository, digest.to_owned()),
        None => Reference::with_tag(registry, repository, image.tag().unwrap_or("latest").to_owned()),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ManifestProbe for RegistryProbe {
    async fn probe(&self, image: &ImageReference) -> Probe {
        let reference = canonical(image);
        let answer = timeout(WHOLE, self.ask(&reference)).await;
        let why = match answer {
            Ok(Ok(probe)) => return probe,
            Ok(Err(why)) => why,
            Err(_) => "it did not answer in time".to_owned(),
        };
        tracing::debug!(%image, why, "Nobody can tell whether the registry has the image");
        Probe::Unknown(why)
    }
}

impl fmt::Debug for RegistryProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryProbe")
            .field("credentials", &self.credentials)
            .field("plain_http_registries", &self.plain_http_registries)
            .finish_non_exhaustive()
    }
}
