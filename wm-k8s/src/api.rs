//! The calls that we make: each with a deadline, repeated while the server has passing trouble.

use std::{sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, Request, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use kube::{
    Client,
    api::{
        DeleteParams, GetParams, ListParams, LogParams, Patch, PatchParams, PostParams, Preconditions,
        PropagationPolicy, WatchParams,
    },
    client::Body,
    core::request::Request as Requests,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    error::{CallError, Refusal},
    event::EventView,
    metrics, names,
    view::{JobObject, PodObject},
};

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a watch may take to begin: what happens meanwhile is not told.
const WATCH_DEADLINE: Duration = Duration::from_secs(15);
/// More calls at once need more connections and gain nothing.
pub(crate) const CALLS_AT_ONCE: usize = 16;
const PAGE: u32 = 500;

/// The API of one namespace.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    namespace: Arc<str>,
    slots: Arc<Semaphore>,
}

/// A successful answer.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(serde::Deserialize)]
struct List<T> {
    #[serde(default)]
    metadata: ListMeta,
    // The API gives `null` for an empty list of some kinds.
    #[serde(default = "Option::default")]
    items: Option<Vec<T>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    r#continue: Option<String>,
    resource_version: Option<String>,
}

impl Api {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.into(), slots: Arc::new(Semaphore::new(CALLS_AT_ONCE)) }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn jobs(&self) -> Requests {
        Requests::new(format!("/apis/batch/v1/namespaces/{}/jobs", self.namespace))
    }

    pub(crate) fn core(&self, plural: &str) -> Requests {
        Requests::new(format!("/api/v1/namespaces/{}/{plural}", self.namespace))
    }

    /// Creates a Job; gives what the server made of it, as text. Repeating it is safe: the name is taken then.
    pub(crate) async fn create_job(&self, job: &[u8]) -> Result<Bytes, CallError> {
        let build = || self.jobs().create(&PostParams::default(), job.to_vec());
        self.call_while(build, CallError::is_temporary).await
    }

    /// Reads a Job as text.
    pub(crate) async fn job_text(&self, name: &str) -> Result<Bytes, CallError> {
        self.call_while(|| self.jobs().get(name, &GetParams::default()), CallError::is_temporary).await
    }

    pub(crate) async fn create_secret(&self, secret: &Value) -> Result<(), CallError> {
        let body = serde_json::to_vec(secret).map_err(CallError::Unreadable)?;
        let made: Result<serde::de::IgnoredAny, _> =
            self.call(|| self.core("secrets").create(&PostParams::default(), body.clone())).await;
        match made {
            // It is owned by the Job, so one of that name is ours, from before.
            Err(error) if error.refusal().is_some_and(Refusal::is_taken) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    pub(crate) async fn job<T: DeserializeOwned>(&self, name: &str) -> Result<T, CallError> {
        self.call(|| self.jobs().get(name, &GetParams::default())).await
    }

    pub(crate) async fn jobs_with(&self, selector: &str) -> Result<Vec<JobObject>, CallError> {
        self.list(|| self.jobs(), selector).await
    }

    pub(crate) async fn pods_with(&self, selector: &str) -> Result<Vec<PodObject>, CallError> {
        self.list(|| self.core("pods"), selector).await
    }

    /// The events about an object, as they come.
    pub(crate) async fn events_of(&self, name: &str) -> Result<Vec<EventView>, CallError> {
        let params = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let list: List<EventView> = self.call(|| self.core("events").list(&params)).await?;
        Ok(list.items.unwrap_or_default())
    }

    /// The events that tell why Jobs have no pods.
    pub(crate) async fn refusals(&self) -> Result<Vec<EventView>, CallError> {
        self.list_by(
            || self.core("events"),
            ListParams::default().fields("reason=FailedCreate,involvedObject.kind=Job"),
        )
        .await
    }

    pub(crate) async fn patch_job<T: DeserializeOwned>(
        &self,
        name: &str,
        patch: &Value,
    ) -> Result<T, CallError> {
        self.call(|| self.jobs().patch(name, &PatchParams::default(), &Patch::Merge(patch))).await
    }

    /// The same for a patch that names the version it was made for: another try of a stale one is in vain.
    pub(crate) async fn patch_job_as_read(&self, name: &str, patch: &Value) -> Result<(), CallError> {
        let build = || self.jobs().patch(name, &PatchParams::default(), &Patch::Merge(patch));
        let may_pass = |error: &CallError| {
            error.is_temporary() && error.refusal().is_none_or(|refusal| refusal.code != 409)
        };
        self.call_while(build, may_pass).await?;
        Ok(())
    }

    pub(crate) async fn delete_job(
        &self,
        name: &str,
        uid: &str,
        policy: PropagationPolicy,
    ) -> Result<(), CallError> {
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        let _gone: serde::de::IgnoredAny = self.call(|| self.jobs().delete(name, &params)).await?;
        Ok(())
    }

    /// Takes a pod off without waiting for its node, if it is still the one of this UID.
    pub(crate) async fn remove_pod(&self, name: &str, uid: &str) -> Result<(), CallError> {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        let build = || self.core("pods").delete(name, &params);
        // A conflict says that it is another pod by now.
        let may_pass = |error: &CallError| {
            error.is_temporary() && error.refusal().is_none_or(|refusal| refusal.code != 409)
        };
        self.call_while(build, may_pass).await?;
        Ok(())
    }

    pub(crate) async fn delete_jobs_with(
        &self,
        selector: &str,
        policy: PropagationPolicy,
    ) -> Result<(), CallError> {
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        let list = ListParams::default().labels(selector);
        let _gone: serde::de::IgnoredAny =
            self.call(|| self.jobs().delete_collection(&params, &list)).await?;
        Ok(())
    }

    pub(crate) async fn namespace_object(&self) -> Result<Value, CallError> {
        self.call(|| Requests::new("/api/v1/namespaces").get(&self.namespace, &GetParams::default())).await
    }

    /// Reads the document at a path, without a second try: to hear soon whether anybody answers.
    pub(crate) async fn read_once(&self, path: &str) -> Result<Answer, CallError> {
        self.call_once(&|| {
            Request::get(path).body(Vec::new()).map_err(kube::core::request::Error::BuildRequest)
        })
        .await
    }

    /// Reads the document at a path.
    pub(crate) async fn read(&self, path: &str) -> Result<Answer, CallError> {
        self.answer_while(
            || {
                let request = Request::get(path).body(Vec::new());
                request.map_err(kube::core::request::Error::BuildRequest)
            },
            CallError::is_temporary,
        )
        .await
    }

    /// Sends an object to a path, for an answer and nothing else: an object of the API for a dry run, or a review.
    pub(crate) async fn submit_to_be_judged(&self, path: &str, object: &Value) -> Result<Answer, CallError> {
        let body = serde_json::to_vec(object).map_err(CallError::Unreadable)?;
        self.answer_while(
            || {
                let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(body.clone());
                request.map_err(kube::core::request::Error::BuildRequest)
            },
            CallError::is_temporary,
        )
        .await
    }

    /// Asks whether we may do something.
    pub(crate) async fn may(&self, review: &Value) -> Result<bool, CallError> {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let body = serde_json::to_vec(review).map_err(CallError::Unreadable)?;
        let answer: Value =
            self.call(|| Requests::new(path).create(&PostParams::default(), body.clone())).await?;
        Ok(answer["status"]["allowed"].as_bool().unwrap_or(false))
    }

    /// Opens a container's log; the stream ends when the server ends it, or with what broke it.
    pub(crate) async fn log(
        &self,
        pod: &str,
        params: &LogParams,
    ) -> Result<impl Stream<Item = Result<Bytes, kube::Error>> + Send + use<>, CallError> {
        let opened = self.open(self.core("pods").logs(pod, params), DEADLINE).await;
        if opened.as_ref().is_err_and(|error| error.refusal().is_some()) {
            metrics::log_refused();
        }
        Ok(metrics::log(opened?))
    }

    /// Sends a request whose answer is a stream.
    async fn open(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
        deadline: Duration,
    ) -> Result<impl Stream<Item = Result<Bytes, kube::Error>> + Send + use<>, CallError> {
        let request = request.map_err(build_error)?;
        let sent = timeout(deadline, self.client.send(request.map(Body::from)));
        let response =
            sent.await.map_err(|_| CallError::TimedOut(deadline))?.map_err(CallError::Unreachable)?;
        let (parts, body) = response.into_parts();
        // 204 means that the pod has no node yet: there is no log, which is not an empty log.
        if parts.status.as_u16() != 200 {
            let body = body.collect().await.map_err(CallError::Unreachable)?.to_bytes();
            return Err(CallError::Refused(Refusal::new(parts.status.as_u16(), &parts.headers, &body)));
        }
        Ok(body.into_data_stream())
    }

    async fn list<T: DeserializeOwned>(
        &self,
        path: impl Fn() -> Requests + Send + Sync,
        selector: &str,
    ) -> Result<Vec<T>, CallError> {
        self.list_by(path, ListParams::default().labels(selector)).await
    }

    async fn list_by<T: DeserializeOwned>(
        &self,
        path: impl Fn() -> Requests + Send + Sync,
        params: ListParams,
    ) -> Result<Vec<T>, CallError> {
        let (all, _version) = self.list_at(path(), params, Some).await?;
        Ok(all)
    }

    /// Lists what is to be kept of all objects, page by page, and tells at which version that was.
    pub(crate) async fn list_at<T: DeserializeOwned, V>(
        &self,
        requests: Requests,
        params: ListParams,
        keep: impl Fn(T) -> Option<V>,
    ) -> Result<(Vec<V>, String), CallError> {
        let mut params = params.limit(PAGE);
        let mut all = Vec::new();
        loop {
            let page: List<T> = self.call(|| requests.list(&params)).await?;
            all.extend(page.items.unwrap_or_default().into_iter().filter_map(&keep));
            match page.metadata.r#continue.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok((all, page.metadata.resource_version.unwrap_or_default())),
            }
        }
    }

    /// Opens a watch from a version on, which the server ends after a time.
    pub(crate) async fn watch(
        &self,
        requests: Requests,
        version: &str,
        lasts: Duration,
    ) -> Result<impl Stream<Item = Result<Bytes, kube::Error>> + Send + use<>, CallError> {
        let seconds = u32::try_from(lasts.as_secs()).ok();
        let params = WatchParams { timeout: seconds, ..WatchParams::default() }.labels(names::OURS);
        self.open(requests.watch(&params, version), WATCH_DEADLINE).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        build: impl Fn() -> Result<Request<Vec<u8>>, kube::core::request::Error> + Send + Sync,
    ) -> Result<T, CallError> {
        let answer = self.call_while(build, CallError::is_temporary).await?;
        serde_json::from_slice(&answer).map_err(CallError::Unreadable)
    }

    async fn call_while(
        &self,
        build: impl Fn() -> Result<Request<Vec<u8>>, kube::core::request::Error> + Send + Sync,
        may_pass: impl Fn(&CallError) -> bool + Send,
    ) -> Result<Bytes, CallError> {
        Ok(self.answer_while(build, may_pass).await?.body)
    }

    async fn answer_while(
        &self,
        build: impl Fn() -> Result<Request<Vec<u8>>, kube::core::request::Error> + Send + Sync,
        may_pass: impl Fn(&CallError) -> bool + Send,
    ) -> Result<Answer, CallError> {
        let policy = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(6)
            .with_jitter();
        (|| self.call_once(&build))
            .retry(policy)
            .when(may_pass)
            .adjust(|error, wait| wait.map(|wait| error.retry_after().map_or(wait, |asked| asked.max(wait))))
            .notify(|error, wait| {
                metrics::retried(error);
                tracing::debug!(?error, ?wait, "Call failed, trying again");
            })
            .await
    }

    async fn call_once(
        &self,
        build: &(impl Fn() -> Result<Request<Vec<u8>>, kube::core::request::Error> + Send + Sync),
    ) -> Result<Answer, CallError> {
        // The semaphore is never closed. Only who has a slot takes memory for a request.
        let _slot = self.slots.acquire().await;
        let request = build().map_err(build_error)?.map(Body::from);
        let (asked, began) = (metrics::Asked::of(&request), Instant::now());
        let answer = self.send(request).await;
        metrics::requested(asked, answer.as_ref().err(), began.elapsed());
        answer
    }

    /// Sends a request, and reads its answer to the end.
    async fn send(&self, request: Request<Body>) -> Result<Answer, CallError> {
        let answer = timeout(DEADLINE, async {
            let response = self.client.send(request).await.map_err(CallError::Unreachable)?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(CallError::Unreachable)?.to_bytes();
            Ok((parts, body))
        });
        let (parts, body) = answer.await.map_err(|_| CallError::TimedOut(DEADLINE))??;
        if !parts.status.is_success() {
            return Err(CallError::Refused(Refusal::new(parts.status.as_u16(), &parts.headers, &body)));
        }
        Ok(Answer { headers: parts.headers, body })
    }
}

fn build_error(error: kube::core::request::Error) -> CallError {
    CallError::Unreachable(kube::Error::BuildRequest(error))
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
