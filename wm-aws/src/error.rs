//! From the errors of AWS' clients to ours.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use wm_core::{Error, ErrorKind};

/// What a service answered, or why it did not.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    /// The HTTP status, if there was an answer.
    pub(crate) status: Option<u16>,
    /// AWS' own word for it.
    pub(crate) code: Option<String>,
    /// The region that a bucket is in, where S3 says that it is in another.
    pub(crate) region: Option<String>,
    /// All that the client says, its causes too; nothing secret.
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let region = response.and_then(|response| response.headers().get("x-amz-bucket-region"));
        let code = error.code().map(str::to_owned);
        let text = DisplayErrorContext(error).to_string();
        let kind = match error {
            SdkError::TimeoutError(_) => ErrorKind::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => ErrorKind::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_io() => ErrorKind::Unavailable,
            SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) => unsent(&text),
            _ => kind(status.unwrap_or_default(), code.as_deref().unwrap_or_default()),
        };
        Self { kind, status, code, region: region.map(str::to_owned), text }
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Makes an error of it that says what could not be done.
    pub(crate) fn into_error(self, what: &str) -> Error {
        let reason = match (&self.code, self.status) {
            (Some(code), Some(status)) => format!("{code}, HTTP {status}"),
            (Some(code), None) => code.clone(),
            (None, Some(status)) => format!("HTTP {status}"),
            (None, None) => match self.kind {
                ErrorKind::Timeout => "no answer in time".to_owned(),
                ErrorKind::PermissionDenied => "there are no credentials".to_owned(),
                _ => "it can't be reached".to_owned(),
            },
        };
        Error::new(self.kind, format!("{what}: {reason}")).with_source(self.text)
    }
}

/// A request that never left: most often there are no credentials to sign it with.
fn unsent(text: &str) -> ErrorKind {
    let text = text.to_ascii_lowercase();
    if text.contains("credentials") || text.contains("identity") {
        ErrorKind::PermissionDenied
    } else if text.contains("region") {
        ErrorKind::InvalidConfig
    } else {
        ErrorKind::Unavailable
    }
}

fn kind(status: u16, code: &str) -> ErrorKind {
    match (status, code) {
        (
            _,
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException",
        )
        | (429, _) => ErrorKind::RateLimited,
        (_, "NoSuchBucket" | "PermanentRedirect" | "AuthorizationHeaderMalformed" | "InvalidBucketName")
        | (301 | 307, _) => ErrorKind::InvalidConfig,
        (_, "NoSuchKey") | (404, _) => ErrorKind::NotFound,
        // Somebody writes the same key at this moment.
        (409, _) => ErrorKind::Unavailable,
        (_, "AccessDeniedException" | "ExpiredTokenException" | "UnrecognizedClientException")
        | (401 | 403, _) => ErrorKind::PermissionDenied,
        (501, _) => ErrorKind::Unsupported,
        (500.., _) => ErrorKind::Unavailable,
        (_, "LimitExceededException") => ErrorKind::QuotaExceeded,
        _ => ErrorKind::Unexpected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_says_what_to_do() {
        for (status, code, expected) in [
            (503, "SlowDown", ErrorKind::RateLimited),
            (400, "ThrottlingException", ErrorKind::RateLimited),
            (404, "NoSuchKey", ErrorKind::NotFound),
            (404, "NoSuchBucket", ErrorKind::InvalidConfig),
            (301, "PermanentRedirect", ErrorKind::InvalidConfig),
            (409, "ConditionalRequestConflict", ErrorKind::Unavailable),
            (403, "AccessDenied", ErrorKind::PermissionDenied),
            (400, "AccessDeniedException", ErrorKind::PermissionDenied),
            (501, "NotImplemented", ErrorKind::Unsupported),
            (500, "InternalError", ErrorKind::Unavailable),
            (400, "LimitExceededException", ErrorKind::QuotaExceeded),
            (400, "MalformedXML", ErrorKind::Unexpected),
        ] {
            assert_eq!(kind(status, code), expected, "{status} {code}");
        }
    }
}
