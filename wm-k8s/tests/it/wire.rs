//! The way from a manager to its cluster: it counts what passes, and misbehaves where it is told to.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use async_stream::try_stream;
use bytes::Bytes;
use futures::{
    FutureExt as _, TryStreamExt as _,
    future::{BoxFuture, pending},
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tower::{BoxError, Service};

type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// What a request wants, in the words of a Role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) verb: &'static str,
    pub(crate) resource: String,
    pub(crate) target: String,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This answer, and the cluster never hears of it.
    Answer { code: u16, retry_after: Option<u32>, body: String },
    /// The cluster does it, and the answer is lost, once this is told.
    LoseAnswer(Arc<Notify>),
    /// No answer ever comes.
    Nothing,
    /// The connection breaks behind this many bytes of the answer.
    Cut(usize),
    /// A server that does not know these fields, given as JSON pointers.
    Forget(&'static [&'static str]),
}

#[derive(Debug)]
struct Rule {
    verb: &'static str,
    resource: &'static str,
    left: usize,
    fault: Fault,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    rules: Vec<Rule>,
    /// The rights that there are; all if none is named.
    allowed: Option<&'static [(&'static str, &'static str)]>,
    /// Whether access reviews tell the truth about them.
    honest: bool,
}

/// A service that stands between a client and a cluster.
#[derive(Clone)]
pub(crate) struct Wire {
    cluster: Client,
    state: Arc<Mutex<State>>,
    called: watch::Sender<()>,
}

impl Wire {
    pub(crate) fn new(cluster: Client) -> Self {
        let state = State { honest: true, ..State::default() };
        Self { cluster, state: Arc::new(Mutex::new(state)), called: watch::Sender::new(()) }
    }

    /// A client whose requests go this way.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// The next calls of this kind go wrong, this many.
    pub(crate) fn fail(&self, verb: &'static str, resource: &'static str, times: usize, fault: Fault) {
        self.state.lock().unwrap().rules.push(Rule { verb, resource, left: times, fault });
    }

    /// From now on there are these rights alone, and access reviews say so.
    pub(crate) fn allow_only(&self, rights: &'static [(&'static str, &'static str)]) {
        self.state.lock().unwrap().allowed = Some(rights);
    }

    /// As [`allow_only`](Self::allow_only), but access reviews claim that all is allowed.
    pub(crate) fn allow_only_secretly(&self, rights: &'static [(&'static str, &'static str)]) {
        self.allow_only(rights);
        self.state.lock().unwrap().honest = false;
    }

    /// The calls so far but for those that take no right, with which every manager begins.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let mut calls = self.every_call();
        calls.retain(|call| !call.is_open_to_all());
        calls
    }

    /// The calls so far for which none of these rights is enough.
    pub(crate) fn calls_beyond(&self, rights: &[(&str, &str)]) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| !rights.contains(&(call.verb, &call.resource)));
        calls
    }

    pub(crate) fn every_call(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    pub(crate) fn count(&self, verb: &str, resource: &str) -> usize {
        self.calls().iter().filter(|call| call.verb == verb && call.resource == resource).count()
    }

    /// Waits until there have been so many calls of a kind.
    pub(crate) async fn called(&self, verb: &str, resource: &str, times: usize) {
        let enough = |(): &()| self.count(verb, resource) >= times;
        self.called.subscribe().wait_for(enough).await.unwrap();
    }

    /// The calls that change something.
    pub(crate) fn writes(&self) -> Vec<String> {
        let is_write = |call: &Call| !matches!(call.verb, "get" | "list" | "watch");
        let calls = self.calls();
        calls
            .iter()
            .filter(|call| is_write(call))
            .map(|call| format!("{} {}", call.verb, call.resource))
            .collect()
    }

    fn enter(&self, call: &Call) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.calls.push(call.clone());
        let fits =
            |rule: &&mut Rule| rule.left > 0 && rule.verb == call.verb && rule.resource == call.resource;
        if let Some(rule) = state.rules.iter_mut().find(fits) {
            rule.left -= 1;
            return Some(rule.fault.clone());
        }
        (!call.is_open_to_all() && !state.allows(call.verb, &call.resource)).then(|| forbidden(call))
    }

    /// Answers an access review by the rights that there are; `None` where all is allowed.
    fn review(&self, body: &[u8]) -> Option<Value> {
        let state = self.state.lock().unwrap();
        state.allowed?;
        let mut review: Value = serde_json::from_slice(body).unwrap();
        let asked = &review["spec"]["resourceAttributes"];
        let mut resource = asked["resource"].as_str().unwrap().to_owned();
        if let Some(subresource) = asked["subresource"].as_str() {
            resource = format!("{resource}/{subresource}");
        }
        let allowed = !state.honest || state.allows(asked["verb"].as_str().unwrap(), &resource);
        review["status"] = json!({ "allowed": allowed });
        Some(review)
    }

    async fn pass(self, request: Request<Body>) -> Result<Response<Answer>, BoxError> {
        let call = Call::of(&request);
        let fault = self.enter(&call);
        self.called.send_replace(());
        let (parts, body) = request.into_parts();
        let mut body = body.collect().await?.to_bytes();
        if call.resource == "selfsubjectaccessreviews"
            && let Some(review) = self.review(&body)
        {
            return Ok(answer(201, None, review.to_string()));
        }
        match &fault {
            Some(Fault::Answer { code, retry_after, body }) => {
                return Ok(answer(*code, *retry_after, body.clone()));
            }
            Some(Fault::Nothing) => pending().await,
            Some(Fault::Forget(fields)) => body = forget(&body, fields),
            _ => {}
        }
        let response = self.cluster.send(Request::from_parts(parts, Body::from(body))).await?;
        match fault {
            Some(Fault::LoseAnswer(when)) => {
                when.notified().await;
                Err("the connection was closed before the answer came".into())
            }
            Some(Fault::Cut(bytes)) => Ok(response.map(|body| cut(body, bytes))),
            _ => Ok(response.map(|body| body.map_err(Into::into).boxed_unsync())),
        }
    }
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().pass(request).boxed()
    }
}

impl State {
    fn allows(&self, verb: &str, resource: &str) -> bool {
        self.allowed.is_none_or(|allowed| allowed.contains(&(verb, resource)))
    }
}

impl Call {
    /// Questions about oneself and the version take no right.
    fn is_open_to_all(&self) -> bool {
        self.resource.starts_with("selfsubject") || self.resource == "version"
    }

    fn of(request: &Request<Body>) -> Self {
        let mut path: Vec<_> = request.uri().path().split('/').skip(1).collect();
        if path == ["version"] {
            return Self { verb: "get", resource: "version".to_owned(), target: request.uri().to_string() };
        }
        // `api/v1` or `apis/GROUP/v1`, then perhaps `namespaces/NAME`, then what it is about.
        path.drain(..if path[0] == "api" { 2 } else { 3 });
        if path[0] == "namespaces" && path.len() > 2 {
            path.drain(..2);
        }
        let name = path.get(1).copied();
        let query = request.uri().query().unwrap_or_default();
        let watches = query.contains("watch=1") || query.contains("watch=true");
        let verb = match (request.method().as_str(), name) {
            ("GET", None) if watches => "watch",
            ("GET", None) => "list",
            ("GET", Some(_)) => "get",
            ("POST", _) => "create",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            (method, _) => panic!("no verb for {method}"),
        };
        let resource = path.get(2).map_or_else(|| path[0].to_owned(), |sub| format!("{}/{sub}", path[0]));
        Self { verb, resource, target: request.uri().to_string() }
    }
}

fn forbidden(call: &Call) -> Fault {
    let Call { verb, resource, .. } = call;
    let message = format!("{resource} is forbidden: User \"server\" cannot {verb} resource \"{resource}\"");
    Fault::status(403, "Forbidden", &message)
}

impl Fault {
    /// A refusal as the API server words it.
    pub(crate) fn status(code: u16, reason: &str, message: &str) -> Self {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        Self::Answer { code, retry_after: None, body: body.to_string() }
    }
}

fn answer(code: u16, retry_after: Option<u32>, body: String) -> Response<Answer> {
    let mut response = Response::builder().status(code);
    if let Some(seconds) = retry_after {
        response = response.header("Retry-After", seconds);
    }
    response.body(Full::from(body).map_err(|never| match never {}).boxed_unsync()).unwrap()
}

fn forget(body: &[u8], fields: &[&str]) -> Bytes {
    let mut object: Value = serde_json::from_slice(body).unwrap();
    for field in fields {
        let (parent, key) = field.rsplit_once('/').unwrap();
        if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
            parent.remove(key);
        }
    }
    object.to_string().into()
}

/// Ends a body with an error behind its first bytes, or where it ends before.
fn cut(body: Body, bytes: usize) -> Answer {
    let begun = try_stream! {
        let mut whole = body.into_data_stream();
        let mut left = bytes;
        while left > 0 {
            let Some(chunk) = whole.try_next().await? else { break };
            let part = chunk.slice(..chunk.len().min(left));
            left -= part.len();
            yield Frame::data(part);
        }
        Err(BoxError::from("connection reset by peer"))?;
    };
    StreamBody::new(begun).boxed_unsync()
}
