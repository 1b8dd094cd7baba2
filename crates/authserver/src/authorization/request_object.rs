//! Signed request objects (RFC 9101, FAPI 2.0 Message Signing §5.3.1): the request as a JWT by the client's own key. What
//! stands beside it in the form does not count.

use countersign_dpop::jose::JwsBuffer;
use countersign_dpop::time::Timestamp;
use serde_json::{Map, Value};

use crate::client::{Client, Credential};
use crate::form::Form;
use crate::keys::Unverified;
use crate::server::Shared;
use crate::signed_jwt::{Kind, SignedJwt, SignedJwtError};

/// A request object.
const KIND: Kind = Kind { max_length: 32_768, typ: "oauth-authz-req+jwt" };
/// Seconds that `nbf` may lie ahead of the server's clock.
const MAX_AHEAD: i64 = 60;
/// Seconds that `nbf` may lie back, and that `exp` may lie after `nbf`.
const MAX_LIFE: i64 = 3_600;

/// Why a request object is refused. Carries nothing of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RequestObjectError {
    #[error("{0}")]
    Jwt(#[from] SignedJwtError),
    #[error("the client has no keys to sign requests with")]
    ClientHasNoKeys,
    #[error("the signature does not verify by a key of the client")]
    Unverified,
    #[error("the client's keys cannot be had")]
    KeysAway,
    #[error("iss or client_id is not the client, or sub is")]
    ClientMismatch,
    #[error("aud does not name this issuer")]
    AudienceMismatch,
    #[error("exp or nbf is missing or no date")]
    TimesMissing,
    #[error("nbf lies ahead, or too far back")]
    NotYet,
    #[error("exp has passed, or lies more than an hour after nbf")]
    Expired,
    #[error("request or request_uri stands in it")]
    Nested,
    #[error("a parameter in it is not of its type")]
    Parameter,
}

impl RequestObjectError {
    /// The stable name, for logs and metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Jwt(SignedJwtError::Jws(_) | SignedJwtError::Json(_)) => "request_object_malformed",
            Self::Jwt(SignedJwtError::TypMismatch) => "request_object_typ_mismatch",
            Self::Jwt(SignedJwtError::AlgNotAccepted) => "request_object_alg_not_accepted",
            Self::Jwt(SignedJwtError::CritNotUnderstood) => "request_object_crit",
            Self::ClientHasNoKeys => "request_object_client_has_no_keys",
            Self::Unverified => "request_object_bad_signature",
            Self::KeysAway => "request_object_keys_away",
            Self::ClientMismatch => "request_object_client_mismatch",
            Self::AudienceMismatch => "request_object_audience_mismatch",
            Self::TimesMissing => "request_object_times_missing",
            Self::NotYet => "request_object_not_yet",
            Self::Expired => "request_object_expired",
            Self::Nested => "request_object_nested",
            Self::Parameter => "request_object_parameter",
        }
    }
}

/// The parameters of a request object of `client`.
pub(crate) async fn read_request_object(
    server: &Shared,
    client: &Client,
    text: &str,
    now: Timestamp,
) -> Result<Form, RequestObjectError> {
    let mut buffer = JwsBuffer::new();
    let jwt = SignedJwt::read(text, &mut buffer, KIND, &server.assertion_algorithms)?;
    let claims: Map<String, Value> = jwt.claims()?;
    check(&claims, server.settings.issuer.as_str(), &client.id, now)?;
    let Credential::PrivateKeyJwt { keys } = &client.credential else {
        return Err(RequestObjectError::ClientHasNoKeys);
    };
    jwt.verify(keys, server, now).await.map_err(|fault| match fault {
        Unverified::KeyUnknown | Unverified::BadSignature => RequestObjectError::Unverified,
        Unverified::KeysAway(_) => RequestObjectError::KeysAway,
    })?;
    parameters(claims)
}

fn check(claims: &Map<String, Value>, issuer: &str, client: &str, now: Timestamp) -> Result<(), RequestObjectError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // With the client as its subject it could pass as a client assertion (RFC 9101 §10.8).
    if text("iss") != Some(client) || text("client_id") != Some(client) || text("sub") == Some(client) {
        return Err(RequestObjectError::ClientMismatch);
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::String(audience)) => audience == issuer,
        Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience.as_str() == Some(issuer)),
        Some(_) | None => false,
    };
    if !is_for_us {
        return Err(RequestObjectError::AudienceMismatch);
    }
    let date = |name: &str| claims.get(name).and_then(Value::as_f64).filter(|date| date.abs() < 1e12);
    let (Some(nbf), Some(exp)) = (date("nbf"), date("exp")) else { return Err(RequestObjectError::TimesMissing) };
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact in a double")]
    let (now, ahead, life) = (now.seconds() as f64, MAX_AHEAD as f64, MAX_LIFE as f64);
    if nbf > now + ahead || nbf < now - life {
        return Err(RequestObjectError::NotYet);
    }
    if now >= exp || exp - nbf > life {
        return Err(RequestObjectError::Expired);
    }
    let nested = ["request", "request_uri"].iter().any(|name| claims.contains_key(*name));
    if nested { Err(RequestObjectError::Nested) } else { Ok(()) }
}

/// The parameters among the claims, each as it would stand in a form.
fn parameters(claims: Map<String, Value>) -> Result<Form, RequestObjectError> {
    const OF_THE_JWT: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
    let mut pairs = Vec::new();
    for (name, value) in claims {
        if OF_THE_JWT.contains(&name.as_str()) {
            continue;
        }
        match (name.as_str(), value) {
            (_, Value::String(text)) => pairs.push((name, text)),
            ("resource", Value::Array(items)) => {
                for item in items {
                    let text = item.as_str().ok_or(RequestObjectError::Parameter)?;
                    pairs.push((name.clone(), text.to_owned()));
                }
            }
            ("authorization_details", value) => pairs.push((name, value.to_string())),
            // Parameters that are not ours may be anything.
            (name, _) if KNOWN.contains(&name) => return Err(RequestObjectError::Parameter),
            _ => {}
        }
    }
    Ok(Form::of(pairs))
}

/// The parameters of a request that this server reads, which are texts.
const KNOWN: [&str; 10] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "prompt",
    "redirect_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];
