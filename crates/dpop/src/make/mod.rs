//! Making proofs (RFC 9449 §4.2).

mod jti;
mod sent;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use self::sent::SentHtu;
use crate::ath::Ath;
use crate::htu::HtuError;
use crate::jose::{Jkt, ProofSigner, SignError, Signing, append_base64url_to, encode_array, encode_base64url};
use crate::time::Timestamp;

/// What a proof is to be made for.
#[derive(Clone, Copy)]
pub struct ProofRequest<'a> {
    /// The method, exactly as it will be sent.
    pub method: &'a str,
    /// The URL that will be called; query, fragment and user information are left out of `htu`.
    pub url: &'a str,
    /// The access token that goes with it; `None` at the authorization server.
    pub token: Option<&'a str>,
    /// The nonce that the server asked for.
    pub nonce: Option<&'a str>,
}

impl std::fmt::Debug for ProofRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProofRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// The same with the token's hash in place of the token: it goes with many requests and is hashed once.
#[derive(Clone, Copy)]
pub struct HashedRequest<'a> {
    /// The method, exactly as it will be sent.
    pub method: &'a str,
    /// The URL that will be called.
    pub url: &'a str,
    /// The hash of the access token that goes with it.
    pub ath: Option<&'a Ath>,
    /// The nonce that the server asked for.
    pub nonce: Option<&'a str>,
}

impl std::fmt::Debug for HashedRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashedRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Why a proof could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The URL cannot be an `htu`.
    #[error("no proof can be made for this URL: {0}")]
    Url(#[from] HtuError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// The signature could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Makes proofs with one key. Every proof gets a `jti` of 128 random bits.
#[derive(Clone, Debug)]
pub struct ProofMaker {
    signer: Arc<dyn ProofSigner>,
    jkt: Jkt,
    /// The header in base64url with the dot after it: the same for every proof.
    header: Arc<str>,
}

impl ProofMaker {
    /// Makes proofs with `signer`.
    pub fn new(signer: Arc<dyn ProofSigner>) -> Self {
        let jwk = signer.public_jwk();
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"{}","jwk":{}}}"#, signer.algorithm(), jwk.to_json());
        let mut encoded = encode_base64url(header);
        encoded.push('.');
        Self { jkt: jwk.jkt(), header: encoded.into(), signer }
    }

    /// The thumbprint of the key.
    pub const fn jkt(&self) -> &Jkt {
        &self.jkt
    }

    /// The key.
    pub fn signer(&self) -> &dyn ProofSigner {
        self.signer.as_ref()
    }

    /// Makes a proof at `now`. The text is as good as the key for one request: keep it out of logs.
    ///
    /// `htu` is the URL as it is called, in the form that HTTP clients send: scheme and host in lower case, no default
    /// port, a slash where there is no path. Servers that compare texts take it as well as those that normalise.
    ///
    /// # Errors
    /// See [`MakeError`].
    pub async fn make(&self, request: &ProofRequest<'_>, now: Timestamp) -> Result<String, MakeError> {
        let ath = request.token.map(Ath::of);
        text(self.make_hashed(&request.hashed(ath.as_ref()), now).await?)
    }

    /// The same where the token was hashed before, as bytes for a field's value; they are visible ASCII.
    ///
    /// # Errors
    /// See [`MakeError`].
    pub async fn make_hashed(&self, request: &HashedRequest<'_>, now: Timestamp) -> Result<Vec<u8>, MakeError> {
        let text = self.signing_input(request, now)?;
        let signature = match self.signer.sign_at_once(&text) {
            Some(signature) => signature?,
            None => self.signer.sign(&text).await?,
        };
        Ok(signed(text, &signature))
    }

    /// Makes a proof at `now` with a signer that answers at once, like [`SoftwareKey`](crate::jose::SoftwareKey).
    ///
    /// # Errors
    /// See [`MakeError`]; `Sign` when the signer takes its time.
    pub fn make_now(&self, request: &ProofRequest<'_>, now: Timestamp) -> Result<String, MakeError> {
        let ath = request.token.map(Ath::of);
        let input = self.signing_input(&request.hashed(ath.as_ref()), now)?;
        let signature = match self.signer.sign_at_once(&input) {
            Some(signature) => signature?,
            None => ready_by_now(&mut self.signer.sign(&input))?,
        };
        text(signed(input, &signature))
    }

    fn signing_input(&self, request: &HashedRequest<'_>, now: Timestamp) -> Result<Vec<u8>, MakeError> {
        let payload = claims(request, &SentHtu::of(request.url)?, &jti::draw()?, now).ok_or(SignError::Failed)?;
        let mut text = Vec::with_capacity(self.header.len() + payload.len() * 4 / 3 + ROOM_FOR_SIGNATURE);
        text.extend_from_slice(self.header.as_bytes());
        append_base64url_to(&payload, &mut text);
        Ok(text)
    }
}

impl<'a> ProofRequest<'a> {
    const fn hashed(&self, ath: Option<&'a Ath>) -> HashedRequest<'a> {
        HashedRequest { method: self.method, url: self.url, ath, nonce: self.nonce }
    }
}

/// The claims in the order in which RFC 9449 shows them, as JSON. Text and numbers only: there is nothing in it that
/// could not be written.
fn claims(request: &HashedRequest<'_>, htu: &SentHtu<'_>, jti: &[u8; 16], now: Timestamp) -> Option<Vec<u8>> {
    let htu = htu.as_str();
    let nonce_length = request.nonce.map_or(0, str::len);
    let mut json = Vec::with_capacity(ROOM_FOR_CLAIMS + request.method.len() + htu.len() + nonce_length);
    json.extend_from_slice(br#"{"jti":""#);
    json.extend_from_slice(&encode_array::<22>(jti)?);
    json.extend_from_slice(br#"","htm":"#);
    push_text(request.method, &mut json)?;
    json.extend_from_slice(br#","htu":""#);
    json.extend_from_slice(htu.as_bytes());
    json.extend_from_slice(br#"","iat":"#);
    serde_json::to_writer(&mut json, &now.seconds()).ok()?;
    if let Some(ath) = request.ath {
        json.extend_from_slice(br#","ath":""#);
        json.extend_from_slice(ath.text()?);
        json.push(b'"');
    }
    if let Some(nonce) = request.nonce {
        json.extend_from_slice(br#","nonce":"#);
        push_text(nonce, &mut json)?;
    }
    json.push(b'}');
    Some(json)
}

/// Appends `text` as a string of JSON. Methods, URLs and nonces hardly ever have anything to escape, which is quick to
/// see; the serializer looks at them byte by byte.
#[inline(never)]
fn push_text(text: &str, json: &mut Vec<u8>) -> Option<()> {
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        return serde_json::to_writer(json, text).ok();
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
    Some(())
}

/// What the claims take beside method, target and nonce.
const ROOM_FOR_CLAIMS: usize = 160;
/// Enough for all signatures but RSA's and ML-DSA's.
const ROOM_FOR_SIGNATURE: usize = 192;

/// The signature of a signer that takes no time, though it does not say so.
fn ready_by_now(signing: &mut Signing<'_>) -> Result<Vec<u8>, SignError> {
    match signing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(signature) => signature,
        Poll::Pending => Err(SignError::KeyUnavailable(String::from("it does not sign at once"))),
    }
}

/// The compact serialization.
fn signed(mut input: Vec<u8>, signature: &[u8]) -> Vec<u8> {
    input.push(b'.');
    append_base64url_to(signature, &mut input);
    input
}

/// It is ASCII: this cannot fail.
fn text(proof: Vec<u8>) -> Result<String, MakeError> {
    Ok(String::from_utf8(proof).map_err(|_| SignError::Failed)?)
}

#[cfg(test)]
mod tests;
