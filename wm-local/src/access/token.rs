//! Bearer tokens, and how they come with a request.

use std::fmt;

use http::{HeaderMap, header};
use uuid::Uuid;

use crate::node::decode_base64;

/// A secret that opens the API.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// A new one, of 244 random bits. It is never made from the seed of a cluster, which is no secret.
    pub(crate) fn random() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not tell how much is right.
    pub(super) fn is(&self, given: &str) -> bool {
        let differences = self.0.bytes().zip(given.bytes()).fold(0, |all, (own, other)| all | (own ^ other));
        self.0.len() == given.len() && differences == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// The token that a request brings, `None` if it brings no credential at all.
pub(super) fn given(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?;
    // What can't be read is a credential too, and a wrong one.
    let Ok(text) = value.to_str() else { return Some(String::new()) };
    let (scheme, credentials) = text.trim().split_once(' ')?;
    credential(scheme, credentials.trim())
}

/// The token in an Authorization header. It may be the password of basic authentication: without TLS kubectl sends no
/// bearer token, but it does send what the server's address has before the `@`.
fn credential(scheme: &str, credentials: &str) -> Option<String> {
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = decode_base64(credentials).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    Some(pair.split_once(':').map_or_else(String::new, |(_, password)| password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_by(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        given(&headers)
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_password() {
        assert_eq!(given_by("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(given_by("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(given_by("Basic dG9rZW46eA==").as_deref(), Some("x"));
        assert_eq!(given_by("Basic %%%").as_deref(), Some(""), "a credential, but a wrong one");
        for none in ["", "Bearer", "Digest abc"] {
            assert_eq!(given_by(none), None, "{none}");
        }
        assert_eq!(given(&HeaderMap::new()), None);
    }

    #[test]
    fn tokens_differ_and_are_not_printed() {
        let token = Token::random();
        assert!(token.is(token.as_str()));
        for wrong in ["", "x", &format!("{}x", token.as_str()), Token::random().as_str()] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}
