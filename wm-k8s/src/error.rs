//! From what the API answers to our one error.

use std::{fmt, time::Duration};

use http::{HeaderMap, header::RETRY_AFTER};
use serde::Deserialize;
use wm_core::{Error, ErrorKind};

/// A call that did not succeed.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The server answered, and not with success.
    Refused(Refusal),
    /// No answer came.
    Unreachable(kube::Error),
    /// No answer came in time.
    TimedOut(Duration),
    /// The answer can't be read.
    Unreadable(serde_json::Error),
}

/// An answer that is no success.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    reason: String,
    message: String,
}

impl Refusal {
    /// Reads an answer; its body is a Status, or text where it does not come from the API server itself.
    pub(crate) fn new(code: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        if let Ok(status) = serde_json::from_slice::<Status>(body) {
            return Self { code, reason: status.reason, message: status.message, retry_after };
        }
        let text = String::from_utf8_lossy(body);
        Self { code, reason: String::new(), message: text.trim().chars().take(500).collect(), retry_after }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.code == 404
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.code == 409 && self.reason == "AlreadyExists"
    }

    /// Whether the object of that name is on its way out.
    pub(crate) fn is_being_deleted(&self) -> bool {
        self.message.contains("object is being deleted")
    }

    fn is_temporary(&self) -> bool {
        match self.code {
            429 | 502 | 503 | 504 => true,
            // A webhook that can't be reached may be back in a moment; other internal errors stay.
            500 => self.message.contains("failed calling webhook") || self.message.contains("etcdserver: "),
            409 => self.reason == "Conflict" && self.message.contains("the object has been modified"),
            _ => false,
        }
    }
}

impl CallError {
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.refusal().is_some_and(Refusal::is_not_found)
    }

    /// Whether the same call may succeed in a moment.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_temporary(),
            Self::Unreachable(_) | Self::TimedOut(_) => true,
            Self::Unreadable(_) => false,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// Makes it an error that says what was tried, and where.
    pub(crate) fn into_error(self, what: impl fmt::Display, namespace: &str) -> Error {
        let retry_after = self.retry_after();
        let error = match self {
            Self::Refused(refusal) => refused(&refusal, &what),
            Self::TimedOut(after) => Error::new(
                ErrorKind::Timeout,
                format!("{what}: the cluster did not answer within {} s; try again", after.as_secs()),
            ),
            Self::Unreadable(source) => Error::new(
                ErrorKind::Unexpected,
                format!("{what}: the cluster's answer can't be read; is it a Kubernetes API server?"),
            )
            .with_source(source),
            Self::Unreachable(source) => Error::new(
                ErrorKind::Unavailable,
                format!(
                    "{what}: the cluster can't be reached; check the kubeconfig's server and the network"
                ),
            )
            .with_source(source),
        };
        let error = error.with_context("namespace", namespace);
        match retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

fn refused(refusal: &Refusal, what: &impl fmt::Display) -> Error {
    let text =
        if refusal.message.is_empty() { format!("HTTP {}", refusal.code) } else { refusal.message.clone() };
    let has = |part: &str| text.contains(part);
    let (kind, advice) = match refusal.code {
        401 => {
            (ErrorKind::PermissionDenied, "; the credentials are missing or expired: check the kubeconfig")
        }
        403 if has("exceeded quota") => (
            ErrorKind::QuotaExceeded,
            "; delete finished Jobs, lower their time to live, or have the quota raised",
        ),
        403 if has("being terminated") => (ErrorKind::PermissionDenied, "; the namespace is being deleted"),
        403 if has("cannot ") => (ErrorKind::PermissionDenied, "; `wm role` prints the Role that it takes"),
        403 => (ErrorKind::PermissionDenied, "; a policy of the cluster refuses it"),
        404 if has("namespaces ") => (ErrorKind::NotFound, "; create the namespace, or correct the setting"),
        404 => (ErrorKind::NotFound, ""),
        409 => (ErrorKind::Conflict, ""),
        413 => (ErrorKind::InvalidRequest, ""),
        429 => (ErrorKind::RateLimited, "; try again later"),
        400 | 422 => (ErrorKind::InvalidRequest, ""),
        501 => (ErrorKind::Unsupported, ""),
        500..=599 => (ErrorKind::Unavailable, "; try again later"),
        _ => (ErrorKind::Unexpected, ""),
    };
    Error::new(kind, format!("{what}: {text}{advice}"))
}
