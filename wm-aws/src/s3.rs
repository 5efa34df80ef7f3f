use std::fmt;

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    config::{Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation},
    operation::put_object::builders::PutObjectFluentBuilder,
    primitives::ByteStream,
    types::ServerSideEncryption,
};
use wm_core::{
    Chunk, ChunkEntry, ChunkPage, ChunkStore, ChunkStoreCapabilities, Creation, Error, ErrorKind, Result,
};

use crate::{account::AwsAccount, error::Refusal};

/// What is asked for to see what a bucket allows. It stays there, and is the only object beside the logs.
const PROBE: &str = "v1/probe";
/// What is deleted to see whether that is allowed: there never is such an object.
const NOTHING: &str = "v1/nothing";
/// Under which the writer of an object is noted.
const WRITER: &str = "writer";

/// Where in S3 chunks are kept, and how.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// The bucket's name.
    pub bucket: String,
    /// What all keys begin with, without a slash at either end.
    pub prefix: Option<String>,
    /// The bucket's region, if it is not the account's.
    pub region: Option<String>,
    /// The address of a store that speaks S3 and is not AWS'. It is addressed by path, and sent no checksums that not all
    /// stores understand.
    pub endpoint: Option<String>,
    /// How objects are encrypted; as the bucket says by default.
    pub encryption: Option<S3Encryption>,
    /// What the store can do; by default it is tried out.
    pub capabilities: Option<ChunkStoreCapabilities>,
}

impl S3Settings {
    /// A bucket of AWS, with all else as it is usual.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: None,
            region: None,
            endpoint: None,
            encryption: None,
            capabilities: None,
        }
    }
}

/// How S3 encrypts an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S3Encryption {
    /// With S3's own keys (`AES256`).
    S3,
    /// With a key of KMS, and a bucket key so that KMS is not asked for each of the many small objects (`aws:kms`).
    Kms {
        /// The key's id or ARN; the account's own for S3 if `None`.
        key: Option<String>,
    },
}

/// Keeps chunks as objects of a bucket, in S3 or a store that speaks it.
///
/// It needs the rights to put, get and list; to delete is an ability. A chunk is created with `If-None-Match: *`.
#[derive(Clone)]
pub struct S3ChunkStore {
    client: Client,
    settings: S3Settings,
    can: ChunkStoreCapabilities,
}

impl S3ChunkStore {
    /// Connects to a bucket, and tries out what it allows unless the settings tell: a small object is put there, twice.
    ///
    /// A bucket that can't be reached now is taken for one that can the least: nothing is lost then, and lines may be
    /// there twice.
    ///
    /// # Errors
    /// `InvalidConfig` for a directory bucket, whose lists have no order; for a bucket that does not exist, or is in
    /// another region. `PermissionDenied` when nothing may be put there.
    pub async fn connect(account: &AwsAccount, settings: S3Settings) -> Result<Self> {
        if settings.bucket.ends_with("--x-s3") {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "a directory bucket can't hold logs, since it lists them without an order: use a general purpose bucket",
            )
            .with_context("bucket", settings.bucket));
        }
        let client = Client::from_conf(configuration(account, &settings).build());
        let mut store = Self { client, settings, can: ChunkStoreCapabilities::default() };
        store.can = match store.settings.capabilities {
            Some(can) => can,
            None => store.try_out().await?,
        };
        Ok(store)
    }

    async fn try_out(&self) -> Result<ChunkStoreCapabilities> {
        let mut can = ChunkStoreCapabilities::default();
        for _ in 0..2 {
            match self.put(PROBE, b"", "probe", true).await {
                Ok(Creation::Created) => {}
                Ok(Creation::Exists) => {
                    can.conditional_create = true;
                    break;
                }
                Err(refusal) if refusal.kind == ErrorKind::Unsupported => break,
                Err(refusal)
                    if matches!(refusal.kind, ErrorKind::InvalidConfig | ErrorKind::PermissionDenied) =>
                {
                    return Err(self.error(refusal, "the bucket for logs can't be used"));
                }
                Err(refusal) => {
                    let error = self.error(refusal, "the bucket for logs could not be tried out");
                    tracing::warn!(%error, "Lines of logs may be archived twice until the next start");
                    return Ok(can);
                }
            }
        }
        can.delete = self.remove(NOTHING).await.is_ok();
        Ok(can)
    }

    async fn put(&self, key: &str, bytes: &[u8], writer: &str, condition: bool) -> Result<Creation, Refusal> {
        let is_json = key.rsplit_once('.').is_some_and(|(_, ending)| ending == "json");
        let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
        let request = self
            .client
            .put_object()
            .bucket(&self.settings.bucket)
            .key(self.key(key))
            .content_type(kind)
            .metadata(WRITER, writer)
            .set_if_none_match(condition.then(|| "*".to_owned()))
            .body(ByteStream::from(bytes.to_vec()));
        match encrypted(request, self.settings.encryption.as_ref()).send().await {
            Ok(_) => Ok(Creation::Created),
            Err(error) => match Refusal::of(&error) {
                refusal if refusal.status == Some(412) => Ok(Creation::Exists),
                refusal => Err(refusal),
            },
        }
    }

    async fn remove(&self, key: &str) -> Result<(), Refusal> {
        let request = self.client.delete_object().bucket(&self.settings.bucket).key(self.key(key));
        request.send().await.map(drop).map_err(|error| Refusal::of(&error))
    }

    fn key(&self, key: &str) -> String {
        self.settings.prefix.as_ref().map_or_else(|| key.to_owned(), |prefix| format!("{prefix}/{key}"))
    }

    fn error(&self, refusal: Refusal, what: &str) -> Error {
        let bucket = &self.settings.bucket;
        let what = match (refusal.kind, &refusal.region) {
            (_, Some(region)) if refusal.kind == ErrorKind::InvalidConfig => {
                format!("{what}; the bucket is in {region}: set that region")
            }
            (ErrorKind::InvalidConfig, None) if refusal.is("NoSuchBucket") => {
                format!("{what}; there is no such bucket")
            }
            (ErrorKind::PermissionDenied, _) => {
                format!(
                    "{what}; it takes s3:PutObject and s3:GetObject on its objects and s3:ListBucket on the bucket"
                )
            }
            _ => what.to_owned(),
        };
        refusal.into_error(&what).with_context("bucket", bucket)
    }
}

fn configuration(account: &AwsAccount, settings: &S3Settings) -> Builder {
    let mut builder = Builder::from(&account.config);
    if let Some(region) = &settings.region {
        builder = builder.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &settings.endpoint {
        if settings.region.is_none() && account.region().is_none() {
            // It has to be signed for some region.
            builder = builder.region(Region::new("us-east-1"));
        }
        builder = builder
            .endpoint_url(endpoint)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    // A certificate for *.s3.amazonaws.com does not cover a name with dots.
    builder.force_path_style(settings.endpoint.is_some() || settings.bucket.contains('.'))
}

fn encrypted(request: PutObjectFluentBuilder, encryption: Option<&S3Encryption>) -> PutObjectFluentBuilder {
    match encryption {
        None => request,
        Some(S3Encryption::S3) => request.server_side_encryption(ServerSideEncryption::Aes256),
        Some(S3Encryption::Kms { key }) => request
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .set_ssekms_key_id(key.clone())
            .bucket_key_enabled(true),
    }
}

impl fmt::Debug for S3ChunkStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3ChunkStore")
            .field("settings", &self.settings)
            .field("can", &self.can)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for S3ChunkStore {
    fn capabilities(&self) -> ChunkStoreCapabilities {
        self.can
    }

    async fn create(&self, key: &str, bytes: &[u8], writer: &str) -> Result<Creation> {
        let put = self.put(key, bytes, writer, self.can.conditional_create).await;
        put.map_err(|refusal| {
            self.error(refusal, "a log could not be written to S3").with_context("key", key)
        })
    }

    async fn get(&self, key: &str) -> Result<Chunk> {
        let what = "a log could not be read from S3";
        let request = self.client.get_object().bucket(&self.settings.bucket).key(self.key(key));
        let object = request
            .send()
            .await
            .map_err(|error| self.error(Refusal::of(&error), what).with_context("key", key))?;
        let writer = object.metadata.as_ref().and_then(|all| all.get(WRITER)).cloned();
        let bytes = object.body.collect().await.map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("{what}: the answer broke off"))
                .with_context("key", key)
                .with_source(error)
        })?;
        let chunk = Chunk::new(bytes.to_vec());
        Ok(match writer {
            Some(writer) => chunk.with_writer(writer),
            None => chunk,
        })
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ChunkPage> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.settings.bucket)
            .prefix(self.key(prefix))
            .set_start_after(after.map(|after| self.key(after)));
        let page = request
            .send()
            .await
            .map_err(|error| self.error(Refusal::of(&error), "logs could not be listed in S3"))?;
        let own = self.key("");
        let entries = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let key = object.key?;
            let key = key.strip_prefix(&own)?;
            Some(ChunkEntry::new(key, u64::try_from(object.size.unwrap_or_default()).ok()?))
        });
        Ok(ChunkPage::new(entries.collect(), page.is_truncated.unwrap_or_default()))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        if !self.can.delete {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "logs can't be removed from this bucket: it takes s3:DeleteObject, or let a lifecycle rule do it",
            )
            .with_context("bucket", &self.settings.bucket));
        }
        let removed = self.remove(key).await;
        removed.map_err(|refusal| {
            self.error(refusal, "a log could not be removed from S3").with_context("key", key)
        })
    }
}
