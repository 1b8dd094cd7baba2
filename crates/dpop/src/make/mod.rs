//! Making proofs (RFC 9449 §4.2).

mod jti;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::ath::Ath;
use crate::htu::{Htu, HtuError};
use crate::jose::{Jkt, ProofSigner, SignError, encode_array, encode_base64url, encode_to};
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
        let mut text = self.signing_input(request, now)?;
        let signature = self.signer.sign(text.as_bytes()).await?;
        append_signature(&mut text, &signature);
        Ok(text)
    }

    /// Makes a proof at `now` with a signer that answers at once, like [`SoftwareKey`](crate::jose::SoftwareKey).
    ///
    /// # Errors
    /// See [`MakeError`]; `Sign` when the signer takes its time.
    pub fn make_now(&self, request: &ProofRequest<'_>, now: Timestamp) -> Result<String, MakeError> {
        let mut text = self.signing_input(request, now)?;
        let signature = match self.signer.sign(text.as_bytes()).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(signature) => signature?,
            Poll::Pending => return Err(SignError::KeyUnavailable(String::from("it does not sign at once")).into()),
        };
        append_signature(&mut text, &signature);
        Ok(text)
    }

    fn signing_input(&self, request: &ProofRequest<'_>, now: Timestamp) -> Result<String, MakeError> {
        let payload = claims(request, &sent_htu(request.url)?, &jti::draw()?, now).ok_or(SignError::Failed)?;
        let mut text = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + ROOM_FOR_SIGNATURE);
        text.push_str(&self.header);
        encode_to(payload, &mut text);
        Ok(text)
    }
}

/// The claims in the order in which RFC 9449 shows them, as JSON. Text and numbers only: there is nothing in it that
/// could not be written.
fn claims(request: &ProofRequest<'_>, htu: &str, jti: &[u8; 16], now: Timestamp) -> Option<Vec<u8>> {
    let nonce_length = request.nonce.map_or(0, str::len);
    let mut json = Vec::with_capacity(ROOM_FOR_CLAIMS + request.method.len() + htu.len() + nonce_length);
    json.extend_from_slice(br#"{"jti":""#);
    json.extend_from_slice(&encode_array::<22>(jti)?);
    json.extend_from_slice(br#"","htm":"#);
    serde_json::to_writer(&mut json, request.method).ok()?;
    json.extend_from_slice(br#","htu":"#);
    serde_json::to_writer(&mut json, htu).ok()?;
    json.extend_from_slice(br#","iat":"#);
    serde_json::to_writer(&mut json, &now.seconds()).ok()?;
    if let Some(token) = request.token {
        json.extend_from_slice(br#","ath":""#);
        json.extend_from_slice(Ath::of(token).text()?);
        json.push(b'"');
    }
    if let Some(nonce) = request.nonce {
        json.extend_from_slice(br#","nonce":"#);
        serde_json::to_writer(&mut json, nonce).ok()?;
    }
    json.push(b'}');
    Some(json)
}

/// What the claims take beside method, target and nonce.
const ROOM_FOR_CLAIMS: usize = 160;
/// Enough for all signatures but RSA's and ML-DSA's.
const ROOM_FOR_SIGNATURE: usize = 192;

fn append_signature(text: &mut String, signature: &[u8]) {
    text.push('.');
    encode_to(signature, text);
}

/// `url` without user information, query and fragment, as an HTTP client sends it.
fn sent_htu(url: &str) -> Result<String, HtuError> {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = url[..end].split_once("://").ok_or(HtuError::NotAbsolute)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // Some URL parsers end the host at a back-slash: which server is meant would be a matter of opinion.
    if authority.contains('\\') {
        return Err(HtuError::Character);
    }
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host_and_port)| host_and_port);
    let default_port = if scheme.eq_ignore_ascii_case("http") { ":80" } else { ":443" };
    let without_port = host_and_port.strip_suffix(default_port).or_else(|| host_and_port.strip_suffix(':'));
    let mut htu = String::with_capacity(url.len() + 1);
    for part in [scheme, "://", without_port.unwrap_or(host_and_port)] {
        htu.push_str(part);
    }
    htu.make_ascii_lowercase();
    htu.push_str(if path.is_empty() { "/" } else { path });
    Htu::parse(&htu)?;
    Ok(htu)
}

#[cfg(test)]
mod tests;
