//! Looking at servers without logging in anywhere, for those who want to know why something does not work.

use std::sync::Arc;

use countersign_dpop::time::Clock;

use crate::discovery::{DiscoveryError, ResourceMetadata, discover_issuer, discover_resource};
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
    /// True when people can log in in a browser, with PKCE.
    pub takes_codes: bool,
    /// True when it takes requests pushed to it (RFC 9126).
    pub takes_pushed_requests: bool,
    /// True when people can log in on another device (RFC 8628).
    pub takes_device_codes: bool,
    /// True when it registers clients by itself (RFC 7591).
    pub registers_clients: bool,
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
        Ok(IssuerFacts {
            dpop_algorithms: metadata.dpop_algorithms(),
            takes_codes: metadata.require_authorization_endpoint().is_ok(),
            takes_pushed_requests: metadata.pushed_authorization_request_endpoint.is_some(),
            takes_device_codes: metadata.require_device_endpoint().is_ok(),
            registers_clients: metadata.registration_endpoint.is_some(),
            url: metadata.url,
        })
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
