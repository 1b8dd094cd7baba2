//! Access tokens and refresh tokens.

mod cache;
mod watch;

use std::fmt;

use bytes::Bytes;
use countersign_dpop::Ath;
use countersign_dpop::time::Timestamp;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub(crate) use self::cache::{Source, TokenCache};
pub(crate) use self::watch::TokenWatch;

/// What came of a grant.
#[derive(Debug)]
pub struct Tokens {
    /// For the resource.
    pub access: AccessToken,
    /// For the next access token, if the server gave one.
    pub refresh: Option<RefreshToken>,
}

/// How an access token is presented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenKind {
    /// With a proof (RFC 9449 §7.1).
    Dpop,
    /// Alone (RFC 6750): whoever has it can use it.
    Bearer,
}

impl TokenKind {
    /// The kind of that `token_type`, in any letter case.
    pub(crate) fn parse(token_type: &str) -> Option<Self> {
        [Self::Dpop, Self::Bearer].into_iter().find(|kind| kind.scheme().eq_ignore_ascii_case(token_type))
    }

    /// The scheme of `Authorization`.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Dpop => "DPoP",
            Self::Bearer => "Bearer",
        }
    }
}

/// A refresh token. Never printed, and never sent anywhere but to the token endpoint of its issuer.
#[derive(Clone)]
pub struct RefreshToken(pub(crate) SecretString);

impl RefreshToken {
    /// Takes the token of an answer; `None` when it is empty or longer than an access token may be.
    pub(crate) fn new(text: SecretString) -> Option<Self> {
        let fits = (1..=AccessToken::MAX_LENGTH).contains(&text.expose_secret().len());
        fits.then_some(Self(text))
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken")
    }
}

/// An access token, scheme and token in one, so that they cannot be mixed up. A bound one is worthless without the
/// key, and still nobody's business: never printed.
#[derive(Clone)]
pub struct AccessToken {
    text: SecretString,
    /// Scheme and token, as they are sent. Its bytes are wiped with the last clone.
    field: HeaderValue,
    /// What proofs say of it.
    ath: Ath,
    kind: TokenKind,
    scope: Option<String>,
    expires_at: Option<Timestamp>,
    renew_at: Option<Timestamp>,
}

impl AccessToken {
    /// The longest token that is taken, in bytes.
    pub const MAX_LENGTH: usize = 16_384;

    /// Takes the token of an answer; `None` when it could not be sent back in a field.
    pub(crate) fn new(
        text: &str,
        kind: TokenKind,
        scope: Option<String>,
        expires_in: Option<i64>,
        now: Timestamp,
    ) -> Option<Self> {
        // Early enough for the request that is about to be made, late enough that a short life is not wasted.
        let margin = |life: i64| (life / 10).clamp(1, 30);
        let renew_at = expires_in.map(|life| now.plus(life.saturating_sub(margin(life))));
        Self::kept(text, kind, scope, expires_in.map(|life| now.plus(life)), renew_at)
    }

    /// A token that was kept; `None` as for a new one.
    pub(crate) fn kept(
        text: &str,
        kind: TokenKind,
        scope: Option<String>,
        expires_at: Option<Timestamp>,
        renew_at: Option<Timestamp>,
    ) -> Option<Self> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let field = fits.then(|| secret_field(format!("{} {text}", kind.scheme()).into_bytes()))??;
        Some(Self { text: text.into(), field, ath: Ath::of(text), kind, scope, expires_at, renew_at })
    }

    /// The token itself. Keep it out of logs, arguments and environments.
    pub fn expose_secret(&self) -> &str {
        self.text.expose_secret()
    }

    /// How it is presented.
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The scope that was granted, if the server said.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// When it ends by this machine's clock, if the server said.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// When it is replaced, a little before it ends.
    pub const fn renew_at(&self) -> Option<Timestamp> {
        self.renew_at
    }

    /// True while it is good for a request at `now`.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.renew_at.is_none_or(|renew_at| now < renew_at)
    }

    /// Its hash, as proofs that go with it say it.
    pub(crate) const fn ath(&self) -> &Ath {
        &self.ath
    }

    /// The value of `Authorization`.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.field.clone()
    }
}

/// A field's value that is not printed, and wiped with its last clone; `None` for a text that no field can hold.
pub(crate) fn secret_field(text: Vec<u8>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(Zeroizing::new(text))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("kind", &self.kind)
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
        AccessToken::new("canary-token", TokenKind::Dpop, None, expires_in, NOW).expect("a token")
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
            assert!(AccessToken::new(bad, TokenKind::Dpop, None, None, NOW).is_none());
        }
        assert!(AccessToken::new(&"x".repeat(16_384), TokenKind::Dpop, None, None, NOW).is_some());
    }

    #[test]
    fn is_never_printed() {
        let token = token(Some(300));
        assert!(!format!("{token:?} {token:#?} {:?}", token.authorization()).contains("canary"));
    }
}
