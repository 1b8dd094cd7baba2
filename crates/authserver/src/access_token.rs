//! Access tokens (RFC 9068) and the answer that carries them (RFC 6749 §5.1, RFC 9449 §5).

use aws_lc_rs::rand;
use axum::response::{IntoResponse, Response};
use countersign_dpop::jose::{Jkt, encode_base64url};
use countersign_dpop::time::Timestamp;
use countersign_dpop::{NoRandomness, headers};
use http::{HeaderValue, header};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::IssueError;
use crate::scope::Scope;
use crate::signing::SigningKeys;

/// How long an access token is good for, in seconds.
pub(crate) const LIFETIME: i64 = 300;

/// What an access token says.
pub(crate) struct AccessToken<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) scope: &'a Scope,
    /// The key that the token is bound to; without one it is a Bearer token.
    pub(crate) jkt: Option<&'a Jkt>,
    pub(crate) issued_at: Timestamp,
}

impl AccessToken<'_> {
    /// Signs the token.
    pub(crate) fn issue(&self, keys: &SigningKeys) -> Result<TokenAnswer, IssueError> {
        let scope = (!self.scope.is_empty()).then(|| self.scope.to_string());
        let claims = Claims {
            iss: self.issuer,
            sub: self.subject,
            client_id: self.client_id,
            aud: self.audience,
            iat: self.issued_at.seconds(),
            exp: self.issued_at.plus(LIFETIME).seconds(),
            jti: random_id()?,
            scope: scope.as_deref(),
            cnf: self.jkt.map(|jkt| Cnf { jkt: jkt.to_string() }),
        };
        let access_token = keys.sign("at+jwt", &serde_json::to_string(&claims)?)?;
        Ok(TokenAnswer { access_token, bound: self.jkt.is_some(), scope, nonce: None })
    }
}

/// A successful answer of the token endpoint.
pub(crate) struct TokenAnswer {
    access_token: Zeroizing<String>,
    bound: bool,
    scope: Option<String>,
    /// A fresh nonce, when the one used is ageing.
    pub(crate) nonce: Option<String>,
}

impl TokenAnswer {
    /// Whether the token is bound to the proof's key.
    pub(crate) const fn is_bound(&self) -> bool {
        self.bound
    }
}

impl IntoResponse for TokenAnswer {
    fn into_response(self) -> Response {
        let body = TokenBody {
            access_token: &self.access_token,
            token_type: if self.bound { "DPoP" } else { "Bearer" },
            expires_in: LIFETIME,
            scope: self.scope.as_deref(),
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
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    client_id: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Cnf>,
}

#[derive(Serialize)]
struct Cnf {
    jkt: String,
}

#[derive(Serialize)]
struct TokenBody<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

/// 128 random bits.
fn random_id() -> Result<String, NoRandomness> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(encode_base64url(bytes))
}
