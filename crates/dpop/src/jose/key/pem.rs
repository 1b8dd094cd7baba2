//! PEM (RFC 7468) around one private key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::jose::KeyFormatError;

/// The one private key of a PEM text.
pub(super) struct Pem {
    pub(super) form: Form,
    pub(super) der: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy)]
pub(super) enum Form {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
    /// `RSA PRIVATE KEY` (RFC 8017).
    Pkcs1,
}

/// Finds the one private key among the blocks of `text`; `EC PARAMETERS`, which OpenSSL writes before a key, public
/// keys and certificates beside it are passed over. Two private keys are refused: nobody can tell which is meant.
pub(super) fn read(text: &[u8]) -> Result<Pem, KeyFormatError> {
    let mut rest = std::str::from_utf8(text).map_err(|_| KeyFormatError::NotAKey)?;
    let mut found = None;
    let mut public = false;
    while let Some((label, body, after)) = next_block(rest) {
        rest = after;
        let form = match label {
            "PRIVATE KEY" => Form::Pkcs8,
            "EC PRIVATE KEY" => Form::Sec1,
            "RSA PRIVATE KEY" => Form::Pkcs1,
            "ENCRYPTED PRIVATE KEY" => return Err(KeyFormatError::Encrypted),
            _ if label.ends_with("PRIVATE KEY") => return Err(KeyFormatError::Unusable),
            _ => {
                public |= label.ends_with("PUBLIC KEY") || label == "CERTIFICATE";
                continue;
            }
        };
        // OpenSSL's own form before PKCS#8 (RFC 1421 §4.6.1.1).
        if body.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyFormatError::Encrypted);
        }
        let pem = Pem { form, der: decode(body)? };
        if found.replace(pem).is_some() {
            return Err(KeyFormatError::NotAKey);
        }
    }
    found.ok_or(if public { KeyFormatError::PublicOnly } else { KeyFormatError::NotAKey })
}

/// The label and body of the next block, and what follows it.
fn next_block(text: &str) -> Option<(&str, &str, &str)> {
    let (_, text) = text.split_once("-----BEGIN ")?;
    let (label, text) = text.split_once("-----")?;
    let (body, text) = text.split_once("-----END ")?;
    let text = text.strip_prefix(label)?.strip_prefix("-----")?;
    Some((label, body, text))
}

fn decode(body: &str) -> Result<Zeroizing<Vec<u8>>, KeyFormatError> {
    // Reserved at once, so that growing leaves no copies of the key behind.
    let mut packed = Zeroizing::new(Vec::with_capacity(body.len()));
    packed.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; packed.len().div_ceil(4) * 3]);
    let length = STANDARD.decode_slice(packed.as_slice(), &mut der).map_err(|_| KeyFormatError::NotAKey)?;
    der.truncate(length);
    Ok(der)
}
