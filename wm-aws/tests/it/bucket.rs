//! A bucket in memory behind a real S3 server, with the ways in which S3 fails.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use s3s::{
    Body, S3, S3Request, S3Response, S3Result, auth::SimpleAuth, dto::*, s3_error, service::S3ServiceBuilder,
};
use secrecy::SecretString;
use wm_aws::{AwsAccount, S3Settings};

use crate::serve::serve;

const PAGE: usize = 20;

#[derive(Clone, Default)]
struct Object {
    bytes: Bytes,
    metadata: Option<Metadata>,
}

/// What the tests see and set of a bucket.
#[derive(Default)]
pub(crate) struct Bucket {
    objects: Mutex<BTreeMap<String, Object>>,
    /// The headers of each request, its method first.
    pub(crate) requests: Mutex<Vec<(String, HeaderMap)>>,
    pub(crate) ignores_conditions: AtomicBool,
    pub(crate) refuses_to_delete: AtomicBool,
    pub(crate) refuses_all: AtomicBool,
    /// Each so many creations is carried out and answered with an error; 0 for none.
    pub(crate) loses_answers: AtomicU64,
    creations: AtomicU64,
}

#[derive(Clone)]
struct Server(Arc<Bucket>);

#[async_trait::async_trait]
impl S3 for Server {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        if input.bucket != "my-logs" {
            return Err(s3_error!(NoSuchBucket));
        }
        if self.0.refuses_all.load(Ordering::Relaxed) {
            return Err(s3_error!(AccessDenied));
        }
        let body = Body::from(input.body.unwrap_or_else(|| Body::empty().into()));
        let bytes = body.collect().await.map_err(|_| s3_error!(IncompleteBody))?.to_bytes();
        let mut objects = self.0.objects.lock().unwrap();
        let is_conditional = input.if_none_match.is_some_and(|condition| condition.is_any());
        if is_conditional
            && objects.contains_key(&input.key)
            && !self.0.ignores_conditions.load(Ordering::Relaxed)
        {
            return Err(s3_error!(PreconditionFailed));
        }
        objects.insert(input.key, Object { bytes, metadata: input.metadata });
        let each = self.0.loses_answers.load(Ordering::Relaxed);
        if each > 0 && (self.0.creations.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(each) {
            return Err(s3_error!(InternalError));
        }
        Ok(S3Response::new(PutObjectOutput::default()))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let object = self.0.objects.lock().unwrap().get(&request.input.key).cloned();
        let object = object.ok_or_else(|| s3_error!(NoSuchKey))?;
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(i64::try_from(object.bytes.len()).unwrap()),
            body: Some(Body::from(object.bytes).into()),
            metadata: object.metadata,
            ..GetObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let after = input.start_after.unwrap_or_default();
        let objects = self.0.objects.lock().unwrap();
        let all = objects.range::<str, _>((Bound::Excluded(after.as_str()), Bound::Unbounded));
        let mut found = all.filter(|(key, _)| key.starts_with(&prefix));
        let contents = found.by_ref().take(PAGE).map(|(key, object)| s3s::dto::Object {
            key: Some(key.clone()),
            size: Some(i64::try_from(object.bytes.len()).unwrap()),
            ..s3s::dto::Object::default()
        });
        let contents: Vec<_> = contents.collect();
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(contents),
            is_truncated: Some(found.next().is_some()),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        if self.0.refuses_to_delete.load(Ordering::Relaxed) {
            return Err(s3_error!(AccessDenied));
        }
        self.0.objects.lock().unwrap().remove(&request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }
}

impl Bucket {
    /// Serves the bucket `my-logs`, and tells how it is reached.
    pub(crate) async fn serve(self: &Arc<Self>) -> (AwsAccount, S3Settings) {
        let mut builder = S3ServiceBuilder::new(Server(Arc::clone(self)));
        builder.set_auth(SimpleAuth::from_single("KEY", "SECRET"));
        let (service, bucket) = (builder.build(), Arc::clone(self));
        let endpoint = serve(move |request: Request<Bytes>| {
            let (service, bucket) = (service.clone(), Arc::clone(&bucket));
            async move {
                let seen = (
                    request.method().to_string() + " " + &request.uri().to_string(),
                    request.headers().clone(),
                );
                bucket.requests.lock().unwrap().push(seen);
                let response = service.call(request.map(Body::from)).await.unwrap();
                let (parts, body) = response.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                Response::from_parts(parts, body)
            }
        })
        .await;
        let account = AwsAccount::with_key("KEY", &SecretString::from("SECRET"), "eu-central-1").await;
        let mut settings = S3Settings::new("my-logs");
        settings.endpoint = Some(endpoint);
        settings.prefix = Some("team/logs".to_owned());
        (account, settings)
    }

    pub(crate) fn forget(&self, key: &str) {
        self.objects.lock().unwrap().remove(key);
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn bytes(&self, key: &str) -> Vec<u8> {
        self.objects.lock().unwrap()[key].bytes.to_vec()
    }

    /// The headers of the last request of this method.
    pub(crate) fn last(&self, method: &str) -> (String, HeaderMap) {
        let requests = self.requests.lock().unwrap();
        requests.iter().rev().find(|(seen, _)| seen.starts_with(method)).unwrap().clone()
    }
}
