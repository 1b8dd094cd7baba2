//! `private_key_jwt` (RFC 7523 §3, with the issuer as the only audience: FAPI 2.0 §5.3.2.1, draft-ietf-oauth-rfc7523bis).

use std::borrow::Cow;

use aws_lc_rs::digest;
use countersign_dpop::jose::{
    Algorithm, Algorithms, CompactJws, JsonError, JsonLimits, JwsBuffer, JwsError, from_strict_json,
};
use countersign_dpop::time::{NumericDate, Timestamp};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::{AuthenticatedClient, ClientError, wrong_method};
use crate::client::{AuthMethod, Credential};
use crate::error::Refusal;
use crate::keys::{Signed, Unverified};
use crate::server::Shared;
use crate::storage::{AssertionEntry, AssertionKey};

/// Seconds that an assertion's `iat` and `nbf` may lie ahead of the server's clock.
pub(crate) const MAX_AHEAD: i64 = 60;
/// Seconds that an assertion's `exp` may lie ahead; it bounds how long its `jti` is remembered.
pub(crate) const MAX_LIFE: i64 = 600;
/// The longest assertion that is read, in bytes.
const MAX_LENGTH: usize = 8_192;
/// The longest `jti`, in bytes.
const MAX_JTI_LENGTH: usize = 256;

/// Why an assertion is refused. Carries nothing of it but times.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AssertionError {
    #[error("{0}")]
    Jws(#[from] JwsError),
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error("typ is that of something else")]
    TypMismatch,
    #[error("the algorithm is not accepted for assertions")]
    AlgNotAccepted,
    #[error("it has critical extensions")]
    CritNotUnderstood,
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
    let algorithms = &server.assertion_algorithms;
    let mut buffer = JwsBuffer::new();
    let jws = CompactJws::split(text.as_bytes(), &mut buffer, MAX_LENGTH).map_err(refused)?;
    let (header, algorithm) = Header::read(&jws, algorithms).map_err(refused)?;
    let claims = Claims::read(&jws).map_err(refused)?;
    let client = server.client(&claims.sub).await?.ok_or(ClientError::ClientUnknown { basic: false })?;
    let Credential::PrivateKeyJwt { keys } = &client.credential else {
        return Err(wrong_method(&client.credential, AuthMethod::PrivateKeyJwt, false).into());
    };
    let issuer = server.settings.issuer.as_str();
    let not_after = claims.check(issuer, now).map_err(refused)?;
    let signed = Signed { jws: &jws, kid: header.kid.as_deref(), algorithm };
    let key = keys.verify(&signed, algorithms, server.fetch.as_ref(), now).await.map_err(unverified)?;
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
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    typ: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    kid: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

impl<'a> Header<'a> {
    fn read(jws: &CompactJws<'a>, algorithms: &Algorithms) -> Result<(Self, Algorithm), AssertionError> {
        let header: Self = from_strict_json(jws.header(), JsonLimits::DOCUMENT)?;
        // A proof, an access token or an ID token must not pass as an assertion (RFC 8725 §3.11).
        let is_assertion = |typ: &str| {
            ["JWT", "client-authentication+jwt"]
                .iter()
                .any(|expected| typ.strip_prefix("application/").unwrap_or(typ).eq_ignore_ascii_case(expected))
        };
        if !header.typ.as_deref().is_none_or(is_assertion) {
            return Err(AssertionError::TypMismatch);
        }
        let algorithm: Algorithm = header.alg.parse().map_err(|_| AssertionError::AlgNotAccepted)?;
        if !algorithms.contains(algorithm) {
            return Err(AssertionError::AlgNotAccepted);
        }
        if header.crit.is_some() {
            return Err(AssertionError::CritNotUnderstood);
        }
        Ok((header, algorithm))
    }
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
    fn read(jws: &CompactJws<'a>) -> Result<Self, AssertionError> {
        let claims: Self = from_strict_json(jws.payload(), JsonLimits::DOCUMENT)?;
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

/// A member that may be absent but, when there, must be of its type: `null` is not the same as absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
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
