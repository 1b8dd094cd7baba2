//! Fetching by reqwest, with guards around it: names are resolved by us and judged before a connection is opened.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve};
use reqwest::redirect::Policy;

use super::{FETCH_PATIENCE, Fetch, FetchError, FetchRequest, Fetched, Fetching, Reach, is_public};

/// Addresses to come.
pub type Resolving = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Finds the addresses of a host.
pub trait ResolveHost: fmt::Debug + Send + Sync {
    /// The addresses of `host`; their ports mean nothing.
    fn resolve(&self, host: &str) -> Resolving;
}

/// Asks the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl ResolveHost for SystemResolver {
    fn resolve(&self, host: &str) -> Resolving {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) })
    }
}

/// Fetches over HTTP. Needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct GuardedFetch {
    anywhere: reqwest::Client,
    public: reqwest::Client,
}

/// The HTTP client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up: {0}")]
pub struct FetchSetupError(#[from] reqwest::Error);

impl GuardedFetch {
    /// Fetches, with names resolved by `resolver`.
    ///
    /// # Errors
    /// [`FetchSetupError`] when TLS cannot be set up.
    pub fn new(resolver: &Arc<dyn ResolveHost>) -> Result<Self, FetchSetupError> {
        let build = |reach| {
            reqwest::Client::builder()
                .redirect(Policy::none())
                .no_proxy() // a proxy would resolve names by itself
                .referer(false)
                .timeout(FETCH_PATIENCE)
                .pool_max_idle_per_host(0)
                .https_only(reach == Reach::Public)
                .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(Guard { resolver: resolver.clone(), reach }))
                .build()
        };
        Ok(Self { anywhere: build(Reach::Anywhere)?, public: build(Reach::Public)? })
    }
}

impl Fetch for GuardedFetch {
    fn fetch(&self, request: FetchRequest) -> Fetching<'_> {
        Box::pin(async move {
            // The resolver is not asked about addresses, so those are judged here.
            if request.reach == Reach::Public && !request.url.may_be_public() {
                return Err(FetchError::NotPublic);
            }
            let client = match request.reach {
                Reach::Anywhere => &self.anywhere,
                Reach::Public => &self.public,
            };
            get(client, &request).await
        })
    }
}

async fn get(client: &reqwest::Client, request: &FetchRequest) -> Result<Fetched, FetchError> {
    let accept = "application/json";
    let sent = client.get(request.url.to_url()).header(http::header::ACCEPT, accept).send();
    let mut answer = sent.await.map_err(fault)?;
    let media_type = answer.headers().get(http::header::CONTENT_TYPE).and_then(|field| field.to_str().ok());
    let media_type = media_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(fault)? {
        if body.len().saturating_add(chunk.len()) > request.limit {
            return Err(FetchError::TooLong { limit: request.limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status: answer.status().as_u16(), media_type, body })
}

fn fault(error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::TimedOut;
    }
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if cause.is::<NotPublic>() {
            return FetchError::NotPublic;
        }
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    FetchError::Failed { reason }
}

/// Stands between the HTTP client and the names it resolves. One address inside spoils the whole name: whoever mixes
/// them means no good.
struct Guard {
    resolver: Arc<dyn ResolveHost>,
    reach: Reach,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> reqwest::dns::Resolving {
        let (found, reach) = (self.resolver.resolve(name.as_str()), self.reach);
        Box::pin(async move {
            let addresses = found.await?;
            if reach == Reach::Public && !addresses.iter().all(|address| is_public(address.ip())) {
                return Err(NotPublic.into());
            }
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address.ip(), 0))) as Addrs)
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the host is not at public addresses")]
struct NotPublic;
