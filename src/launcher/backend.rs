//! Calls of the backend that survive its panics and its bad days.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::timeout;
use wm_core::{Error, ErrorKind, Result, WorkloadId, WorkloadManager};

use super::pauses::Pauses;
use crate::metrics;

/// How long a message may take on its way into a log; a run must not wait for it.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes an error of a panic.
pub(super) async fn guarded<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_panic| {
        // What the panic says is not repeated: it may hold a secret, and the panic hook has it.
        Err(Error::new(
            ErrorKind::Unexpected,
            "the backend panicked; its message is on the server's standard error",
        ))
    })
}

/// Calls until the answer is one that trying again does not change.
///
/// Boxed, since thousands of runs wait beside a call of it that few of them ever make.
pub(super) fn insist<'a, T, F>(
    what: &'static str,
    call: impl Fn() -> F + Send + Sync + 'a,
) -> BoxFuture<'a, Result<T>>
where
    T: Send,
    F: Future<Output = Result<T>> + Send,
{
    async move {
        let mut pauses = Pauses::new();
        loop {
            match guarded(async { call().await }).await {
                Err(error) if error.is_retryable() => {
                    metrics::retried(what);
                    tracing::warn!(%error, what, "The backend is in trouble, trying again");
                    pauses.after(&error).await;
                }
                answer => return answer,
            }
        }
    }
    .boxed()
}

/// A log that can't be written never fails a run.
pub(super) async fn log(manager: &dyn WorkloadManager, id: &WorkloadId, message: &str) {
    match timeout(MESSAGE_TIMEOUT, guarded(async { manager.log(id, message).await })).await {
        Ok(Ok(())) => metrics::messaged("kept"),
        Ok(Err(error)) => {
            metrics::messaged("failed");
            tracing::warn!(workload = %id, %error, "A message could not be added to the log");
        }
        Err(_elapsed) => {
            metrics::messaged("timed out");
            tracing::warn!(workload = %id, "A message took too long on its way into the log");
        }
    }
}
