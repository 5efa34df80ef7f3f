//! What the answer of a registry means.

use oci_client::errors::{OciDistributionError, OciErrorCode};

/// The meaning of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Found(String),
    Absent,
    /// The credentials don't do; why, without them.
    Refused(String),
    /// It may answer if it is asked again.
    Busy(String),
    /// It can't tell, and asking again at once is of no use.
    Unknown(String),
}

impl Answer {
    pub(super) fn of(answer: Result<String, OciDistributionError>) -> Self {
        let error = match answer {
            Ok(digest) => return Self::Found(digest),
            Err(error) => error,
        };
        match error {
            OciDistributionError::RegistryError { envelope, .. } => {
                let first = envelope.errors.into_iter().next().map(|error| error.code);
                of_code(first.as_ref())
            }
            OciDistributionError::ImageManifestNotFoundError(_) => Self::Absent,
            OciDistributionError::ServerError { code, .. } => of_status(code),
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => {
                Self::Refused("it asks for credentials that the server does not have".to_owned())
            }
            OciDistributionError::RequestError(error) => {
                if error.is_timeout() {
                    return Self::Unknown("it did not answer in time".to_owned());
                }
                let mut root: &dyn std::error::Error = &error;
                while let Some(source) = root.source() {
                    root = source;
                }
                let why = root.to_string();
                if why.contains("corrupt message") {
                    Self::Unknown(
                        "it does not speak TLS, and is not among the plain HTTP registries".to_owned(),
                    )
                // A certificate does not get better.
                } else if why.contains("certificate") {
                    Self::Unknown(format!("no secure connection: {why}"))
                } else {
                    Self::Busy(format!("it can't be reached: {why}"))
                }
            }
            _ => Self::Unknown("its answer makes no sense".to_owned()),
        }
    }
}

fn of_code(code: Option<&OciErrorCode>) -> Answer {
    match code {
        Some(OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound) => {
            Answer::Absent
        }
        Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => {
            Answer::Refused("it refuses the server's credentials".to_owned())
        }
        Some(OciErrorCode::Toomanyrequests) => Answer::Busy("it is asked too often".to_owned()),
        Some(code) => Answer::Unknown(format!("it answers {code:?}")),
        None => Answer::Unknown("it refuses and does not say why".to_owned()),
    }
}

fn of_status(status: u16) -> Answer {
    match status {
        404 => Answer::Absent,
        401 | 403 => Answer::Refused("it refuses the server's credentials".to_owned()),
        429 => Answer::Busy("it is asked too often".to_owned()),
        500.. => Answer::Busy(format!("it answers {status}")),
        _ => Answer::Unknown(format!("it answers {status}")),
    }
}
