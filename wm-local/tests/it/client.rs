//! A cluster and a plain HTTP client for it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use wm_local::{Cluster, ClusterOptions};

pub(crate) const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";

/// After this time a connection is not used again.
const IDLE: Duration = Duration::from_secs(10);

/// A cluster that answers requests.
pub(crate) struct Served {
    pub(crate) cluster: Cluster,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::start_with(ClusterOptions::default()).await
    }

    pub(crate) async fn start_with(options: ClusterOptions) -> Self {
        let cluster = Cluster::start(options).await.unwrap();
        // Never one that the server may be about to close.
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build_http();
        Self { cluster, client }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.cluster.url()))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.cluster.token()))
    }

    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.client.request(request).await.unwrap()
    }

    /// As [`Served::open`], where the connection may break.
    pub(crate) async fn try_open(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        self.client.request(request).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (parts, body) = self.open(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn write(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Answer {
        let request = self.request(method, path).header(header::CONTENT_TYPE, content_type);
        self.send(request.body(Full::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.write(Method::POST, path, "application/json", body).await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Answer {
        self.write(Method::PATCH, path, "application/merge-patch+json", body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).body(Full::default()).unwrap()).await
    }

    /// Creates a Job that runs a shell script, and returns it.
    pub(crate) async fn job(&self, name: &str, script: &str) -> Value {
        let answer = self.post(JOBS, &job(name, script)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn watch(&self, path: &str) -> Watch {
        let request = self.request(Method::GET, path).body(Full::default()).unwrap();
        let response = self.open(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        Watch { body: response.into_body(), buffer: BytesMut::new() }
    }

    /// Waits until one object of a collection, found by a field selector, is as wanted.
    pub(crate) async fn until(
        &self,
        collection: &str,
        selector: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut watch = self.watch(&format!("{collection}?watch=true&{selector}")).await;
        loop {
            let event = watch.next().await.expect("the watch goes on");
            if wanted(&event["object"]) {
                return event["object"].clone();
            }
        }
    }

    /// Waits until a Job has a condition.
    pub(crate) async fn until_condition(&self, job: &str, condition: &str) -> Value {
        let selector = format!("fieldSelector=metadata.name%3D{job}");
        self.until(JOBS, &selector, |job| has_condition(job, condition)).await
    }
}

pub(crate) fn has_condition(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == condition && one["status"] == "True")
}

pub(crate) fn job(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "image:1", "command": ["sh", "-c", script]}],
        }}},
    })
}

/// The same Job, which does not run.
pub(crate) fn suspended(name: &str) -> Value {
    let mut job = job(name, "true");
    job["spec"]["suspend"] = true.into();
    job
}

/// The events of a watch.
pub(crate) struct Watch {
    body: Incoming,
    buffer: BytesMut,
}

impl Watch {
    /// The next event, `None` at the end of the body.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    /// Whether the connection breaks, rather than that the body ends.
    pub(crate) async fn is_broken(&mut self) -> bool {
        loop {
            match self.body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return true,
                None => return false,
            }
        }
    }

    /// Type and name of the next event.
    pub(crate) async fn next_line(&mut self) -> String {
        let event = self.next().await.expect("the watch goes on");
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
        format!("{} {name}", event["type"].as_str().unwrap())
    }
}
