//! Which issuers are trusted, and where their keys come from.

use std::path::Path;

use countersign_dpop::jose::{Algorithms, JwkSet, JwkSetError};
use countersign_dpop::{HtuError, PublicOrigin, PublicOriginError};

use crate::fetch::MAX_BODY_LENGTH;
use crate::issuer::introspection::Introspection;

/// One trusted issuer of access tokens.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    pub(crate) issuer: String,
    pub(crate) keys: KeySource,
    pub(crate) introspection: Option<Introspection>,
    pub(crate) algorithms: Algorithms,
    pub(crate) audiences: Vec<String>,
    pub(crate) types: Vec<String>,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum KeySource {
    Fixed(JwkSet),
    Metadata,
    Url(String),
}

/// Why an issuer cannot be configured so.
#[derive(Debug, thiserror::Error)]
pub enum IssuerConfigError {
    /// The issuer identifier is not an https URL without query and fragment (RFC 8414 §2).
    #[error("the issuer {issuer:?} is not usable: {fault}")]
    Issuer {
        /// The identifier.
        issuer: String,
        /// What is wrong.
        fault: PublicOriginError,
    },
    /// The address of the key set is not an https URL.
    #[error("the key set's address {url:?} is not usable: {fault}")]
    KeySetUrl {
        /// The address.
        url: String,
        /// What is wrong.
        fault: PublicOriginError,
    },
    /// The address for introspection is not an https URL.
    #[error("the introspection endpoint {url:?} is not usable: {fault}")]
    IntrospectionUrl {
        /// The address.
        url: String,
        /// What is wrong.
        fault: PublicOriginError,
    },
    /// The file with the key set cannot be read.
    #[error("the key set {path} cannot be read: {fault}")]
    File {
        /// The path.
        path: String,
        /// What is wrong.
        fault: std::io::Error,
    },
    /// The file is larger than a key set may be.
    #[error("the key set {path} is larger than {MAX_BODY_LENGTH} bytes")]
    FileTooLarge {
        /// The path.
        path: String,
    },
    /// The file does not hold a usable key set.
    #[error("the key set {path} is not usable: {fault}")]
    KeySet {
        /// The path.
        path: String,
        /// What is wrong.
        fault: JwkSetError,
    },
    /// The issuer is listed twice.
    #[error("the issuer {issuer:?} is listed twice")]
    Repeated {
        /// The identifier.
        issuer: String,
    },
    /// No issuer at all: nothing could ever be accepted.
    #[error("no issuer is configured")]
    None,
}

impl IssuerConfig {
    /// An issuer whose keys are found through its metadata, by RFC 8414 or OpenID Connect Discovery.
    ///
    /// `issuer` is compared exactly with `iss` in tokens and `issuer` in the metadata, a slash at the end included.
    ///
    /// # Errors
    /// [`IssuerConfigError::Issuer`].
    pub fn discovered(issuer: impl Into<String>) -> Result<Self, IssuerConfigError> {
        Self::with_source(issuer.into(), KeySource::Metadata)
    }

    /// An issuer whose key set stands at `url`.
    ///
    /// # Errors
    /// [`IssuerConfigError::Issuer`] or [`IssuerConfigError::KeySetUrl`].
    pub fn with_key_set_url(issuer: impl Into<String>, url: impl Into<String>) -> Result<Self, IssuerConfigError> {
        let url = url.into();
        check_url(&url).map_err(|fault| IssuerConfigError::KeySetUrl { url: url.clone(), fault })?;
        Self::with_source(issuer.into(), KeySource::Url(url))
    }

    /// An issuer with these keys and no others, for instance those of [`JwkSet::parse`].
    ///
    /// # Errors
    /// [`IssuerConfigError::Issuer`].
    pub fn with_key_set(issuer: impl Into<String>, keys: JwkSet) -> Result<Self, IssuerConfigError> {
        Self::with_source(issuer.into(), KeySource::Fixed(keys))
    }

    /// An issuer with the keys of the JWK Set in the file at `path`, which is read once, now.
    ///
    /// # Errors
    /// All but `KeySetUrl` of [`IssuerConfigError`].
    pub fn with_key_set_file(issuer: impl Into<String>, path: &Path) -> Result<Self, IssuerConfigError> {
        Self::with_source(issuer.into(), KeySource::Fixed(read_key_set(path)?))
    }

    /// An issuer that is asked about each of its tokens (RFC 7662), be they JWTs or opaque.
    ///
    /// # Errors
    /// [`IssuerConfigError::Issuer`].
    pub fn introspected(issuer: impl Into<String>, asking: Introspection) -> Result<Self, IssuerConfigError> {
        let keys = KeySource::Fixed(JwkSet::from_keys(Vec::new()));
        Ok(Self { introspection: Some(asking), ..Self::with_source(issuer.into(), keys)? })
    }

    /// Accepts tokens signed by these algorithms only. All are accepted otherwise; RFC 9068 §2.1 asks for RS256.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// Also takes tokens of this issuer for `audience`; once given, the resource's own identifier is no longer
    /// taken unless it is given too.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Also takes tokens of another `typ` than `at+jwt`, for issuers older than RFC 9068; an empty text takes
    /// tokens without `typ`. What looks like an ID token or a refresh token is refused all the same.
    #[must_use]
    pub fn with_typ(mut self, typ: &str) -> Self {
        self.types.push(media_subtype(typ));
        self
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    fn with_source(issuer: String, keys: KeySource) -> Result<Self, IssuerConfigError> {
        if let Err(fault) = PublicOrigin::parse(&issuer) {
            return Err(IssuerConfigError::Issuer { issuer, fault });
        }
        let types = vec!["at+jwt".to_owned()];
        Ok(Self { issuer, keys, introspection: None, algorithms: Algorithms::all(), audiences: Vec::new(), types })
    }
}

/// `typ` without the prefix that RFC 7515 §4.1.9 lets writers leave out, in lower case.
pub(crate) fn media_subtype(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    lower.strip_prefix("application/").map_or_else(|| lower.clone(), ToOwned::to_owned)
}

/// Makes sure that `url` is https, or http to a loopback host; its query is left alone.
pub(crate) fn check_url(url: &str) -> Result<PublicOrigin, PublicOriginError> {
    if url.contains('#') {
        return Err(PublicOriginError::QueryOrFragment);
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(HtuError::Character.into());
    }
    PublicOrigin::parse(base)
}

fn read_key_set(path: &Path) -> Result<JwkSet, IssuerConfigError> {
    let named = || path.display().to_string();
    let unreadable = |fault| IssuerConfigError::File { path: named(), fault };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if usize::try_from(length).map_or(true, |length| length > MAX_BODY_LENGTH) {
        return Err(IssuerConfigError::FileTooLarge { path: named() });
    }
    let text = std::fs::read(path).map_err(unreadable)?;
    JwkSet::parse(&text).map_err(|fault| IssuerConfigError::KeySet { path: named(), fault })
}
