//! `private_key_jwt` (RFC 7523 §3, with the issuer as the only audience: FAPI 2.0 §5.3.2.1, draft-ietf-oauth-rfc7523bis).

use std::borrow::Cow;

use aws_lc_rs::digest;
use countersign_dpop::jose::JwsBuffer;
use countersign_dpop::time::{NumericDate, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{AuthenticatedClient, ClientError, wrong_method};
use crate::client::{AuthMethod, Credential};
use crate::error::Refusal;
use crate::keys::Unverified;
use crate::server::Shared;
use crate::signed_jwt::{Kind, SignedJwt, SignedJwtError};
use crate::storage::{AssertionEntry, AssertionKey};

/// Seconds that an assertion's `iat` and `nbf` may lie ahead of the server's clock.
pub(crate) const MAX_AHEAD: i64 = 60;
/// Seconds that an assertion's `exp` may lie ahead; it bounds how long its `jti` is remembered.
pub(crate) const MAX_LIFE: i64 = 600;
/// A client assertion.
const KIND: Kind = Kind { max_length: 8_192, typ: "client-authentication+jwt" };
/// The longest `jti`, in bytes.
const MAX_JTI_LENGTH: usize = 256;

/// Why an assertion is refused. Carries nothing of it but times.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AssertionError {
    #[error("{0}")]
    Jwt(#[from] SignedJwtError),
    #[error("iss and sub are not the same client")]
    SubjectMismatch,
    #[error("aud is not this issuer as one string")]
    AudienceMismatch,
    #[error("exp passed {ago} s ago")]
    Expired { ago: i64 },
    #[error("exp lies {ahead} s ahead; {MAX_LIFE} s are allowed")]
    TooLong { ahead: i64 },
    #[error("iat or nbf lies {ahead} s ahead; {MAX_AHEAD} s are allowed")]
    FromFuture { ahead: i64 },
    #[error("jti is empty or longer than {MAX_JTI_LENGTH} bytes")]
    JtiLength,
    #[error("the client has no key that could have signed it")]
    KeyUnknown,
    #[error("the signature does not verify")]
    BadSignature,
    #[error("it was used before")]
    Replayed,
    #[error("it is older than what the server remembers")]
    Forgotten,
}

/// Authenticates by a signed assertion. What its text alone refuses is refused before any key is fetched.
pub(super) async fn authenticate(server: &Shared, text: &str, now: Timestamp) -> Result<AuthenticatedClient, Refusal> {
    let mut buffer = JwsBuffer::new();
    let jwt = SignedJwt::read(text, &mut buffer, KIND, &server.assertion_algorithms).map_err(refused)?;
    let claims = Claims::read(&jwt).map_err(refused)?;
    let client = server.client(&claims.sub).await?.ok_or(ClientError::ClientUnknown { basic: false })?;
    let Credential::PrivateKeyJwt { keys } = &client.credential else {
        return Err(wrong_method(&client.credential, AuthMethod::PrivateKeyJwt, false).into());
    };
    let issuer = server.settings.issuer.as_str();
    let not_after = claims.check(issuer, now).map_err(refused)?;
    let key = jwt.verify(keys, server, now).await.map_err(unverified)?;
    let assertion = AssertionEntry { key: assertion_key(issuer, &claims), not_after };
    Ok(AuthenticatedClient { client: client.clone(), assertion: Some(assertion), key: Some(key) })
}

fn unverified(fault: Unverified) -> ClientError {
    match fault {
        Unverified::KeyUnknown => AssertionError::KeyUnknown.into(),
        Unverified::BadSignature => AssertionError::BadSignature.into(),
        Unverified::KeysAway(away) => away.into(),
    }
}

fn refused(error: impl Into<AssertionError>) -> ClientError {
    ClientError::Assertion(error.into())
}

#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    aud: serde_json::Value,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(deserialize_with = "date")]
    exp: NumericDate,
    #[serde(default, deserialize_with = "optional_date")]
    iat: Option<NumericDate>,
    #[serde(default, deserialize_with = "optional_date")]
    nbf: Option<NumericDate>,
}

impl<'a> Claims<'a> {
    fn read(jwt: &SignedJwt<'a>) -> Result<Self, AssertionError> {
        let claims: Self = jwt.claims()?;
        if claims.iss != claims.sub {
            return Err(AssertionError::SubjectMismatch);
        }
        if !(1..=MAX_JTI_LENGTH).contains(&claims.jti.len()) {
            return Err(AssertionError::JtiLength);
        }
        Ok(claims)
    }

    /// Returns the last second at which the assertion is acceptable.
    fn check(&self, issuer: &str, now: Timestamp) -> Result<Timestamp, AssertionError> {
        if self.aud.as_str() != Some(issuer) {
            return Err(AssertionError::AudienceMismatch);
        }
        // `now` must lie before `exp` (RFC 7519 §4.1.4).
        let not_after = self.exp.ceil().plus(-1);
        if now > not_after {
            return Err(AssertionError::Expired { ago: now.since(self.exp.floor()) });
        }
        let ahead = self.exp.ceil().since(now);
        if ahead > MAX_LIFE {
            return Err(AssertionError::TooLong { ahead });
        }
        for date in [self.iat, self.nbf].into_iter().flatten() {
            let ahead = date.ceil().since(now);
            if ahead > MAX_AHEAD {
                return Err(AssertionError::FromFuture { ahead });
            }
        }
        Ok(not_after)
    }
}

/// What is remembered of an assertion: the issuer, the client and its `jti`.
fn assertion_key(issuer: &str, claims: &Claims<'_>) -> AssertionKey {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"countersign assertion key 1\0");
    for part in [issuer, &claims.sub, &claims.jti] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    AssertionKey::from_bytes(key)
}

fn optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NumericDate>, D::Error> {
    date(deserializer).map(Some)
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NumericDate, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let date = match (number.as_i64(), number.as_u64()) {
        (Some(seconds), _) => Some(NumericDate::from_seconds(seconds)),
        (None, Some(_)) => Some(NumericDate::from_seconds(i64::MAX)),
        (None, None) => number.as_f64().and_then(NumericDate::from_f64),
    };
    date.ok_or_else(|| D::Error::custom("not a date"))
}
