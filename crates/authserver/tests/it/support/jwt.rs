//! Proofs and assertions, member by member: one thing can be wrong while everything else is right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_dpop::jose::{SoftwareKey, encode_base64url};
use serde_json::{Value, json};

use super::{ISSUER, TOKEN_URL, jwk};

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

fn unique_id() -> String {
    format!("id-{}", NEXT_ID.fetch_add(1, Ordering::Relaxed))
}

/// Signs header and claims as they stand.
pub(crate) fn sign(key: &SoftwareKey, header: &Value, claims: &Value) -> String {
    let input = format!("{}.{}", encode_base64url(header.to_string()), encode_base64url(claims.to_string()));
    let signature = encode_base64url(key.sign_now(input.as_bytes()).unwrap());
    format!("{input}.{signature}")
}

/// A proof for the token endpoint.
#[derive(Clone)]
pub(crate) struct Proof<'a> {
    key: &'a SoftwareKey,
    header: Value,
    claims: Value,
}

impl<'a> Proof<'a> {
    pub(crate) fn new(key: &'a SoftwareKey, now: i64) -> Self {
        let header = json!({ "typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": jwk(key) });
        let claims = json!({ "jti": unique_id(), "htm": "POST", "htu": TOKEN_URL, "iat": now });
        Self { key, header, claims }
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub(crate) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(crate) fn text(&self) -> String {
        sign(self.key, &self.header, &self.claims)
    }
}

/// A client assertion.
#[derive(Clone)]
pub(crate) struct Assertion {
    key: Arc<SoftwareKey>,
    header: Value,
    claims: Value,
}

impl Assertion {
    pub(crate) fn new(key: Arc<SoftwareKey>, client: &str, now: i64) -> Self {
        let header = json!({ "typ": "JWT", "alg": key.algorithm().name() });
        let claims = json!({
            "iss": client, "sub": client, "aud": ISSUER, "jti": unique_id(), "iat": now, "exp": now + 60,
        });
        Self { key, header, claims }
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    pub(crate) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(crate) fn text(&self) -> String {
        sign(&self.key, &self.header, &self.claims)
    }
}

/// The text with one character of its signature changed.
pub(crate) fn with_bad_signature(text: &str) -> String {
    let (input, signature) = text.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{input}.{first}{}", &signature[1..])
}
