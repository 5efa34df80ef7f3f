use std::{fmt, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::config::Credentials;
use aws_smithy_http_client::{
    Builder,
    tls::{self, rustls_provider::CryptoMode},
};
use secrecy::{ExposeSecret as _, SecretString};

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);
const OPERATION: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 3;

/// Who we are at AWS, and how its services are called: credentials, region, one HTTP client for all.
#[derive(Clone)]
pub struct AwsAccount {
    pub(crate) config: SdkConfig,
}

impl AwsAccount {
    /// Finds credentials as AWS' own tools do: the environment, a profile, the identity of the pod (IRSA or EKS Pod
    /// Identity), that of the machine. Without a region it is found in the same way.
    ///
    /// Credentials are fetched when they are needed, and again before they expire.
    pub async fn load(region: Option<&str>) -> Self {
        let loader = Self::loader(region);
        Self { config: loader.load().await }
    }

    /// Uses a key, for stores that know no roles.
    pub async fn with_key(access_key: &str, secret_key: &SecretString, region: &str) -> Self {
        let credentials = Credentials::new(access_key, secret_key.expose_secret(), None, None, "settings");
        Self { config: Self::loader(Some(region)).credentials_provider(credentials).load().await }
    }

    /// The region, where one is known.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    fn loader(region: Option<&str>) -> aws_config::ConfigLoader {
        let client = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(OPERATION)
            .build();
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(client)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        match region {
            Some(region) => loader.region(Region::new(region.to_owned())),
            None => loader,
        }
    }
}

impl fmt::Debug for AwsAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsAccount").field("region", &self.region()).finish_non_exhaustive()
    }
}
