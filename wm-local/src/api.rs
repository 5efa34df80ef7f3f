//! The HTTP half: from a request to an answer, as a Kubernetes API server gives it.

mod admission;
mod answer;
mod base64;
mod body;
mod collection;
mod discovery;
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

pub(crate) use self::{admission::populate, admission::populate_account, body::go_type, server::Server};
use self::{
    answer::{Form, json_value, refusal, text},
    parameters::Parameters,
    route::{Route, Subresource},
    selector::Selection,
};
use crate::{
    access::{Access, Attributes},
    error::ApiError,
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
}

impl Api {
    /// Answers one request; refusals are answers too.
    pub(crate) async fn handle(&self, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let response = match self.dispatch(&parts, body).await {
            Ok(response) => response,
            Err(error) => refusal(&error),
        };
        debug!(method = %parts.method, path = parts.uri.path(), status = response.status().as_u16(), "Answered");
        response
    }

    async fn dispatch(&self, parts: &Parts, body: Body) -> Result<Response, ApiError> {
        let subject = self.access.authenticate(&parts.headers)?;
        if parts.headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
            return Err(ApiError::not_implemented("impersonation"));
        }
        // Judged before it is looked whether there is such a thing: what is missing is forbidden as well.
        subject.authorize(&Attributes::of(&parts.method, &parts.uri))?;
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
                review::answer(kind, &subject, &parts.headers, &body::read(body).await?, &now)
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

    /// Refuses what would change an object that nobody here acts upon.
    fn check_writable(kind: Kind) -> Result<(), ApiError> {
        if kind == Kind::Node {
            return Err(ApiError::not_implemented("writing nodes: it has one, which is always ready"));
        }
        Ok(())
    }
}

fn method_not_allowed() -> ApiError {
    let message = "the server does not allow this method on the requested resource";
    ApiError::new(405, "MethodNotAllowed", message).with_details(json!({}))
}
