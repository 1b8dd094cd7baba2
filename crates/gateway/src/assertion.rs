//! Who the caller is, in one signed sentence for the upstream: a JWT that lives a minute, under a key of the gateway's
//! own, in place of the plain `Countersign-*` fields. An upstream that others can reach too believes nobody else.

use std::fmt;
use std::path::{Path, PathBuf};

use countersign_dpop::jose::{Algorithm, KeyFormatError, SoftwareKey, encode_base64url};
use countersign_dpop::time::Timestamp;
use countersign_resource::Access;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

/// The field that carries it.
pub(crate) const ASSERTION: HeaderName = HeaderName::from_static("countersign-assertion");
/// Seconds that one is good for.
const LIFETIME: i64 = 60;

/// That the upstream is told by an assertion, and how.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AssertionSettings {
    /// The audience; the upstream's URL when absent.
    pub audience: Option<String>,
    /// File with the private key (PEM or JWK), for gateways side by side; a new key for each start when absent.
    pub key: Option<PathBuf>,
}

/// Why there is no key to sign with. Shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum AssertionKeyError {
    /// The file cannot be read.
    #[error("{path}: {fault}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: std::io::Error,
    },
    /// The file has no key, or none can be made.
    #[error("the key for assertions cannot be used: {0}")]
    Key(#[from] KeyFormatError),
}

/// Signs assertions.
pub(crate) struct Assertions {
    issuer: String,
    audience: Option<String>,
    key: SoftwareKey,
    /// Encoded once: it is the same each time.
    header: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    /// Who issued the token that the caller showed.
    token_issuer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

#[derive(Serialize)]
struct Confirmation {
    jkt: String,
}

impl Assertions {
    /// Reads or makes the key. `issuer` is the public origin.
    ///
    /// # Errors
    /// [`AssertionKeyError`].
    pub(crate) fn new(settings: &AssertionSettings, issuer: &str) -> Result<Self, AssertionKeyError> {
        let key = match &settings.key {
            Some(path) => read(path)?,
            None => SoftwareKey::generate(Algorithm::Es256)?,
        };
        let header = format!(
            r#"{{"typ":"countersign-assertion+jwt","alg":"{}","kid":"{}"}}"#,
            key.algorithm().name(),
            key.public_jwk().jkt()
        );
        let header = encode_base64url(header);
        Ok(Self { issuer: issuer.to_owned(), audience: settings.audience.clone(), key, header })
    }

    /// The assertion for `upstream`; `None` when it cannot be signed.
    pub(crate) fn make(&self, access: &Access, upstream: &str, now: Timestamp) -> Option<HeaderValue> {
        let claims = Claims {
            iss: &self.issuer,
            aud: self.audience.as_deref().unwrap_or(upstream),
            iat: now.seconds(),
            // Not past the token's own end.
            exp: now.plus(LIFETIME).min(access.expires()).seconds(),
            sub: access.subject(),
            client_id: access.client_id(),
            scope: access.scope(),
            token_issuer: access.issuer(),
            cnf: access.jkt().map(|jkt| Confirmation { jkt: jkt.to_string() }),
        };
        let claims = serde_json::to_string(&claims).ok()?;
        let mut text = format!("{}.{}", self.header, encode_base64url(claims));
        let signature = self.key.sign_now(text.as_bytes()).ok()?;
        text.push('.');
        text.push_str(&encode_base64url(signature));
        HeaderValue::from_str(&text).ok()
    }

    /// The JWK Set (RFC 7517 §5) that assertions are checked by.
    pub(crate) fn key_set(&self) -> String {
        let (public, algorithm) = (self.key.public_jwk(), self.key.algorithm().name());
        let members = public.to_json();
        let members = members.trim_start_matches('{');
        format!(r#"{{"keys":[{{"kid":"{}","use":"sig","alg":"{algorithm}",{members}]}}"#, public.jkt())
    }
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertions").field("kid", &self.key.public_jwk().jkt()).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<SoftwareKey, AssertionKeyError> {
    let fault = |fault| AssertionKeyError::File { path: path.to_owned(), fault };
    let text = zeroize::Zeroizing::new(std::fs::read(path).map_err(fault)?);
    Ok(SoftwareKey::from_text(&text, None)?)
}
