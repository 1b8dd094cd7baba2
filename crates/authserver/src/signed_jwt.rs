//! A JWT that a client has signed, a client assertion (RFC 7523) or a request object (RFC 9101), read as far as its
//! text alone goes: no key is needed, and none fetched, for what is refused here.

use std::borrow::Cow;

use countersign_dpop::jose::{
    Algorithm, Algorithms, CompactJws, Jkt, JsonError, JsonLimits, JwsBuffer, JwsError, from_strict_json,
};
use countersign_dpop::time::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::keys::{PublicKeys, Signed, Unverified};
use crate::server::Shared;

/// What such a JWT may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The longest one, in bytes.
    pub(crate) max_length: usize,
    /// What `typ` may say beside `JWT`: what is signed for one purpose is good for no other (RFC 8725 §3.11).
    pub(crate) typ: &'static str,
}

/// Why it is refused. Carries nothing of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum SignedJwtError {
    #[error("{0}")]
    Jws(#[from] JwsError),
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error("typ is that of something else")]
    TypMismatch,
    #[error("the algorithm is not accepted")]
    AlgNotAccepted,
    #[error("it has critical extensions")]
    CritNotUnderstood,
}

/// One whose header is right; its signature has not been verified yet.
pub(crate) struct SignedJwt<'a> {
    jws: CompactJws<'a>,
    kid: Option<Cow<'a, str>>,
    algorithm: Algorithm,
}

impl<'a> SignedJwt<'a> {
    pub(crate) fn read(
        text: &'a str,
        buffer: &'a mut JwsBuffer,
        kind: Kind,
        algorithms: &Algorithms,
    ) -> Result<Self, SignedJwtError> {
        let jws = CompactJws::split(text.as_bytes(), buffer, kind.max_length)?;
        let header: Header<'a> = from_strict_json(jws.header(), JsonLimits::DOCUMENT)?;
        let is_of_kind = |typ: &str| {
            let short = typ.strip_prefix("application/").unwrap_or(typ);
            ["JWT", kind.typ].iter().any(|expected| short.eq_ignore_ascii_case(expected))
        };
        if !header.typ.as_deref().is_none_or(is_of_kind) {
            return Err(SignedJwtError::TypMismatch);
        }
        let algorithm = header.alg.parse().ok().filter(|algorithm| algorithms.contains(*algorithm));
        let algorithm = algorithm.ok_or(SignedJwtError::AlgNotAccepted)?;
        if header.crit.is_some() {
            return Err(SignedJwtError::CritNotUnderstood);
        }
        Ok(Self { jws, kid: header.kid, algorithm })
    }

    /// Its claims, of which nothing is known to be true.
    pub(crate) fn claims<T: Deserialize<'a>>(&self) -> Result<T, SignedJwtError> {
        Ok(from_strict_json(self.jws.payload(), JsonLimits::DOCUMENT)?)
    }

    /// Verifies it by one of `keys`, which is returned.
    pub(crate) async fn verify(&self, keys: &PublicKeys, server: &Shared, now: Timestamp) -> Result<Jkt, Unverified> {
        let signed = Signed { jws: &self.jws, kid: self.kid.as_deref(), algorithm: self.algorithm };
        keys.verify(&signed, &server.assertion_algorithms, server.fetch.as_ref(), now).await
    }
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

/// A member that may be absent but, when there, must be of its type: `null` is not the same as absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
