//! The HTTP half: from a request to an answer, as a Kubernetes API server gives it.

mod admission;
mod answer;
mod base64;
mod body;
mod collection;
mod discovery;
mod disturbance;
mod faults;
mod gate;
mod list;
mod logs;
mod object;
mod parameters;
mod patch;
mod review;
mod route;
mod selector;
mod server;
mod size;
mod table;
mod watch;

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{Method, Request, StatusCode, request::Parts};
use serde_json::json;
use tracing::debug;

pub(crate) use self::{
    admission::{populate, populate_account},
    body::go_type,
    disturbance::Lost,
    server::Server,
};
use self::{
    answer::{Form, json_value, refusal, text},
    disturbance::{Asked, Disturbance},
    parameters::Parameters,
    route::{Route, Subresource},
    selector::Selection,
};
use crate::{
    access::{Access, Attributes, Subject},
    error::ApiError,
    faults::Faults,
    kind::Kind,
    node::Node,
    store::Store,
};

/// Answers requests. Shared by all connections.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) node: Arc<Node>,
    pub(crate) access: Access,
    pub(crate) faults: Faults,
}

impl Api {
    /// Answers one request; refusals are answers too. No answer means that the connection is to be closed.
    pub(crate) async fn handle(&self, request: Request<Body>) -> Result<Response, Lost> {
        let (parts, body) = request.into_parts();
        let response = match self.access.authenticate(&parts.headers) {
            Ok(subject) if faults::is_meant(&parts) => {
                told(faults::answer(&self.faults, &subject, &parts, body).await)
            }
            Ok(subject) => self.disturbed(&subject, &parts, body).await?,
            Err(error) => refusal(&error),
        };
        debug!(method = %parts.method, path = parts.uri.path(), status = response.status().as_u16(), "Answered");
        Ok(response)
    }

    /// Answers as far as the faults let it.
    async fn disturbed(&self, subject: &Subject, parts: &Parts, body: Body) -> Result<Response, Lost> {
        let attributes = Attributes::of(&parts.method, &parts.uri);
        // A watch may be disturbed later.
        if self.faults.is_quiet() && !attributes.is_watch() {
            let undisturbed = Disturbance::default();
            return Ok(told(self.dispatch(subject, &attributes, &undisturbed, parts, body).await));
        }
        let mut asked = Asked::of(&attributes, subject, parts);
        let body = match asked.name_from(body).await {
            Ok(body) => body,
            Err(error) => return Ok(refusal(&error)),
        };
        let disturbance = Disturbance::decide(&self.faults, &asked);
        disturbance.delay(self.store.clock()).await?;
        let response = match disturbance.answer(&parts.uri, &self.store) {
            Some(response) => response,
            None => told(self.dispatch(subject, &attributes, &disturbance, parts, body).await),
        };
        let response = if attributes.is_watch() && response.status() == StatusCode::OK {
            gate::gate(response, self.faults.clone(), asked)
        } else {
            response
        };
        disturbance.spoil(response, self.store.clock())
    }

    async fn dispatch(
        &self,
        subject: &Subject,
        attributes: &Attributes,
        disturbance: &Disturbance,
        parts: &Parts,
        body: Body,
    ) -> Result<Response, ApiError> {
        if parts.headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
            return Err(ApiError::not_implemented("impersonation"));
        }
        // Judged before it is looked whether there is such a thing: what is missing is forbidden as well.
        subject.authorize(attributes)?;
        let route = Route::parse(parts.uri.path());
        let parameters = Parameters::from_uri(&parts.uri)?;
        match route {
            Route::Health => Ok(text(StatusCode::OK, "text/plain; charset=utf-8", "ok")),
            Route::Version => Ok(json_value(StatusCode::OK, &discovery::version())),
            Route::Discovery(path) => Ok(discovery::document(&path).map_or_else(
                || text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n"),
                |document| json_value(StatusCode::OK, &document),
            )),
            Route::NotFound => {
                Ok(text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n"))
            }
            Route::UnknownResource => {
                let message = "the server could not find the requested resource";
                Err(ApiError::new(404, "NotFound", message).with_details(json!({})))
            }
            Route::Review(kind) if parts.method == Method::POST => {
                Form::negotiate(&parts.headers)?;
                let now = self.store.clock().seconds();
                review::answer(kind, subject, &parts.headers, &body::read(body).await?, &now)
            }
            Route::Review(_) => Err(method_not_allowed()),
            Route::Collection { kind, namespace, watch, name } => {
                let form = Form::negotiate(&parts.headers)?;
                let selection = |namespace| Selection::new(kind, namespace, name, &parameters);
                match parts.method {
                    Method::GET | Method::HEAD if watch || parameters.flag("watch") => {
                        watch::watch(&self.store, selection(namespace)?, &parameters, form).await
                    }
                    Method::GET | Method::HEAD => {
                        let parameters = disturbance.aged(&parameters, &self.store);
                        list::list(&self.store, &selection(namespace)?, &parameters, form).await
                    }
                    Method::POST if namespace.is_some() || !kind.is_namespaced() => {
                        let namespace = namespace.unwrap_or_default();
                        let body = body::read(body).await?;
                        object::create(self, kind, &namespace, parts, &parameters, &body, form)
                    }
                    Method::DELETE if namespace.is_some() => {
                        let body = body::read(body).await?;
                        collection::delete(self, &selection(namespace)?, parts, &parameters, &body, form)
                    }
                    _ => Err(method_not_allowed()),
                }
            }
            Route::Object { subresource: Subresource::Log, key } if parts.method == Method::GET => {
                logs::read(self, &key, &parameters)
            }
            Route::Object { key, subresource: subresource @ (Subresource::None | Subresource::Status) } => {
                let form = Form::negotiate(&parts.headers)?;
                match parts.method {
                    Method::GET | Method::HEAD => object::get(self, &key, form),
                    Method::PUT => {
                        let body = body::read(body).await?;
                        object::replace(self, &key, subresource, parts, &parameters, &body, form)
                    }
                    Method::PATCH => {
                        let body = body::read(body).await?;
                        object::patch(self, &key, subresource, parts, &parameters, &body, form)
                    }
                    Method::DELETE if subresource == Subresource::None => {
                        let body = body::read(body).await?;
                        object::delete(self, &key, parts, &parameters, &body, form)
                    }
                    _ => Err(method_not_allowed()),
                }
            }
            Route::Object { subresource: Subresource::Unsupported, .. } => {
                Err(ApiError::not_implemented(&format!("{} {}", parts.method, parts.uri.path())))
            }
            Route::Object { .. } => Err(method_not_allowed()),
        }
    }

    /// Refuses that there be another node, or none.
    fn check_number(kind: Kind) -> Result<(), ApiError> {
        if kind == Kind::Node {
            return Err(ApiError::not_implemented("making or deleting nodes: it has one"));
        }
        Ok(())
    }
}

/// Makes an answer of a refusal too.
fn told(answer: Result<Response, ApiError>) -> Response {
    answer.unwrap_or_else(|error| refusal(&error))
}

fn method_not_allowed() -> ApiError {
    let message = "the server does not allow this method on the requested resource";
    ApiError::new(405, "MethodNotAllowed", message).with_details(json!({}))
}
