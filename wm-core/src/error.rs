use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

/// The result of every operation of a workload manager.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is wrong: mend the named setting and start again.
    InvalidConfig,
    /// The request is wrong: mend it, sending it again is of no use.
    InvalidRequest,
    /// There is no such run, workload or object.
    NotFound,
    /// Something else has the name: another workload, or another spec under the same id.
    Conflict,
    /// The credentials or rights are missing.
    PermissionDenied,
    /// The backend can't do this; see [`Capabilities`](crate::Capabilities).
    Unsupported,
    /// The launcher's queue is full: come back after [`Error::retry_after`].
    QueueFull,
    /// A quota of the cluster refuses: delete something, or have it raised.
    QuotaExceeded,
    /// The server asked to slow down: come back after [`Error::retry_after`].
    RateLimited,
    /// The server can't be reached or has trouble: try again later.
    Unavailable,
    /// The time that was given for the call is over.
    Timeout,
    /// A broken invariant or an answer that nobody expected: report it.
    Unexpected,
}

impl ErrorKind {
    const fn is_retryable(self) -> bool {
        matches!(self, Self::QueueFull | Self::RateLimited | Self::Unavailable | Self::Timeout)
    }
}

/// An operation that could not be carried out.
///
/// The failure of a *run* is no error but a [`Verdict`](crate::Verdict). No error ever holds a secret.
///
/// ```
/// use wm_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "there is no such run").with_context("run", "a/1");
/// assert_eq!(error.to_string(), "there is no such run (run: a/1)");
/// assert!(!error.is_retryable());
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    retryable: Option<bool>,
    retry_after: Option<Duration>,
}

impl Error {
    /// Makes an error of this kind; the message is lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                context: Vec::new(),
                source: None,
                retryable: None,
                retry_after: None,
            }),
        }
    }

    /// Adds what the error is about, for example `("job", "runner-…")`.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.inner.context.push((key, value.into()));
        self
    }

    /// Sets the cause; its text is not part of [`Display`](fmt::Display).
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Overrides what the kind says about trying again.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = Some(retryable);
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.inner.retry_after = Some(wait);
        self
    }

    /// What a caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The message without its context.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// What the error is about, as pairs of key and value.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.inner.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.inner.retryable.unwrap_or_else(|| self.inner.kind.is_retryable())
    }

    /// How long to wait before another try, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        for (index, (key, value)) in self.inner.context.iter().enumerate() {
            let separator = if index == 0 { " (" } else { ", " };
            write!(f, "{separator}{key}: {value}")?;
        }
        if self.inner.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.inner.kind).field("message", &self.inner.message);
        for (key, value) in &self.inner.context {
            debug.field(key, value);
        }
        if let Some(source) = &self.inner.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_decides_whether_to_try_again_unless_told_otherwise() {
        assert!(Error::new(ErrorKind::Unavailable, "down").is_retryable());
        assert!(!Error::new(ErrorKind::Conflict, "taken").is_retryable());
        assert!(!Error::new(ErrorKind::Unavailable, "down").with_retryable(false).is_retryable());
    }

    #[test]
    fn display_names_the_context_but_not_the_source() {
        let error = Error::new(ErrorKind::Unavailable, "the server does not answer")
            .with_context("namespace", "runs")
            .with_context("job", "runner-a-1")
            .with_source("connection reset");
        assert_eq!(error.to_string(), "the server does not answer (namespace: runs, job: runner-a-1)");
        assert_eq!(error.source().unwrap().to_string(), "connection reset");
    }

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
