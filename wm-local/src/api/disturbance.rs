//! The faults of one request: what they are, and how they are done to its answer.

use std::{borrow::Cow, fmt, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderValue, StatusCode, Uri, header, request::Parts};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    answer::{json_bytes, refusal, text},
    body,
    parameters::Parameters,
};
use crate::{
    access::{Attributes, Subject, Target},
    clock::Clock,
    error::ApiError,
    faults::{Effect, Faults, Occasion, RetryAfter},
    store::{Store, meta},
};

/// No answer: the connection is closed instead.
#[derive(Debug)]
pub(crate) struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a fault lost the request or its answer")
    }
}

impl std::error::Error for Lost {}

/// What was asked, as faults select it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    verb: String,
    resource: String,
    namespace: String,
    name: String,
    user: String,
    agent: String,
}

impl Asked {
    pub(super) fn of(attributes: &Attributes, subject: &Subject, parts: &Parts) -> Self {
        let (namespace, name) = match &attributes.target {
            Target::Path(path) => (String::new(), path.clone()),
            Target::Resource { namespace, name, .. } => (namespace.clone(), name.clone()),
        };
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            verb: attributes.verb.clone(),
            resource: attributes.combined_resource(),
            namespace,
            name,
            user: subject.identity.user.clone(),
            agent: agent.unwrap_or_default().to_owned(),
        }
    }

    /// Takes the name of a new object from the body: creations that come side by side are told apart by it.
    pub(super) async fn name_from(&mut self, body: Body) -> Result<Body, ApiError> {
        if self.verb != "create" || !self.name.is_empty() {
            return Ok(body);
        }
        let bytes = body::read(body).await?;
        let object: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        meta(&object, "name").clone_into(&mut self.name);
        Ok(Body::from(bytes))
    }

    pub(super) fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    /// The name of its resource.
    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// Calls `act` with the occasion that this is.
    pub(super) fn occasion<T>(&self, act: impl FnOnce(&Occasion<'_>) -> T) -> T {
        act(&Occasion {
            verb: &self.verb,
            resource: &self.resource,
            namespace: &self.namespace,
            names: &[&self.name],
            user: &self.user,
            agent: &self.agent,
            image: "",
        })
    }
}

/// What is done to one request.
#[derive(Debug, Default)]
pub(super) struct Disturbance {
    latency: Duration,
    /// What is done instead of carrying it out.
    instead: Option<Effect>,
    is_watch: bool,
    stale_by: Option<u64>,
    response_lost: bool,
    cut_at: Option<u64>,
    skew: i64,
}

impl Disturbance {
    pub(super) fn decide(faults: &Faults, asked: &Asked) -> Self {
        let applies = |effect: &Effect| match effect {
            Effect::StaleList(_) => asked.verb == "list",
            Effect::Expired => matches!(asked.verb.as_str(), "list" | "watch"),
            // Logs are long-running requests, which flow control leaves alone.
            Effect::TooManyRequests(_) => asked.resource != "pods/log",
            effect => effect.is_of_requests(),
        };
        asked.occasion(|occasion| {
            let mut disturbance = Self { is_watch: asked.is_watch(), ..Self::default() };
            let instead = |effect: &Effect| {
                matches!(
                    effect,
                    Effect::RequestLost
                        | Effect::TooManyRequests(_)
                        | Effect::TooManyRequestsStatus(_)
                        | Effect::Error(_)
                        | Effect::Unauthorized
                        | Effect::Expired
                )
            };
            disturbance.instead =
                faults.first(occasion, |effect| applies(effect) && instead(effect)).map(|hit| hit.effect);
            // What is not carried out is not spoilt as well.
            let is_carried_out = disturbance.instead.is_none();
            let others = faults.hits(occasion, |_, fault| {
                let effect = &fault.effect;
                applies(effect)
                    && !instead(effect)
                    && (is_carried_out || matches!(effect, Effect::Latency(_) | Effect::ClockSkew(_)))
            });
            for hit in others {
                match hit.effect {
                    Effect::Latency(time) => disturbance.latency += time,
                    Effect::StaleList(changes) => disturbance.stale_by = Some(changes),
                    Effect::ResponseLost => disturbance.response_lost = true,
                    Effect::Cut(bytes) => disturbance.cut_at = Some(bytes),
                    Effect::ClockSkew(seconds) => disturbance.skew += seconds,
                    _ => {}
                }
            }
            disturbance
        })
    }

    /// Waits as long as the answer is to be late; a lost request never gets further.
    pub(super) async fn delay(&self, clock: &Clock) -> Result<(), Lost> {
        if !self.latency.is_zero() {
            clock.sleep(self.latency).await;
        }
        if self.instead == Some(Effect::RequestLost) { Err(Lost) } else { Ok(()) }
    }

    /// What is answered instead of carrying the request out.
    pub(super) fn answer(&self, uri: &Uri, store: &Store) -> Option<Response> {
        let status = |code, reason, message: &str, details: Value| {
            Some(refusal(&ApiError::new(code, reason, message).with_details(details)))
        };
        match *self.instead.as_ref()? {
            Effect::TooManyRequests(retry) => {
                let body = "Too many requests, please try again later.\n";
                let mut response =
                    text(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", Body::from(body));
                if let RetryAfter::Seconds(seconds) = retry {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                Some(response)
            }
            Effect::TooManyRequestsStatus(retry) => {
                let details = match retry {
                    RetryAfter::Seconds(seconds) => json!({"retryAfterSeconds": seconds}),
                    RetryAfter::Untold => json!({}),
                };
                status(429, "TooManyRequests", "too many requests, please try again later", details)
            }
            Effect::Error(502) => {
                let body = Body::from("502 Bad Gateway\n");
                Some(text(StatusCode::BAD_GATEWAY, "text/plain; charset=utf-8", body))
            }
            Effect::Error(503) => {
                let message = "the server is currently unable to handle the request";
                status(503, "ServiceUnavailable", message, json!({}))
            }
            Effect::Error(504) => {
                let message = "Timeout: request did not complete within the allotted timeout";
                status(504, "Timeout", message, json!({}))
            }
            Effect::Error(_) => Some(refusal(&ApiError::internal("etcdserver: request timed out"))),
            Effect::Unauthorized => Some(refusal(&ApiError::new(401, "Unauthorized", "Unauthorized"))),
            Effect::Expired if self.is_watch => {
                let parameters = Parameters::from_uri(uri).unwrap_or_default();
                let asked = parameters.get("resourceVersion").unwrap_or("0").to_owned();
                let error =
                    ApiError::expired(format!("too old resource version: {asked} ({})", store.version()));
                let event = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", error.status());
                Some(json_bytes(StatusCode::OK, Bytes::from(event)))
            }
            Effect::Expired => {
                Some(refusal(&ApiError::expired("The resourceVersion for the provided list is too old.")))
            }
            _ => None,
        }
    }

    /// The parameters of a list that is to show an old state.
    pub(super) fn aged<'a>(&self, parameters: &'a Parameters, store: &Store) -> Cow<'a, Parameters> {
        let Some(changes) = self.stale_by.filter(|_| parameters.get("continue").is_none()) else {
            return Cow::Borrowed(parameters);
        };
        let version = store.version().saturating_sub(changes).max(store.oldest_version()).max(1);
        let aged = parameters.clone().with("resourceVersion", version.to_string());
        Cow::Owned(aged.with("resourceVersionMatch", "Exact".to_owned()))
    }

    /// Does to the answer what is left to be done.
    pub(super) fn spoil(&self, mut response: Response, clock: &Clock) -> Result<Response, Lost> {
        if self.response_lost {
            return Err(Lost);
        }
        if self.skew != 0 {
            let told =
                clock.timestamp().checked_add(SignedDuration::from_secs(self.skew)).unwrap_or_default();
            let told = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&told);
            if let Some(value) = told.ok().and_then(|told| HeaderValue::from_str(&told).ok()) {
                response.headers_mut().insert(header::DATE, value);
            }
        }
        if let Some(bytes) = self.cut_at {
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response = response.map(|body| cut(body, bytes));
        }
        Ok(response)
    }
}

/// A body that breaks after so many bytes; a shorter one ends as it would.
fn cut(body: Body, bytes: u64) -> Body {
    let left = usize::try_from(bytes).unwrap_or(usize::MAX);
    let pieces = stream::unfold(Some((body.into_data_stream(), left)), |state| async {
        let (mut body, left) = state?;
        if left == 0 {
            // What was written before must be on its way when the connection breaks.
            tokio::task::yield_now().await;
            return Some((Err(axum::Error::new(Lost)), None));
        }
        let mut piece = match body.next().await? {
            Ok(piece) => piece,
            Err(error) => return Some((Err(error), None)),
        };
        piece.truncate(left);
        let left = left - piece.len();
        Some((Ok(piece), Some((body, left))))
    });
    Body::from_stream(pieces)
}
