//! Reading a JWT access token (RFC 9068 §4) before anything in it is believed.

use countersign_dpop::error::TokenError;
use countersign_dpop::jose::{Algorithm, CompactJws, Jkt, JsonError, JsonLimits, JwsBuffer, JwsPart, from_strict_json};
use serde_json::{Map, Value};

use crate::issuer::{Issuer, KeySnapshot, media_subtype};
use crate::table::Tables;
use crate::token::{AccessToken, shorten};

/// How large a token may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JwtLimits {
    /// Bytes of the compact form.
    pub(crate) length: usize,
}

impl Default for JwtLimits {
    fn default() -> Self {
        Self { length: crate::token::MAX_TOKEN_LENGTH }
    }
}

/// The most keys tried for one token: an issuer's set may hold 64, and every try costs a signature verification.
const MAX_TRIES: usize = 8;

/// A token taken apart. Its signature has not been looked at.
pub(crate) struct UnverifiedToken<'a> {
    text: &'a str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    payload: Box<str>,
    signature: Vec<u8>,
}

impl<'a> UnverifiedToken<'a> {
    pub(crate) fn parse(text: &'a str, limits: JwtLimits) -> Result<Self, TokenError> {
        let mut buffer = JwsBuffer::new();
        let jws = CompactJws::split(text.as_bytes(), &mut buffer, limits.length)
            .map_err(|fault| TokenError::Malformed { reason: fault.to_string() })?;
        let header = object(jws.header(), JwsPart::Header)?;
        if header.contains_key("crit") {
            return Err(TokenError::Malformed { reason: "the header has critical extensions".to_owned() });
        }
        let claims = object(jws.payload(), JwsPart::Payload)?;
        let payload = std::str::from_utf8(jws.payload()).map_err(|_| bad_json(JwsPart::Payload, &JsonError::Shape))?;
        Ok(Self { text, header, claims, payload: payload.into(), signature: jws.signature().to_vec() })
    }

    /// `iss`, to find out whose rules the rest is judged by.
    pub(crate) fn issuer(&self) -> Result<&str, TokenError> {
        match self.claims.get("iss") {
            Some(Value::String(issuer)) => Ok(issuer),
            Some(_) | None => Err(TokenError::IssuerUnknown { found: None }),
        }
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// The claims, if `typ` says that this is an access token.
    pub(crate) fn claims(&self, issuer: &Issuer) -> Result<AccessToken, TokenError> {
        let typ = match self.header.get("typ") {
            None => None,
            Some(Value::String(typ)) => Some(typ.as_str()),
            Some(_) => return Err(TokenError::TypMismatch { found: None }),
        };
        let mismatch = || TokenError::TypMismatch { found: typ.map(shorten) };
        let subtype = media_subtype(typ.unwrap_or_default());
        if !issuer.types.contains(&subtype) || (subtype != "at+jwt" && self.looks_like_another_token()) {
            return Err(mismatch());
        }
        AccessToken::from_claims(&issuer.name, &self.claims, self.payload.clone())
    }

    pub(crate) fn algorithm(&self, issuer: &Issuer) -> Result<Algorithm, TokenError> {
        let name = self.header.get("alg").and_then(Value::as_str);
        name.and_then(|name| name.parse().ok())
            .filter(|algorithm| issuer.algorithms.contains(*algorithm))
            .ok_or_else(|| TokenError::AlgNotAccepted { found: name.map(shorten) })
    }

    /// Verifies the signature; the thumbprint is that of the key that made it.
    pub(crate) fn verify(
        &self,
        issuer: &Issuer,
        algorithm: Algorithm,
        keys: &KeySnapshot,
        tables: &Tables,
    ) -> Result<Jkt, TokenError> {
        let signed = self.text.rfind('.').map_or(self.text, |end| &self.text[..end]).as_bytes();
        let mut candidates = keys.candidates(self.kid(), algorithm).take(MAX_TRIES).peekable();
        if candidates.peek().is_none() {
            return Err(TokenError::KeyUnknown { kid: self.kid().map(shorten) });
        }
        candidates
            .find(|key| keys.verify(key, algorithm, &issuer.algorithms, tables, signed, &self.signature).is_ok())
            .map(|key| *key.jkt())
            .ok_or(TokenError::BadSignature)
    }

    /// Under a `typ` that says nothing, other signs have to: ID tokens carry `nonce`, `at_hash` or `c_hash`
    /// (OpenID Connect Core §2), and Keycloak names the use of every other token in a claim `typ`.
    fn looks_like_another_token(&self) -> bool {
        let of_an_id_token = ["nonce", "at_hash", "c_hash"].iter().any(|claim| self.claims.contains_key(*claim));
        let by_its_own_word = match self.claims.get("typ") {
            None => false,
            Some(Value::String(typ)) => !["at+jwt", "bearer", "dpop"].contains(&typ.to_ascii_lowercase().as_str()),
            Some(_) => true,
        };
        of_an_id_token || by_its_own_word
    }
}

fn object(bytes: &[u8], part: JwsPart) -> Result<Map<String, Value>, TokenError> {
    from_strict_json(bytes, JsonLimits::DOCUMENT).map_err(|fault| bad_json(part, &fault))
}

fn bad_json(part: JwsPart, fault: &JsonError) -> TokenError {
    TokenError::Malformed { reason: format!("the {part}: {fault}") }
}
