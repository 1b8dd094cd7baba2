//! Access tokens (RFC 9068) and the answer that carries them (RFC 6749 §5.1, RFC 9449 §5).

use axum::response::{IntoResponse, Response};
use countersign_dpop::jose::{
    CompactJws, Jkt, JsonLimits, JwsBuffer, decode_base64url, encode_base64url, from_strict_json,
};
use countersign_dpop::time::Timestamp;
use countersign_dpop::{Confirmation, headers};
use http::{HeaderValue, header};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::IssueError;
use crate::random::random_id;
use crate::resource::{Resource, TokenFormat};
use crate::scope::Scope;
use crate::seal::Seal;
use crate::server::Shared;
use crate::signing::SigningKeys;

/// How long an access token is good for, in seconds.
pub(crate) const LIFETIME: i64 = 300;

/// What an access token is to say.
pub(crate) struct AccessToken<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) resource: &'a Resource,
    pub(crate) scope: &'a Scope,
    /// The key that the token is bound to; without one it is a Bearer token.
    pub(crate) jkt: Option<&'a Jkt>,
    /// Who acts for the subject (RFC 8693 §4.1).
    pub(crate) actor: Option<&'a Actor>,
    pub(crate) issued_at: Timestamp,
    /// When it ends, if that is before its time.
    pub(crate) ends_by: Option<Timestamp>,
    /// The approval that it is a part of.
    pub(crate) grant_id: Option<&'a str>,
    /// RFC 9396 §9.1.
    pub(crate) authorization_details: Option<&'a Value>,
}

impl AccessToken<'_> {
    /// Signs the token, or seals it where the resource wants it opaque.
    pub(crate) fn issue(&self, keys: &SigningKeys, seal: &Seal) -> Result<TokenAnswer, IssueError> {
        let scope = (!self.scope.is_empty()).then(|| self.scope.to_string());
        let exp = self.ends_by.unwrap_or(Timestamp::MAX).min(self.issued_at.plus(LIFETIME));
        let claims = Claims {
            iss: self.issuer.to_owned(),
            sub: self.subject.to_owned(),
            client_id: self.client_id.to_owned(),
            aud: self.resource.identifier.clone(),
            iat: self.issued_at.seconds(),
            exp: exp.seconds(),
            jti: random_id()?,
            scope: scope.clone(),
            cnf: self.jkt.map(|jkt| Cnf { jkt: jkt.to_string() }),
            act: self.actor.cloned(),
            grant_id: self.grant_id.map(str::to_owned),
            authorization_details: self.authorization_details.cloned(),
        };
        let json = serde_json::to_string(&claims)?;
        let access_token = match self.resource.token_format {
            TokenFormat::Jwt => keys.sign(TYP, &json)?,
            TokenFormat::Opaque => seal_token(seal, &json)?,
        };
        Ok(TokenAnswer {
            access_token,
            bound: self.jkt.is_some(),
            scope,
            expires_in: exp.since(self.issued_at),
            issued_token_type: None,
            authorization_details: self.authorization_details.cloned(),
            refresh_token: None,
            nonce: None,
        })
    }
}

/// `typ` of access tokens (RFC 9068 §2.1).
const TYP: &str = "at+jwt";

/// What opaque tokens begin with: they are the claims, sealed, so nothing has to be looked up to read one.
const OPAQUE_PREFIX: &str = "csat_";
/// What they are sealed as.
const OPAQUE_LABEL: &str = "access token";

fn seal_token(seal: &Seal, claims: &str) -> Result<Zeroizing<String>, IssueError> {
    let sealed = seal.seal(OPAQUE_LABEL, claims.as_bytes())?;
    Ok(Zeroizing::new(format!("{OPAQUE_PREFIX}{}", encode_base64url(sealed))))
}

/// What an access token of this server says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) sub: String,
    pub(crate) client_id: String,
    pub(crate) aud: String,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) jti: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cnf: Option<Cnf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Actor>,
    /// The approval that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_details: Option<Value>,
}

/// RFC 9449 §6.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Cnf {
    pub(crate) jkt: String,
}

/// Who acts, and for whom that one acted before (RFC 8693 §4.1).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Actor {
    pub(crate) sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Box<Self>>,
}

/// The longest token that is read, in bytes.
const MAX_LENGTH: usize = 16_384;

impl Claims {
    /// Reads a token that this server issued and that has not ended. What is not one is `None`, whatever it is.
    pub(crate) fn read(text: &str, server: &Shared, now: Timestamp) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let claims = match text.strip_prefix(OPAQUE_PREFIX) {
            Some(sealed) => Self::unseal(sealed, &server.seal)?,
            None => Self::verify(text, &server.keys.current())?,
        };
        let is_ours = claims.iss == server.settings.issuer.as_str();
        (is_ours && now.seconds() < claims.exp).then_some(claims)
    }

    fn unseal(sealed: &str, seal: &Seal) -> Option<Self> {
        let json = seal.open(OPAQUE_LABEL, &decode_base64url(sealed).ok()?).ok()?;
        serde_json::from_slice(&json).ok()
    }

    fn verify(text: &str, keys: &SigningKeys) -> Option<Self> {
        let mut buffer = JwsBuffer::new();
        let jws = CompactJws::split(text.as_bytes(), &mut buffer, MAX_LENGTH).ok()?;
        let header: Header = from_strict_json(jws.header(), JsonLimits::DOCUMENT).ok()?;
        let is_access_token = header.typ == TYP && header.crit.is_none();
        if !is_access_token || !keys.verify(&header.kid, &header.alg, &jws) {
            return None;
        }
        from_strict_json(jws.payload(), JsonLimits::DOCUMENT).ok()
    }

    pub(crate) fn ends_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }
}

impl Claims {
    /// The scope; one that cannot be read is none.
    pub(crate) fn scope(&self) -> Scope {
        self.scope.as_deref().and_then(|scope| Scope::parse(scope).ok()).unwrap_or_default()
    }

    /// The key that the token is bound to.
    pub(crate) fn confirmation(&self) -> Option<Confirmation> {
        match &self.cnf {
            None => Some(Confirmation::unbound()),
            Some(cnf) => cnf.jkt.parse().ok().map(Confirmation::bound_to),
        }
    }
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
    crit: Option<IgnoredAny>,
}

/// A successful answer of the token endpoint.
pub(crate) struct TokenAnswer {
    access_token: Zeroizing<String>,
    bound: bool,
    scope: Option<String>,
    expires_in: i64,
    /// What was asked for in an exchange (RFC 8693 §2.2.1).
    pub(crate) issued_token_type: Option<&'static str>,
    authorization_details: Option<Value>,
    refresh_token: Option<Zeroizing<String>>,
    /// A fresh nonce, when the one used is ageing.
    pub(crate) nonce: Option<String>,
}

impl TokenAnswer {
    /// The same with a refresh token beside it.
    pub(crate) fn with_refresh_token(self, refresh_token: Option<Zeroizing<String>>) -> Self {
        Self { refresh_token, ..self }
    }

    /// Whether the token is bound to the proof's key.
    pub(crate) const fn is_bound(&self) -> bool {
        self.bound
    }
}

impl IntoResponse for TokenAnswer {
    fn into_response(self) -> Response {
        let body = TokenBody {
            access_token: &self.access_token,
            issued_token_type: self.issued_token_type,
            token_type: if self.bound { "DPoP" } else { "Bearer" },
            expires_in: self.expires_in,
            scope: self.scope.as_deref(),
            refresh_token: self.refresh_token.as_ref().map(|token| token.as_str()),
            authorization_details: self.authorization_details.as_ref(),
        };
        let mut response = axum::Json(body).into_response();
        let fields = response.headers_mut();
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        if let Some(nonce) = self.nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
            fields.insert(headers::DPOP_NONCE, nonce);
        }
        response
    }
}

#[derive(Serialize)]
struct TokenBody<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<&'a Value>,
}
