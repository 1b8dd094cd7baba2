//! Finding an issuer's key set: RFC 8414 and OpenID Connect Discovery 1.0.

use std::sync::Arc;

use bytes::Bytes;
use countersign_dpop::PublicOrigin;
use countersign_dpop::jose::{JsonLimits, JwkSet, JwkSetError, from_strict_json};
use http::{Request, StatusCode};
use serde::Deserialize;

use crate::fetch::{Fetch, FetchError, MAX_BODY_LENGTH};
use crate::issuer::config::{KeySource, check_url};

/// Why an issuer's keys could not be had.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeysError {
    /// No answer.
    #[error("{url}: {fault}")]
    Fetch {
        /// What was asked.
        url: String,
        /// What went wrong.
        fault: FetchError,
    },
    /// An answer that is not 200, a redirect included.
    #[error("{url} answers {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// The metadata is not the JSON object it has to be.
    #[error("{url} is not issuer metadata: {reason}")]
    Metadata {
        /// What was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The metadata is another issuer's (RFC 8414 §3.3).
    #[error("{url} is the metadata of another issuer")]
    IssuerMismatch {
        /// What was asked.
        url: String,
    },
    /// The key set is not usable.
    #[error("{url} is not a usable key set: {fault}")]
    KeySet {
        /// What was asked.
        url: String,
        /// What is wrong.
        fault: JwkSetError,
    },
    /// What came back is no introspection answer (RFC 7662 §2.2), or the question could not be made.
    #[error("{url} gives no introspection answer: {reason}")]
    Introspection {
        /// What was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Too many questions are under way at the issuer.
    #[error("too many questions are under way")]
    TooMany,
    /// The fetch ended without an answer because it broke down.
    #[error("the fetch broke down")]
    Broken,
    /// Nothing was fetched yet.
    #[error("not fetched yet")]
    Pending,
}

impl KeysError {
    /// True when the issuer as a whole is of no use, rather than one answer of it.
    pub(crate) const fn is_away(&self) -> bool {
        match self {
            Self::Fetch { fault: FetchError::TooLarge, .. } | Self::Introspection { .. } | Self::TooMany => false,
            Self::Fetch { .. }
            | Self::Status { .. }
            | Self::Metadata { .. }
            | Self::IssuerMismatch { .. }
            | Self::KeySet { .. }
            | Self::Broken
            | Self::Pending => true,
        }
    }
}

/// Fetches the keys of `issuer`.
pub(super) async fn load(issuer: &str, source: &KeySource, fetch: &Arc<dyn Fetch>) -> Result<JwkSet, KeysError> {
    let url = match source {
        KeySource::Fixed(keys) => return Ok(keys.clone()),
        KeySource::Metadata => discover(issuer, fetch, Wanted::Keys).await?,
        KeySource::Url(url) => url.clone(),
    };
    let body = get(&url, fetch).await?;
    JwkSet::parse(&body).map_err(|fault| KeysError::KeySet { url, fault })
}

/// Finds where `issuer` answers questions about tokens.
pub(super) async fn introspection_endpoint(issuer: &str, fetch: &Arc<dyn Fetch>) -> Result<String, KeysError> {
    discover(issuer, fetch, Wanted::Introspection).await
}

/// What the metadata is read for.
#[derive(Clone, Copy)]
enum Wanted {
    Keys,
    Introspection,
}

#[derive(Deserialize)]
struct IssuerMetadata {
    issuer: String,
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
}

impl Wanted {
    fn of(self, metadata: IssuerMetadata) -> (&'static str, Option<String>) {
        match self {
            Self::Keys => ("jwks_uri", metadata.jwks_uri),
            Self::Introspection => ("introspection_endpoint", metadata.introspection_endpoint),
        }
    }
}

/// Asks the well-known places one after the other for an address.
async fn discover(issuer: &str, fetch: &Arc<dyn Fetch>, wanted: Wanted) -> Result<String, KeysError> {
    let mut first_fault = None;
    for url in metadata_urls(issuer) {
        match ask(issuer, &url, fetch, wanted).await {
            Ok(address) => return Ok(address),
            // The host does not answer; the other places are on the same host.
            Err(fault @ KeysError::Fetch { .. }) => return Err(fault),
            Err(fault) => first_fault = Some(more_telling(first_fault, fault)),
        }
    }
    Err(first_fault.unwrap_or(KeysError::Pending))
}

/// A document that is there but wrong says more than one that is not there.
fn more_telling(first: Option<KeysError>, second: KeysError) -> KeysError {
    match first {
        None | Some(KeysError::Status { .. }) => second,
        Some(first) => first,
    }
}

async fn ask(issuer: &str, url: &str, fetch: &Arc<dyn Fetch>, wanted: Wanted) -> Result<String, KeysError> {
    let body = get(url, fetch).await?;
    let bad = |reason: String| KeysError::Metadata { url: url.to_owned(), reason };
    let metadata: IssuerMetadata =
        from_strict_json(&body, JsonLimits::DOCUMENT).map_err(|fault| bad(fault.to_string()))?;
    if metadata.issuer != issuer {
        return Err(KeysError::IssuerMismatch { url: url.to_owned() });
    }
    let (member, address) = wanted.of(metadata);
    let address = address.ok_or_else(|| bad(format!("{member} is absent")))?;
    let place = check_url(&address).map_err(|fault| bad(format!("{member}: {fault}")))?;
    let issuer_is_loopback = PublicOrigin::parse(issuer).is_ok_and(|origin| origin.is_loopback());
    if place.is_loopback() && !issuer_is_loopback {
        return Err(bad(format!("{member} names a loopback host")));
    }
    Ok(address)
}

/// RFC 8414 §3.1, then OpenID Connect Discovery §4, then the latter's suffix in the former's place (RFC 8414 §5).
pub(super) fn metadata_urls(issuer: &str) -> Vec<String> {
    let bare = issuer.strip_suffix('/').unwrap_or(issuer);
    let host_starts = bare.find("://").map_or(0, |at| at + 3);
    let path_starts = bare[host_starts..].find('/').map_or(bare.len(), |at| host_starts + at);
    let (origin, path) = bare.split_at(path_starts);
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{bare}/.well-known/openid-configuration"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}/.well-known/openid-configuration{path}"));
    }
    urls
}

async fn get(url: &str, fetch: &Arc<dyn Fetch>) -> Result<Bytes, KeysError> {
    let failed = |fault| KeysError::Fetch { url: url.to_owned(), fault };
    let request = Request::get(url)
        .header(http::header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|error| failed(FetchError::Failed { reason: error.to_string() }))?;
    let answer = fetch.fetch(request).await.map_err(failed)?;
    if answer.status() != StatusCode::OK {
        return Err(KeysError::Status { url: url.to_owned(), status: answer.status().as_u16() });
    }
    if answer.body().len() > MAX_BODY_LENGTH {
        return Err(failed(FetchError::TooLarge));
    }
    Ok(answer.into_body())
}
