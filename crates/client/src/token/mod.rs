//! Access tokens that are bound to the client's key.

mod cache;

use std::fmt;

use countersign_dpop::time::Timestamp;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub(crate) use self::cache::{Source, TokenCache};

/// A DPoP-bound access token. It is worthless without the key, and still nobody's business: never printed.
pub struct AccessToken {
    text: SecretString,
    scope: Option<String>,
    expires_at: Option<Timestamp>,
    renew_at: Option<Timestamp>,
}

impl AccessToken {
    /// The longest token that is taken, in bytes.
    pub const MAX_LENGTH: usize = 16_384;

    /// Takes the token of an answer that said `token_type` `DPoP`; `None` when it could not be sent back in a field.
    pub(crate) fn new(text: &str, scope: Option<String>, expires_in: Option<i64>, now: Timestamp) -> Option<Self> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        // Early enough for the request that is about to be made, late enough that a short life is not wasted.
        let margin = |life: i64| (life / 10).clamp(1, 30);
        fits.then(|| Self {
            text: text.into(),
            scope,
            expires_at: expires_in.map(|life| now.plus(life)),
            renew_at: expires_in.map(|life| now.plus(life.saturating_sub(margin(life)))),
        })
    }

    /// The token itself. Keep it out of logs, arguments and environments.
    pub fn expose_secret(&self) -> &str {
        self.text.expose_secret()
    }

    /// The scope that was granted, if the server said.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// When it ends by this machine's clock, if the server said.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    pub(crate) fn is_usable(&self, now: Timestamp) -> bool {
        self.renew_at.is_none_or(|renew_at| now < renew_at)
    }

    /// Scheme and token in one, so that they cannot be mixed up.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let text = Zeroizing::new(format!("DPoP {}", self.expose_secret()));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn token(expires_in: Option<i64>) -> AccessToken {
        AccessToken::new("canary-token", None, expires_in, NOW).expect("a token")
    }

    #[test]
    fn is_renewed_a_little_before_it_ends() {
        assert!(token(Some(300)).is_usable(NOW.plus(269)));
        assert!(!token(Some(300)).is_usable(NOW.plus(270)));
        assert!(token(Some(10)).is_usable(NOW.plus(8)));
        assert!(!token(Some(10)).is_usable(NOW.plus(9)));
        assert!(!token(Some(0)).is_usable(NOW));
        assert!(!token(Some(-5)).is_usable(NOW));
        assert!(token(Some(i64::MAX)).is_usable(Timestamp::from_seconds(i64::MAX - 31)));
        assert!(token(None).is_usable(Timestamp::MAX), "row 502: a token without expires_in is used until refused");
    }

    #[test]
    fn takes_only_what_can_be_sent_in_a_field() {
        for bad in ["", "a b", "a\r\nb", "é", &"x".repeat(16_385)] {
            assert!(AccessToken::new(bad, None, None, NOW).is_none());
        }
        assert!(AccessToken::new(&"x".repeat(16_384), None, None, NOW).is_some());
    }

    #[test]
    fn is_never_printed() {
        let token = token(Some(300));
        assert!(!format!("{token:?} {token:#?} {:?}", token.authorization()).contains("canary"));
    }
}
