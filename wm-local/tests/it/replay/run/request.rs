//! The requests of a scenario, as they are sent to the cluster.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{Pace, Run};
use crate::{
    client::Answer,
    replay::recording::{Exchange, text_of},
};

impl Run {
    pub(super) fn send(&mut self, exchange: &Exchange) -> impl Future<Output = Answer> + Send + 'static {
        let method: Method = exchange.method.parse().unwrap();
        let uri = format!("{}{}", self.served.cluster.url(), self.names.path(&exchange.path));
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = self.token(exchange.identity.as_deref()) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &exchange.request_headers {
            request = request.header(name, value);
        }
        let body = match &exchange.request_body {
            object @ Value::Object(_) => {
                let paced = self.paced(object);
                text_of(&self.names.body(&paced))
            }
            Value::String(text) => text_of(&json!(self.names.to_ours(text))),
            other => text_of(other),
        };
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let served = Arc::clone(&self.served);
        async move { served.send(request).await }
    }

    pub(super) fn token(&self, identity: Option<&str>) -> Option<String> {
        match identity {
            None | Some("admin") => Some(self.served.cluster.token().to_owned()),
            Some("no credentials") => None,
            Some("invalid bearer token") => Some("not-a-token".to_owned()),
            Some(other) => {
                let name = other.split([',', ':']).next().unwrap();
                let token = self.tokens.get(name).cloned().unwrap_or_default();
                if other.ends_with(", deleted") {
                    self.served.cluster.revoke(&token);
                }
                Some(token)
            }
        }
    }
    /// An object whose scripts sleep by the cluster's clock.
    pub(super) fn paced(&mut self, object: &Value) -> Value {
        let mut object = object.clone();
        let specs = ["/spec/template/spec", "/spec"];
        for spec in specs {
            for list in ["containers", "initContainers"] {
                let containers = object.pointer_mut(&format!("{spec}/{list}")).and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten() {
                    let script = container["command"][2].as_str().filter(|_| container["command"][1] == "-c");
                    if let Some(script) = script.filter(|script| Pace::concerns(script)) {
                        let paced = self.pace.script(script);
                        self.scripts.insert(paced.clone(), script.to_owned());
                        container["command"][2] = paced.into();
                    }
                }
            }
        }
        object
    }
}
