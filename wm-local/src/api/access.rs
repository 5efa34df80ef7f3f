//! Who may ask: whoever has the token. Any user of the machine and any web page can reach a loopback port.

use std::fmt;

use http::{HeaderMap, header};
use uuid::Uuid;

use crate::{error::ApiError, node::decode_base64};

/// The bearer token of a cluster.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// A new one, of 244 random bits.
    pub(crate) fn random() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .and_then(|(scheme, credentials)| credential(scheme, credentials.trim()));
        if given.is_some_and(|given| self.is(&given)) {
            return Ok(());
        }
        Err(ApiError::new(401, "Unauthorized", "Unauthorized"))
    }

    /// Compares in a time that does not tell how much is right.
    fn is(&self, given: &str) -> bool {
        let differences = self.0.bytes().zip(given.bytes()).fold(0, |all, (own, other)| all | (own ^ other));
        self.0.len() == given.len() && differences == 0
    }
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
    let pair = String::from_utf8(decode_base64(credentials)?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(pair: &str) -> (header::HeaderName, header::HeaderValue) {
        (header::AUTHORIZATION, format!("Basic {pair}").parse().unwrap())
    }

    #[test]
    fn only_the_token_opens() {
        let token = Token::random();
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            token.check(&headers)
        };
        check(&format!("Bearer {}", token.as_str())).unwrap();
        check(&format!("bearer {}", token.as_str())).unwrap();
        check("Basic dG9rZW46eA==").unwrap_err();
        Token("x".to_owned()).check(&HeaderMap::from_iter([basic("dG9rZW46eA==")])).unwrap();
        for wrong in ["", "Bearer", "Bearer x", &format!("Bearer {}x", token.as_str()), token.as_str()] {
            assert_eq!(check(wrong).unwrap_err().code, 401, "{wrong}");
        }
        assert_eq!(token.check(&HeaderMap::new()).unwrap_err().code, 401);
    }

    #[test]
    fn tokens_differ_and_are_not_printed() {
        let token = Token::random();
        assert_ne!(token.as_str(), Token::random().as_str());
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}
