//! One question and its answer (RFC 7662 §2.1, §2.2).

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_dpop::error::TokenError;
use countersign_dpop::jose::{JsonLimits, encode_base64url, from_strict_json, sign_compact};
use countersign_dpop::time::Timestamp;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Introspection, IntrospectionCredential};
use crate::fetch::{Fetch, FetchError, MAX_BODY_LENGTH};
use crate::issuer::KeysError;
use crate::token::AccessToken;

/// Seconds for which an assertion is good.
const ASSERTION_LIFE: i64 = 60;
const ASSERTION_TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

/// What the issuer said of a token.
#[derive(Clone, Debug)]
pub(in crate::issuer) enum Answer {
    /// It is good, as far as the issuer is concerned.
    Active(Arc<AccessToken>),
    /// It is not active, or what is said of it cannot be believed.
    Refused(TokenError),
}

/// Asks `endpoint` about `token`.
pub(super) async fn ask(
    issuer: &Arc<str>,
    asking: &Introspection,
    endpoint: &str,
    token: &SecretString,
    fetch: &dyn Fetch,
    now: Timestamp,
) -> Result<Answer, KeysError> {
    let request = request(issuer, asking, endpoint, token, now).await?;
    let failed = |fault| KeysError::Fetch { url: endpoint.to_owned(), fault };
    let answer = fetch.fetch(request).await.map_err(failed)?;
    if matches!(answer.status(), StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE) {
        // About this token and no other: it must not become a pause for everybody.
        return Ok(Answer::Refused(TokenError::Inactive));
    }
    if answer.status() != StatusCode::OK {
        return Err(KeysError::Status { url: endpoint.to_owned(), status: answer.status().as_u16() });
    }
    if answer.body().len() > MAX_BODY_LENGTH {
        return Err(failed(FetchError::TooLarge));
    }
    read(issuer, answer.body(), asking.cache, now)
        .map_err(|reason| KeysError::Introspection { url: endpoint.to_owned(), reason })
}

async fn request(
    issuer: &str,
    asking: &Introspection,
    endpoint: &str,
    token: &SecretString,
    now: Timestamp,
) -> Result<Request<Bytes>, KeysError> {
    let mut form = Zeroizing::new(String::from("token="));
    push_encoded(&mut form, token.expose_secret());
    form.push_str("&token_type_hint=access_token");
    let mut request = Request::post(endpoint)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    match &asking.credential {
        IntrospectionCredential::SecretBasic(secret) => {
            request = request.header(AUTHORIZATION, basic(&asking.client_id, secret).ok_or_else(|| unsent(endpoint))?);
        }
        IntrospectionCredential::PrivateKeyJwt { .. } => {
            let assertion = assertion(issuer, asking, now).await.ok_or_else(|| unsent(endpoint))?;
            form.push_str("&client_id=");
            push_encoded(&mut form, &asking.client_id);
            form.push_str("&client_assertion_type=");
            form.push_str(ASSERTION_TYPE);
            form.push_str("&client_assertion=");
            form.push_str(&assertion);
        }
    }
    request.body(Bytes::copy_from_slice(form.as_bytes())).map_err(|_| unsent(endpoint))
}

fn unsent(endpoint: &str) -> KeysError {
    KeysError::Introspection { url: endpoint.to_owned(), reason: "the request cannot be made".to_owned() }
}

/// `Authorization` with name and secret, both form-encoded first (RFC 6749 §2.3.1).
fn basic(client_id: &str, secret: &SecretString) -> Option<HeaderValue> {
    let mut pair = Zeroizing::new(String::new());
    push_encoded(&mut pair, client_id);
    pair.push(':');
    push_encoded(&mut pair, secret.expose_secret());
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A fresh assertion; `None` when there is no randomness or the key does not sign.
async fn assertion(issuer: &str, asking: &Introspection, now: Timestamp) -> Option<String> {
    let IntrospectionCredential::PrivateKeyJwt { signer, kid } = &asking.credential else { return None };
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let mut header = json!({ "typ": "JWT", "alg": signer.algorithm().name() });
    if let Some(kid) = kid {
        header["kid"] = json!(kid);
    }
    let claims = json!({
        "iss": asking.client_id, "sub": asking.client_id, "aud": issuer, "jti": encode_base64url(random),
        "iat": now.seconds(), "exp": now.plus(ASSERTION_LIFE).seconds(),
    });
    sign_compact(signer.as_ref(), &header.to_string(), &claims.to_string()).await.ok()
}

/// `application/x-www-form-urlencoded`, with everything encoded that is not unreserved.
fn push_encoded(form: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            form.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(form, "%{byte:02X}");
        }
    }
}

/// Reads an answer. What cannot be an introspection answer is the issuer's fault and says nothing of the token.
fn read(issuer: &Arc<str>, body: &[u8], cache: i64, now: Timestamp) -> Result<Answer, String> {
    let mut members: Map<String, Value> =
        from_strict_json(body, JsonLimits::DOCUMENT).map_err(|fault| fault.to_string())?;
    match members.get("active") {
        Some(Value::Bool(true)) => (),
        Some(Value::Bool(false)) => return Ok(Answer::Refused(TokenError::Inactive)),
        Some(_) | None => return Err("active is absent or no truth value".to_owned()),
    }
    if let Some(fault) = foreign(issuer, &members) {
        return Ok(Answer::Refused(fault));
    }
    // An answer may leave out when the token ends (RFC 7662 §2.2); it is good for as long as the answer is.
    members.entry("exp").or_insert_with(|| json!(now.plus(cache.max(1)).seconds()));
    let payload = serde_json::to_string(&members).map_err(|fault| fault.to_string())?;
    Ok(AccessToken::from_claims(issuer, &members, payload.into())
        .map_or_else(Answer::Refused, |token| Answer::Active(Arc::new(token))))
}

/// What is active but no access token of this issuer: refresh tokens are active too, and so are ID tokens at some.
fn foreign(issuer: &str, members: &Map<String, Value>) -> Option<TokenError> {
    match members.get("iss") {
        None => (),
        Some(Value::String(iss)) if iss == issuer => (),
        Some(other) => return Some(TokenError::IssuerUnknown { found: other.as_str().map(crate::token::shorten) }),
    }
    for (member, known) in [
        ("token_type", &["bearer", "dpop", "access_token", "urn:ietf:params:oauth:token-type:access_token"][..]),
        ("token_use", &["access_token", "access"]),
        ("typ", &["bearer", "dpop", "at+jwt", "jwt", "access_token"]),
    ] {
        match members.get(member) {
            None => (),
            Some(Value::String(kind)) if known.contains(&kind.to_ascii_lowercase().as_str()) => (),
            Some(kind) => return Some(TokenError::TypMismatch { found: kind.as_str().map(crate::token::shorten) }),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_secret_are_form_encoded_before_they_are_joined() {
        let value = basic("a:b", &SecretString::from("ü %")).unwrap();
        assert!(value.is_sensitive());
        let pair = STANDARD.decode(value.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"a%3Ab:%C3%BC%20%25");
    }
}
