//! Looking at servers without logging in anywhere, for those who want to know why something does not work.

use std::sync::Arc;

use countersign_dpop::time::Clock;

use crate::discovery::{DiscoveryError, IssuerMetadata, ResourceMetadata, discover_issuer, discover_resource};
use crate::http::{Endpoint, Http, RequestBody, TimeLimits, TransportError, read_date};

/// Looks at servers.
#[derive(Debug)]
pub struct Inspection {
    http: Http,
    clock: Arc<dyn Clock>,
}

/// What an issuer says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerFacts {
    /// Where it says so.
    pub url: String,
    /// Algorithms that it takes for proofs; empty when it does not announce DPoP.
    pub dpop_algorithms: Vec<String>,
    /// What it offers besides tokens: logging in in a browser with PKCE, pushed requests (RFC 9126), device codes
    /// (RFC 8628), registration of clients (RFC 7591), revocation (RFC 7009).
    pub offers: Vec<&'static str>,
}

impl Inspection {
    /// Looks by `clock`.
    ///
    /// # Errors
    /// [`TransportError`] when the HTTP client cannot be set up.
    pub fn new(limits: TimeLimits, clock: Arc<dyn Clock>) -> Result<Self, TransportError> {
        Ok(Self { http: Http::new(limits)?, clock })
    }

    /// Reads an issuer's metadata.
    ///
    /// # Errors
    /// See [`DiscoveryError`].
    pub async fn issuer(&self, issuer: &str) -> Result<IssuerFacts, DiscoveryError> {
        let metadata = discover_issuer(&self.http, issuer).await?;
        Ok(IssuerFacts { dpop_algorithms: metadata.dpop_algorithms(), offers: offers(&metadata), url: metadata.url })
    }

    /// Finds the metadata of the resource that `url` belongs to.
    ///
    /// # Errors
    /// See [`DiscoveryError`].
    pub async fn resource(&self, url: &Endpoint) -> Result<ResourceMetadata, DiscoveryError> {
        discover_resource(&self.http, url).await
    }

    /// Seconds that the server's clock is ahead of ours; `None` when it does not tell the time.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub async fn clock_offset(&self, url: &Endpoint) -> Result<Option<i64>, TransportError> {
        let answer = self.http.exchange_in_time(url, http::Request::new(RequestBody::empty())).await?;
        Ok(read_date(answer.headers()).map(|date| date.since(self.clock.now())))
    }
}

fn offers(metadata: &IssuerMetadata) -> Vec<&'static str> {
    let offered = [
        ("browser login", metadata.require_authorization_endpoint().is_ok()),
        ("pushed requests", metadata.pushed_authorization_request_endpoint.is_some()),
        ("device codes", metadata.require_device_endpoint().is_ok()),
        ("registration of clients", metadata.registration_endpoint.is_some()),
        ("revocation", metadata.revocation_endpoint.is_some()),
    ];
    offered.into_iter().filter_map(|(name, is_offered)| is_offered.then_some(name)).collect()
}
