mod host;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_sdk_ecr::{
    Client,
    config::{Builder, Region},
    types::{ImageIdentifier, ImageTagMutability, Tag},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use wm_core::{
    EnvironmentValue, Error, ErrorKind, ImageReference, ManifestProbe, Probe, RegistrySetup, Result,
};

pub use self::host::EcrHost;
use crate::{account::AwsAccount, error::Refusal};

/// Tokens are fetched again this long before they expire.
const MARGIN: Duration = Duration::from_hours(1);

/// How ECR is used.
#[derive(Clone, Debug)]
pub struct EcrSettings {
    /// Whether repositories that are missing are made.
    pub create_repositories: bool,
    /// The address that is called instead of ECR's own, for tests and proxies.
    pub endpoint: Option<String>,
}

impl Default for EcrSettings {
    fn default() -> Self {
        Self { create_repositories: true, endpoint: None }
    }
}

/// ECR, for the images that it has or is to have; other registries are left to whoever knows them.
///
/// The region is that of the registry's host name. A missing right never fails a launch: nobody can tell then.
pub struct Ecr {
    account: AwsAccount,
    settings: EcrSettings,
    probe: Arc<dyn ManifestProbe>,
    setup: Arc<dyn RegistrySetup>,
    clients: Mutex<HashMap<(String, bool, bool), Client>>,
    /// By region.
    tokens: Mutex<HashMap<String, Token>>,
}

#[derive(Clone)]
struct Token {
    text: SecretString,
    expires: SystemTime,
}

impl Ecr {
    /// Makes it, with what asks and sets up all other registries.
    pub fn new(
        account: AwsAccount,
        settings: EcrSettings,
        probe: Arc<dyn ManifestProbe>,
        setup: Arc<dyn RegistrySetup>,
    ) -> Self {
        Self { account, settings, probe, setup, clients: Mutex::default(), tokens: Mutex::default() }
    }

    fn client(&self, host: &EcrHost) -> Client {
        let key = (host.region.clone(), host.is_fips, host.is_dual_stack);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(key).or_insert_with(|| {
            if self.account.region().is_some_and(|region| region != host.region) {
                tracing::debug!(region = host.region, "The registry is asked in its own region");
            }
            let mut builder = Builder::from(&self.account.config).region(Region::new(host.region.clone()));
            match &self.settings.endpoint {
                Some(endpoint) => builder = builder.endpoint_url(endpoint),
                None => builder = builder.use_fips(host.is_fips).use_dual_stack(host.is_dual_stack),
            }
            Client::from_conf(builder.build())
        });
        client.clone()
    }

    async fn describe(&self, host: &EcrHost, image: &ImageReference) -> Result<Option<String>, Refusal> {
        let request = self
            .client(host)
            .describe_images()
            .registry_id(&host.account)
            .repository_name(image.repository())
            .image_ids(identifier(image));
        match request.send().await {
            Ok(answer) => {
                let details = answer.image_details.unwrap_or_default();
                Ok(details.into_iter().find_map(|detail| detail.image_digest))
            }
            Err(error) => match Refusal::of(&error) {
                refusal if is_absence(&refusal) => Ok(None),
                refusal => Err(refusal),
            },
        }
    }

    /// Asks in the way that whoever may pull may ask.
    async fn pull(&self, host: &EcrHost, image: &ImageReference) -> Result<Option<String>, Refusal> {
        let request = self
            .client(host)
            .batch_get_image()
            .registry_id(&host.account)
            .repository_name(image.repository())
            .image_ids(identifier(image));
        match request.send().await {
            Ok(answer) => {
                let images = answer.images.unwrap_or_default();
                Ok(images.into_iter().find_map(|image| image.image_id?.image_digest))
            }
            Err(error) => match Refusal::of(&error) {
                refusal if is_absence(&refusal) => Ok(None),
                refusal => Err(refusal),
            },
        }
    }

    async fn token(&self, host: &EcrHost) -> Result<SecretString> {
        let known = {
            let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.get(&host.region).filter(|token| token.expires > SystemTime::now() + MARGIN).cloned()
        };
        if let Some(token) = known {
            return Ok(token.text);
        }
        let answer = self.client(host).get_authorization_token().send().await.map_err(|error| {
            Refusal::of(&error)
                .into_error("ECR gives no token to push with; it takes ecr:GetAuthorizationToken")
                .with_context("region", &host.region)
        })?;
        let data = answer.authorization_data.unwrap_or_default().into_iter().next();
        let (text, expires) = data
            .and_then(|data| Some((data.authorization_token?, data.expires_at?)))
            .ok_or_else(|| Error::new(ErrorKind::Unexpected, "ECR answered without a token"))?;
        let expires = SystemTime::try_from(expires).unwrap_or(SystemTime::UNIX_EPOCH);
        let token = Token { text: text.into(), expires };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(host.region.clone(), token.clone());
        Ok(token.text)
    }
}

fn host(image: &ImageReference) -> Option<EcrHost> {
    EcrHost::parse(image.registry()?)
}

fn identifier(image: &ImageReference) -> ImageIdentifier {
    let digest = image.digest().map(str::to_owned);
    let tag = image.tag().filter(|_| digest.is_none()).map(str::to_owned);
    let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
    ImageIdentifier::builder().set_image_digest(digest).set_image_tag(tag).build()
}

fn is_absence(refusal: &Refusal) -> bool {
    refusal.is("ImageNotFoundException") || refusal.is("RepositoryNotFoundException")
}

impl fmt::Debug for Ecr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ecr")
            .field("account", &self.account)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ManifestProbe for Ecr {
    async fn probe(&self, image: &ImageReference) -> Probe {
        let Some(host) = host(image) else { return self.probe.probe(image).await };
        let answer = match self.describe(&host, image).await {
            Err(refusal) if refusal.kind == ErrorKind::PermissionDenied => self.pull(&host, image).await,
            answer => answer,
        };
        match answer {
            Ok(Some(digest)) => Probe::Found(digest),
            Ok(None) => Probe::Absent,
            Err(refusal) => Probe::Unknown(refusal.into_error("ECR does not tell").to_string()),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RegistrySetup for Ecr {
    async fn ensure_repository(&self, image: &ImageReference) -> Result<()> {
        let Some(host) = host(image) else { return self.setup.ensure_repository(image).await };
        if !self.settings.create_repositories {
            return Ok(());
        }
        let tag = Tag::builder().key("managed-by").value("workload-manager").build();
        let tag = tag.map_err(|error| {
            Error::new(ErrorKind::Unexpected, "the tag of a repository could not be made").with_source(error)
        })?;
        let request = self
            .client(&host)
            .create_repository()
            .registry_id(&host.account)
            .repository_name(image.repository())
            .image_tag_mutability(ImageTagMutability::Immutable)
            .tags(tag);
        let Err(error) = request.send().await else { return Ok(()) };
        let refusal = Refusal::of(&error);
        let repository =
            format!("arn:aws:ecr:{}:{}:repository/{}", host.region, host.account, image.repository());
        match refusal.kind {
            _ if refusal.is("RepositoryAlreadyExistsException") => Ok(()),
            // It may be there, or be made with the first push.
            ErrorKind::PermissionDenied => {
                tracing::warn!(
                    repository,
                    "The repository could not be made: it takes ecr:CreateRepository, unless it is there already"
                );
                Ok(())
            }
            _ => Err(refusal
                .into_error("the repository of the image could not be made")
                .with_context("repository", repository)),
        }
    }

    fn builder_environment(&self, image: &ImageReference) -> BTreeMap<String, String> {
        let Some(host) = host(image) else { return self.setup.builder_environment(image) };
        BTreeMap::from([
            ("AWS_REGION".to_owned(), host.region),
            ("AWS_SDK_LOAD_CONFIG".to_owned(), "true".to_owned()),
        ])
    }

    async fn docker_config(&self, image: &ImageReference) -> Result<Option<EnvironmentValue>> {
        let Some(host) = host(image) else { return self.setup.docker_config(image).await };
        let token = self.token(&host).await?;
        // It is what a docker config wants: user and password, encoded.
        let auth = json!({ "auth": token.expose_secret() });
        let registry = image.registry().unwrap_or_default();
        let text = json!({ "auths": { registry: auth } }).to_string();
        Ok(Some(EnvironmentValue::Secret(text.into())))
    }
}
