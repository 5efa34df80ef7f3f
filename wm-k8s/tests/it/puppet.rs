//! A cluster that does what a test says, in memory: without sockets and processes its time can be paused.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use async_stream::try_stream;
use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream::BoxStream};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};
use tower::{BoxError, Service};

type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// The bytes of a log, until they end or break.
pub(crate) type LogBytes = BoxStream<'static, Result<Bytes, BoxError>>;

/// What a reader of a log asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRequest {
    pub(crate) container: String,
    pub(crate) follow: bool,
    pub(crate) previous: bool,
    pub(crate) since: Option<jiff::Timestamp>,
}

/// Answers who reads a log.
pub(crate) trait LogSource: Send + Sync {
    fn open(&self, request: &LogRequest) -> LogBytes;
}

#[derive(Clone)]
pub(crate) struct Puppet {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

struct State {
    version: u64,
    /// By path.
    objects: BTreeMap<String, Value>,
    /// The version of each change, in which collection, and the event.
    changes: Vec<(u64, String, Value)>,
    /// Watches from before it are refused.
    oldest: u64,
    /// Watches of a lower number say nothing any more.
    silent_below: usize,
    watches: usize,
    is_away: bool,
    log: Option<Arc<dyn LogSource>>,
    restarts: u32,
}

impl Puppet {
    pub(crate) fn new() -> Self {
        let state = State {
            version: 100,
            objects: BTreeMap::new(),
            changes: Vec::new(),
            oldest: 0,
            silent_below: 0,
            watches: 0,
            is_away: false,
            log: None,
            restarts: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), changed: watch::Sender::new(0) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// What the next readers of logs are given.
    pub(crate) fn set_log(&self, log: Arc<dyn LogSource>) {
        self.state(|state| state.log = Some(log));
    }

    /// How often the containers of pods have been started again, from now on.
    pub(crate) fn set_restarts(&self, restarts: u32) {
        self.state(|state| state.restarts = restarts);
    }

    /// The watches that there are say nothing any more, as when their connections die without a word.
    pub(crate) fn silence(&self) {
        self.state(|state| state.silent_below = state.watches);
    }

    /// What has been told can't be taken up any more.
    pub(crate) fn expire(&self) {
        self.state(|state| {
            state.version += 1;
            state.oldest = state.version;
        });
    }

    /// Nothing answers, and what is open breaks; or all is well again.
    pub(crate) fn be_away(&self, is_away: bool) {
        self.state(|state| state.is_away = is_away);
    }

    /// Changes an object; the watches hear of it.
    pub(crate) fn put(&self, path: &str, object: Value) -> Value {
        self.state(|state| state.put(path, object, true))
    }

    /// The same, but the event is lost.
    pub(crate) fn put_unheard(&self, path: &str, object: Value) -> Value {
        self.state(|state| state.put(path, object, false))
    }

    fn get(&self, path: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(path).cloned()
    }

    /// What becomes of the pod of a Job, and of the Job with it.
    pub(crate) fn set(&self, job: &str, life: Life, is_heard: bool) {
        let put = |path: &str, object| {
            if is_heard { self.put(path, object) } else { self.put_unheard(path, object) }
        };
        let path = format!("{JOBS}/{job}");
        let mut object = self.get(&path).expect("the Job is there");
        let state = match life {
            Life::Running => json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } }),
            Life::Ended => json!({ "terminated": { "exitCode": 0, "reason": "Completed" } }),
        };
        let pod = json!({
            "metadata": {
                "name": format!("{job}-pod"), "namespace": "default", "uid": format!("uid-{job}"),
                "labels": object["metadata"]["labels"], "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": { "nodeName": "node-1" },
            "status": {
                "phase": if life == Life::Ended { "Succeeded" } else { "Running" },
                "containerStatuses": [{ "name": "main", "restartCount": self.state.lock().unwrap().restarts, "state": state, "lastState": {} }],
            },
        });
        put(&format!("{PODS}/{job}-pod"), pod);
        if life == Life::Ended {
            let complete =
                json!({ "type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z" });
            object["status"] = json!({ "conditions": [complete] });
            put(&path, object);
        }
    }

    fn answer(&self, request: &Request<Body>, body: &[u8]) -> Result<Response<Answer>, BoxError> {
        if self.state.lock().unwrap().is_away {
            return Err("connection refused".into());
        }
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let parameters: BTreeMap<_, _> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key, value.replace("%3A", ":")))
            .collect();
        let parameter = |name: &str| parameters.get(name).map(String::as_str);
        if let Some(pod) = path.strip_prefix(PODS).and_then(|path| path.strip_suffix("/log")) {
            let log = self.state.lock().unwrap().log.clone();
            let Some(log) = log.filter(|_| self.get(&format!("{PODS}{pod}")).is_some()) else {
                return Ok(not_found());
            };
            let request = LogRequest {
                container: parameter("container").unwrap_or_default().to_owned(),
                follow: parameter("follow") == Some("true"),
                previous: parameter("previous") == Some("true"),
                since: parameter("sinceTime").map(|time| time.parse().unwrap()),
            };
            return Ok(stream(log.open(&request)));
        }
        Ok(match request.method().as_str() {
            "POST" if path.ends_with("selfsubjectaccessreviews") => {
                json_answer(201, &json!({ "status": { "allowed": true } }))
            }
            "POST" => {
                let mut object: Value = serde_json::from_slice(body).unwrap();
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                object["metadata"]["uid"] = json!(format!("uid of {name}"));
                object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
                json_answer(201, &self.put(&format!("{path}/{name}"), object))
            }
            "GET" if query.contains("watch=") => {
                let from = parameter("resourceVersion").unwrap().parse().unwrap();
                let lasts = parameter("timeoutSeconds").map_or(300, |seconds| seconds.parse().unwrap());
                stream(self.watch(path.to_owned(), from, Duration::from_secs(lasts)).boxed())
            }
            "GET" if [JOBS, PODS].contains(&path) || path.ends_with("/events") => {
                let state = self.state.lock().unwrap();
                let own = state.objects.iter().filter(|(key, _)| key.rsplit_once('/').unwrap().0 == path);
                let items: Vec<_> = own.map(|(_, object)| object).collect();
                json_answer(
                    200,
                    &json!({ "metadata": { "resourceVersion": state.version.to_string() }, "items": items }),
                )
            }
            "GET" => self.get(path).map_or_else(not_found, |object| json_answer(200, &object)),
            method => panic!("no {method} {path}"),
        })
    }

    /// The changes of a collection from a version on, until the watch has lasted long enough.
    fn watch(
        &self,
        path: String,
        from: u64,
        lasts: Duration,
    ) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + use<> {
        let puppet = self.clone();
        let mut changed = self.changed.subscribe();
        let number = self.state(|state| {
            state.watches += 1;
            state.watches - 1
        });
        let end = sleep(lasts);
        try_stream! {
            tokio::pin!(end);
            let mut from = from;
            loop {
                let (news, is_silent, is_away, is_old) = {
                    let state = puppet.state.lock().unwrap();
                    let new = state.changes.iter().filter(|(version, within, _)| *version > from && *within == path);
                    let news: Vec<_> = new.map(|(version, _, event)| (*version, event.clone())).collect();
                    (news, number < state.silent_below, state.is_away, from < state.oldest)
                };
                if is_silent {
                    pending::<Infallible>().await;
                }
                if is_away {
                    Err(BoxError::from("connection reset by peer"))?;
                }
                if is_old {
                    let status = json!({ "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old" });
                    yield Bytes::from(format!("{}\n", json!({ "type": "ERROR", "object": status })));
                    break;
                }
                for (version, event) in news {
                    from = version;
                    yield Bytes::from(format!("{event}\n"));
                }
                tokio::select! {
                    _ = changed.changed() => {}
                    () = &mut end => break,
                }
            }
        }
    }
}

/// What becomes of a pod.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    Ended,
}

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const PODS: &str = "/api/v1/namespaces/default/pods";

impl State {
    fn put(&mut self, path: &str, mut object: Value, is_heard: bool) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let is_new = self.objects.insert(path.to_owned(), object.clone()).is_none();
        if is_heard {
            let event = json!({ "type": if is_new { "ADDED" } else { "MODIFIED" }, "object": object });
            self.changes.push((self.version, path.rsplit_once('/').unwrap().0.to_owned(), event));
        }
        object
    }
}

impl Service<Request<Body>> for Puppet {
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let puppet = self.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            puppet.answer(&Request::from_parts(parts, Body::empty()), &body)
        }
        .boxed()
    }
}

fn stream(bytes: LogBytes) -> Response<Answer> {
    let frames = bytes.map(|chunk| chunk.map(Frame::data));
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn json_answer(code: u16, object: &Value) -> Response<Answer> {
    let body = Full::from(object.to_string()).map_err(|never: Infallible| match never {}).boxed_unsync();
    Response::builder().status(code).body(body).unwrap()
}

fn not_found() -> Response<Answer> {
    json_answer(
        404,
        &json!({ "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found" }),
    )
}
