//! What the flows and the calls of one client share.

use std::fmt;
use std::sync::Arc;

use countersign_dpop::time::Timestamp;
use tokio::sync::Mutex;

use crate::config::ClientConfig;
use crate::discovery::{DiscoveryError, IssuerMetadata, discover_issuer};
use crate::flows::Authenticator;
use crate::http::{Endpoint, Form, Http};
use crate::observe::{Observer, Server, Step};
use crate::prover::{Attempt, Prover, Target};

/// One client at one issuer, with its key.
#[derive(Clone, Debug)]
pub(crate) struct Enrolment {
    pub(crate) registration: Arc<Registration>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) prover: Arc<Prover>,
    pub(crate) http: Http,
    pub(crate) observer: Observer,
    metadata: Arc<MetadataCache>,
}

/// How the issuer knows the client, and what is asked of it.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) resource: Option<String>,
    pub(crate) scope: Option<String>,
    /// Below which URL the token may be sent; `None` when nothing says so.
    pub(crate) reach: Option<Endpoint>,
    pub(crate) assume_dpop: bool,
    pub(crate) allow_bearer: bool,
}

impl Registration {
    /// How `config` says it.
    pub(crate) fn of(config: &ClientConfig) -> Self {
        Self {
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            resource: config.resource.clone(),
            scope: config.scope.clone(),
            reach: config.reach(),
            assume_dpop: config.assume_dpop,
            allow_bearer: config.allow_bearer,
        }
    }

    /// Asks for the resource (RFC 8707 §2).
    pub(crate) fn add_resource(&self, form: &mut Form) {
        form.add_optional("resource", self.resource.as_deref());
    }

    /// Asks for scope and resource.
    pub(crate) fn add_target(&self, form: &mut Form) {
        form.add_optional("scope", self.scope.as_deref());
        self.add_resource(form);
    }
}

/// How long metadata is believed, in seconds.
const METADATA_LIFE: i64 = 3_600;

#[derive(Default)]
struct MetadataCache(Mutex<Kept>);

type Kept = Option<(Timestamp, Arc<IssuerMetadata>)>;

impl Enrolment {
    pub(crate) fn new(registration: Registration, authenticator: Authenticator, prover: Prover, http: Http) -> Self {
        Self {
            registration: Arc::new(registration),
            authenticator: Arc::new(authenticator),
            prover: Arc::new(prover),
            http,
            observer: Observer::default(),
            metadata: Arc::default(),
        }
    }

    /// The issuer's metadata, read again after an hour, and fit for this client.
    pub(crate) async fn metadata(&self) -> Result<Arc<IssuerMetadata>, DiscoveryError> {
        let now = self.prover.clock.now();
        let mut kept = self.metadata.0.lock().await;
        if let Some((read_at, metadata)) = kept.as_ref()
            && (0..METADATA_LIFE).contains(&now.since(*read_at))
        {
            return Ok(metadata.clone());
        }
        let metadata = discover_issuer(&self.http, &self.registration.issuer).await?;
        self.keep(&mut kept, metadata)
    }

    /// Goes by metadata that were read before this client was known.
    pub(crate) async fn know(&self, metadata: IssuerMetadata) -> Result<Arc<IssuerMetadata>, DiscoveryError> {
        self.keep(&mut *self.metadata.0.lock().await, metadata)
    }

    fn keep(&self, kept: &mut Kept, metadata: IssuerMetadata) -> Result<Arc<IssuerMetadata>, DiscoveryError> {
        self.observer.tell(|| self.metadata_read(&metadata));
        self.require_fit(&metadata)?;
        let metadata = Arc::new(metadata);
        *kept = Some((self.prover.clock.now(), metadata.clone()));
        Ok(metadata)
    }

    fn require_fit(&self, metadata: &IssuerMetadata) -> Result<(), DiscoveryError> {
        if !self.registration.assume_dpop {
            metadata.require_dpop(&self.registration.issuer, self.prover.maker.signer().algorithm())?;
        }
        metadata.require_method(self.authenticator.method())
    }

    fn metadata_read(&self, metadata: &IssuerMetadata) -> Step {
        Step::MetadataRead {
            url: metadata.url.clone(),
            issuer: self.registration.issuer.clone(),
            token_endpoint: metadata.token_endpoint.to_string(),
            dpop_algorithms: metadata.dpop_algorithms(),
        }
    }

    pub(crate) fn tell_sent(&self, server: Server, target: Target<'_>, attempt: Option<&Attempt>) {
        self.observer.tell(|| Step::Sent {
            server,
            method: target.method.to_string(),
            url: target.endpoint.without_query().to_owned(),
            jkt: *self.prover.maker.jkt(),
            algorithm: self.prover.maker.signer().algorithm(),
            with_proof: attempt.is_some(),
            with_nonce: attempt.is_some_and(|attempt| attempt.nonce.is_some()),
        });
    }
}

impl fmt::Debug for MetadataCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataCache").finish_non_exhaustive()
    }
}
