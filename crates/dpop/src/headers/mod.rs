//! The header fields that carry token, proof and nonce (RFC 9449 §4.1, §7.1, §8.1).

#[cfg(test)]
mod tests;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use simdutf8::basic::from_utf8;

use crate::error::CredentialsError;
use crate::scan;

/// `DPoP`: the proof.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
/// `DPoP-Nonce`: the nonce for the next proof.
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// What a request to a resource presents. `Debug` says which scheme, never the token.
#[derive(Clone, Copy)]
pub enum Credentials<'a, Token = &'a str, Proof = &'a str> {
    /// No `Authorization` field, or one of a scheme that is not ours. A proof alone is no credential.
    None,
    /// The `DPoP` scheme with its proof.
    Dpop {
        /// The access token.
        token: Token,
        /// The proof, not looked into.
        proof: Proof,
    },
    /// The `Bearer` scheme.
    Bearer {
        /// The access token.
        token: Token,
        /// A proof that was sent all the same.
        proof: Option<&'a str>,
    },
}

impl<Token, Proof> std::fmt::Debug for Credentials<'_, Token, Proof> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Dpop { .. } => "Dpop",
            Self::Bearer { .. } => "Bearer",
        })
    }
}

/// Reads the proof of a request: `None` when there is no `DPoP` field.
///
/// # Errors
/// [`CredentialsError::ProofRepeated`] for a second field, whatever it holds; [`CredentialsError::ProofNotText`] for
/// anything but visible ASCII without commas, surrounding blanks aside.
pub fn read_proof(headers: &HeaderMap) -> Result<Option<&str>, CredentialsError> {
    proof_text(headers)?.map(ProofText::read).transpose()
}

fn proof_text(headers: &HeaderMap) -> Result<Option<ProofText<'_>>, CredentialsError> {
    let field = only_field(headers, &DPOP).map_err(|Repeated| CredentialsError::ProofRepeated)?;
    Ok(field.map(|field| ProofText(trim_blanks(field.as_bytes()))))
}

/// Reads token and proof of a request to a resource.
///
/// The scheme is read in any letter case and followed by one or more spaces, as `1*SP` of RFC 9110 §11.4 has it; a
/// tab is no space. The token is `token68` and nothing follows it. Without a token of ours a proof is not looked at.
///
/// # Errors
/// See [`CredentialsError`].
pub fn read_credentials(headers: &HeaderMap) -> Result<Credentials<'_>, CredentialsError> {
    Ok(match read_credentials_by(headers, TokenText::read)? {
        Credentials::None => Credentials::None,
        Credentials::Dpop { token, proof } => Credentials::Dpop { token, proof: proof.read()? },
        Credentials::Bearer { token, proof } => Credentials::Bearer { token, proof },
    })
}

/// [`read_credentials`], with a way of one's own to read the token: who knows its bytes need not look at each again. Nor
/// are those of the proof looked at. Who is going to refuse the request has to do that first ([`ProofText::read`]), so
/// that it is refused for the first of its faults.
///
/// # Errors
/// As there, but for a proof of other characters, and what `read_token` says.
pub fn read_credentials_by<'a, Token>(
    headers: &'a HeaderMap,
    read_token: impl FnOnce(TokenText<'a>) -> Result<Token, CredentialsError>,
) -> Result<Credentials<'a, Token, ProofText<'a>>, CredentialsError> {
    let field = only_field(headers, &AUTHORIZATION).map_err(|Repeated| CredentialsError::AuthorizationRepeated)?;
    let Some(field) = field else {
        return Ok(Credentials::None);
    };
    let value = trim_blanks(field.as_bytes());
    let (scheme, rest) = value.split_at(value.iter().position(|byte| !is_tchar(*byte)).unwrap_or(value.len()));
    if scheme.eq_ignore_ascii_case(b"DPoP") {
        let token = read_token(TokenText::after_scheme(rest)?)?;
        let proof = proof_text(headers)?.ok_or(CredentialsError::ProofMissing)?;
        Ok(Credentials::Dpop { token, proof })
    } else if scheme.eq_ignore_ascii_case(b"Bearer") {
        Ok(Credentials::Bearer { token: read_token(TokenText::after_scheme(rest)?)?, proof: read_proof(headers)? })
    } else {
        Ok(Credentials::None)
    }
}

/// What stands where a request has its access token. Its characters have not been looked at.
#[derive(Clone, Copy)]
pub struct TokenText<'a>(&'a [u8]);

impl<'a> TokenText<'a> {
    fn after_scheme(rest: &'a [u8]) -> Result<Self, CredentialsError> {
        let token = rest.trim_ascii_start();
        let blanks = &rest[..rest.len() - token.len()];
        let is_set_off = !blanks.is_empty() && blanks.iter().all(|byte| *byte == b' ');
        is_set_off.then_some(Self(token)).ok_or(CredentialsError::TokenMalformed)
    }

    /// These bytes, whatever they are.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The token, which is `token68` (RFC 9110 §11.2).
    ///
    /// # Errors
    /// [`CredentialsError::TokenMalformed`] for anything else.
    pub fn read(self) -> Result<&'a str, CredentialsError> {
        if is_token68(self.0) { self.read_again() } else { Err(CredentialsError::TokenMalformed) }
    }

    /// The token, whose bytes were [read](TokenText::read) before.
    ///
    /// # Errors
    /// [`CredentialsError::TokenMalformed`] for what is no text, and so was not.
    pub fn read_again(self) -> Result<&'a str, CredentialsError> {
        from_utf8(self.0).map_err(|_| CredentialsError::TokenMalformed)
    }
}

impl std::fmt::Debug for TokenText<'_> {
    /// Never the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenText").field("length", &self.0.len()).finish_non_exhaustive()
    }
}

/// What stands where a request has its proof. Its characters have not been looked at.
///
/// One that parses ([`Proof::parse_among`](crate::Proof::parse_among)) is base64url with dots and needs no look.
#[derive(Clone, Copy)]
pub struct ProofText<'a>(&'a [u8]);

impl<'a> ProofText<'a> {
    /// Its bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The proof, which is visible ASCII without commas. A comma joins fields (RFC 9110 §5.3), so a value that holds one
    /// may have been two fields on its way here.
    ///
    /// # Errors
    /// [`CredentialsError::ProofNotText`] for anything else.
    pub fn read(self) -> Result<&'a str, CredentialsError> {
        if self.0.is_empty() || !scan::all(self.0, |byte| byte.is_ascii_graphic() && byte != b',') {
            return Err(CredentialsError::ProofNotText);
        }
        from_utf8(self.0).map_err(|_| CredentialsError::ProofNotText)
    }
}

impl std::fmt::Debug for ProofText<'_> {
    /// Never the proof.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProofText").field("length", &self.0.len()).finish_non_exhaustive()
    }
}

/// Reads the nonce that a server gives for the next proof (RFC 9449 §8.1): `None` when there is no `DPoP-Nonce`
/// field.
///
/// # Errors
/// [`NonceFieldError`] for a second field, and for a value that no nonce has or that is longer than
/// [`MAX_NONCE_LENGTH`].
pub fn read_nonce(headers: &HeaderMap) -> Result<Option<&str>, NonceFieldError> {
    let Some(field) = only_field(headers, &DPOP_NONCE).map_err(|Repeated| NonceFieldError::Repeated)? else {
        return Ok(None);
    };
    let nonce = trim_blanks(field.as_bytes());
    let is_nqchar = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"' && *byte != b'\\';
    if nonce.is_empty() || nonce.len() > MAX_NONCE_LENGTH || !nonce.iter().all(is_nqchar) {
        return Err(NonceFieldError::NotANonce);
    }
    std::str::from_utf8(nonce).map(Some).map_err(|_| NonceFieldError::NotANonce)
}

/// The longest nonce that a client takes from a server, in bytes.
pub const MAX_NONCE_LENGTH: usize = 1_024;

/// What is wrong with the `DPoP-Nonce` field of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NonceFieldError {
    /// Empty, too long, or with a character outside `NQCHAR` (RFC 9449 §8.1).
    #[error("the DPoP-Nonce field does not hold a nonce")]
    NotANonce,
    /// More than one field.
    #[error("more than one DPoP-Nonce field")]
    Repeated,
}

struct Repeated;

fn only_field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Repeated> {
    let mut fields = headers.get_all(name).iter();
    let first = fields.next();
    if fields.next().is_some() { Err(Repeated) } else { Ok(first) }
}

/// `token68` of RFC 9110 §11.2.
pub(crate) fn is_token68(text: &[u8]) -> bool {
    let unpadded = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    unpadded > 0 && scan::all(&text[..unpadded], is_token68_byte)
}

/// `-`, `.`, `/` and the digits follow one another.
const fn is_token68_byte(byte: u8) -> bool {
    matches!(byte, b'-'..=b'9' | b'_' | b'~' | b'+') || byte.is_ascii_alphabetic()
}

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Without the optional white space of RFC 9110 §5.6.3 around it.
fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
