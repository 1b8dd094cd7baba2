//! Logging in: from the URL of an API to tokens bound to a key.

mod error;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use countersign_dpop::ProofMaker;
use countersign_dpop::jose::{Algorithm, Jkt};
use countersign_dpop::time::Clock;

pub use self::error::LoginError;
use crate::client::authenticator;
use crate::config::{Authentication, ClientConfig, ClientSecret, KeyPlaces};
use crate::discovery::{IssuerMetadata, ResourceMetadata, discover_issuer, discover_resource};
use crate::enrolment::{Enrolment, Registration};
use crate::flows::{
    AuthorizationError, AuthorizationRequest, CALLBACK, DeviceAuthorization, Loopback, NewClient, Page, Polled,
    SubjectToken, authorize_device, client_credentials, exchange, register,
};
use crate::http::{Endpoint, Http, TimeLimits};
use crate::keys::{KeyName, KeyPlace, KeyStore};
use crate::nonce::NonceJar;
use crate::observe::{Observer, Step};
use crate::prover::Prover;
use crate::renewal::blocking;
use crate::sessions::{GrantKind, KeptRegistration, Session, SessionId, SessionStore};
use crate::token::Tokens;

/// What a login is for.
#[derive(Clone, Debug)]
pub struct LoginPlan {
    /// A URL of the API.
    pub url: String,
    /// The issuer, if not the first that the resource names. Where the resource names none it is asked all the same.
    pub issuer: Option<String>,
    /// How the issuer knows the client.
    pub client: ClientChoice,
    /// The scopes to ask for; those of the resource's challenge or metadata otherwise.
    pub scope: Option<String>,
    /// Tells sessions of one client for one resource apart; empty for the ordinary one.
    pub label: String,
    /// Where the key lives.
    pub store: KeyPlace,
    /// The name of the key; one of its own for each session otherwise.
    pub key: Option<KeyName>,
    /// The algorithm of a key that is made now.
    pub algorithm: Algorithm,
    /// Goes on with a token that is not bound.
    pub allow_bearer: bool,
    /// Goes on with an issuer that does not announce DPoP.
    pub assume_dpop: bool,
}

/// How the issuer knows the client.
#[derive(Clone, Debug)]
pub enum ClientChoice {
    /// It was registered by hand.
    Registered {
        /// Its identifier.
        client_id: String,
        /// How it proves who it is.
        authentication: Authentication,
    },
    /// By the https URL of its metadata document, which is its identifier.
    MetadataDocument(String),
    /// As it was registered before (RFC 7591), or registered now under this name.
    Dynamic {
        /// A name for people.
        name: String,
    },
}

impl LoginPlan {
    /// The plan of somebody who knows the URL of the API and nothing else.
    pub fn new(url: &str, store: KeyPlace) -> Self {
        Self {
            url: url.to_owned(),
            issuer: None,
            client: ClientChoice::Dynamic { name: "Countersign".to_owned() },
            scope: None,
            label: String::new(),
            store,
            key: None,
            algorithm: Algorithm::Es256,
            allow_bearer: false,
            assume_dpop: false,
        }
    }
}

/// A login that is prepared: the issuer is known, the client is registered, the key is there.
#[derive(Debug)]
pub struct Login {
    config: ClientConfig,
    label: String,
    enrolment: Enrolment,
    metadata: Arc<IssuerMetadata>,
}

/// What a login works with.
#[derive(Clone)]
pub struct LoginTools {
    keys: Arc<dyn KeyStore>,
    sessions: SessionStore,
    clock: Arc<dyn Clock>,
    limits: TimeLimits,
    observer: Observer,
}

impl LoginTools {
    /// Keys from `keys`, registrations from `sessions`.
    pub fn new(keys: Arc<dyn KeyStore>, sessions: SessionStore, clock: Arc<dyn Clock>) -> Self {
        Self { keys, sessions, clock, limits: TimeLimits::default(), observer: Observer::default() }
    }

    /// Tells every step to `observe`.
    #[must_use]
    pub fn with_observer(mut self, observe: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(observe);
        self
    }

    /// Waits for other times than the default ones.
    #[must_use]
    pub fn with_time_limits(mut self, limits: TimeLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl Login {
    /// Finds resource and issuer, registers the client where that is needed, and opens or makes the key.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn prepare(plan: &LoginPlan, tools: &LoginTools) -> Result<Self, LoginError> {
        let http = Http::new(tools.limits)?;
        let target = Target::discover(plan, &http, &tools.observer).await?;
        let metadata = discover_issuer(&http, &target.issuer).await?;
        let (client_id, authentication) = identify(plan, &target, &metadata, &http, tools).await?;
        let id = SessionId::of(&target.issuer, Some(&target.resource), &client_id, &plan.label);
        let key = match &plan.key {
            Some(key) => key.clone(),
            None => KeyName::parse(&format!("session-{id}"))?,
        };
        tools.keys.open_or_generate(&key, plan.algorithm)?;
        let places = KeyPlaces { store: plan.store.clone(), dpop: key };
        let mut config = ClientConfig::new(&target.issuer, &client_id, authentication, places)?;
        config = config.with_resource(&target.resource)?;
        config.scope = plan.scope.clone().or(target.scope);
        (config.allow_bearer, config.assume_dpop) = (plan.allow_bearer, plan.assume_dpop || plan.allow_bearer);
        let enrolment = enrol(&config, &plan.label, tools)?;
        let metadata = enrolment.know(metadata).await?;
        Ok(Self { config, label: plan.label.clone(), enrolment, metadata })
    }

    /// A login of a client that is known: the issuer's metadata is read and the key opened.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn with_client(config: ClientConfig, label: &str, tools: &LoginTools) -> Result<Self, LoginError> {
        let enrolment = enrol(&config, label, tools)?;
        let metadata = enrolment.metadata().await?;
        Ok(Self { config, label: label.to_owned(), enrolment, metadata })
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// The resource.
    pub fn resource(&self) -> Option<&str> {
        self.config.resource.as_deref()
    }

    /// The client's identifier at the issuer.
    pub fn client_id(&self) -> &str {
        &self.config.client_id
    }

    /// The scopes that are asked for.
    pub fn scope(&self) -> Option<&str> {
        self.config.scope.as_deref()
    }

    /// The thumbprint of the key.
    pub fn jkt(&self) -> &Jkt {
        self.enrolment.prover.maker.jkt()
    }

    /// Sends a person through the browser, which `visit` is given the address for, and waits for the answer.
    ///
    /// # Errors
    /// See [`LoginError`]; [`LoginError::TimeOut`] after `patience`.
    pub async fn by_code(
        &self,
        patience: Duration,
        visit: impl FnOnce(&str) -> io::Result<()> + Send,
    ) -> Result<Session, LoginError> {
        let (enrolment, metadata) = (&self.enrolment, &self.metadata);
        let loopback = Loopback::bind().await.map_err(|fault| LoginError::Loopback { kind: fault.kind() })?;
        let request = AuthorizationRequest::make(enrolment, metadata, loopback.redirect_uri()).await?;
        let returned = loopback.serve();
        visit(request.url().as_str()).map_err(|fault| LoginError::Browser { kind: fault.kind() })?;
        let answered = tokio::time::timeout(patience, self.redeem_answer(&request, returned)).await;
        Ok(self.session(GrantKind::AuthorizationCode, answered.map_err(|_| LoginError::TimeOut)??))
    }

    /// Answers that are not to our question are refused and waited past: any page on this machine could send them.
    async fn redeem_answer(
        &self,
        request: &AuthorizationRequest,
        mut returned: tokio::sync::mpsc::Receiver<crate::flows::Returned>,
    ) -> Result<Tokens, LoginError> {
        let (enrolment, metadata) = (&self.enrolment, &self.metadata);
        while let Some(arrived) = returned.recv().await {
            let answer = match request.accept(enrolment, metadata, &arrived.query) {
                Ok(answer) => answer,
                Err(fault) => {
                    arrived.answer(Page::Refused);
                    if fault != AuthorizationError::StateMismatch {
                        return Err(fault.into());
                    }
                    enrolment.observer.tell(|| Step::AnswerRefused { reason: fault.to_string() });
                    continue;
                }
            };
            let tokens = request.redeem(enrolment, metadata, &answer).await;
            arrived.answer(if tokens.is_ok() { Page::LoggedIn } else { Page::Refused });
            return Ok(tokens?);
        }
        Err(LoginError::TimeOut)
    }

    /// Asks for a code that a person types on another device (RFC 8628).
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn authorize_device(&self) -> Result<DeviceAuthorization, LoginError> {
        Ok(authorize_device(&self.enrolment, &self.metadata).await?)
    }

    /// Asks once whether the person has decided; `None` when not. Wait for [`DeviceAuthorization::interval`] first.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn poll_device(&self, device: &mut DeviceAuthorization) -> Result<Option<Session>, LoginError> {
        Ok(match device.poll(&self.enrolment, &self.metadata).await? {
            Polled::Pending => None,
            Polled::Granted(tokens) => Some(self.session(GrantKind::DeviceCode, *tokens)),
        })
    }

    /// A session of the client for itself.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn by_client_credentials(&self) -> Result<Session, LoginError> {
        let tokens = client_credentials(&self.enrolment, &self.metadata).await?;
        Ok(self.session(GrantKind::ClientCredentials, tokens))
    }

    /// A session by a token of somebody else, for instance an unbound one of another issuer (RFC 8693).
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn by_exchange(&self, subject: &SubjectToken) -> Result<Session, LoginError> {
        let tokens = exchange(&self.enrolment, &self.metadata, subject).await?;
        Ok(self.session(GrantKind::TokenExchange, tokens))
    }

    fn session(&self, grant: GrantKind, tokens: Tokens) -> Session {
        let (config, label) = (self.config.clone(), self.label.clone());
        Session { config, label, grant, tokens, jkt: *self.jkt(), created: self.enrolment.prover.clock.now() }
    }
}

/// The client, with its key opened.
fn enrol(config: &ClientConfig, label: &str, tools: &LoginTools) -> Result<Enrolment, LoginError> {
    let maker = ProofMaker::new(tools.keys.open(&config.keys.dpop)?);
    let authenticator = authenticator(config, tools.keys.as_ref(), maker.jkt())?;
    let prover = Prover::new(maker, tools.clock.clone(), Arc::new(NonceJar::default()), config.binding(label));
    let http = Http::new(tools.limits)?;
    let mut enrolment = Enrolment::new(Registration::of(config), authenticator, prover, http);
    enrolment.observer = tools.observer.clone();
    Ok(enrolment)
}

/// Where the tokens are for, and whose they are.
struct Target {
    issuer: String,
    resource: String,
    scope: Option<String>,
}

impl Target {
    async fn discover(plan: &LoginPlan, http: &Http, observer: &Observer) -> Result<Self, LoginError> {
        let url = Endpoint::parse(&plan.url)?;
        let found = discover_resource(http, &url).await;
        let metadata = match (found, &plan.issuer) {
            (Ok(metadata), _) => metadata,
            // A resource that says nothing of itself, and a person who knows its issuer.
            (Err(crate::discovery::DiscoveryError::NoResourceMetadata { .. }), Some(issuer)) => {
                return Ok(Self { issuer: issuer.clone(), resource: plan.url.clone(), scope: None });
            }
            (Err(fault), _) => return Err(fault.into()),
        };
        let issuer = metadata.issuer(plan.issuer.as_deref())?.to_owned();
        observer.tell(|| Step::ResourceRead {
            url: metadata.url.clone(),
            resource: metadata.resource.clone(),
            issuer: issuer.clone(),
        });
        Ok(Self { issuer, scope: scope(&metadata), resource: metadata.resource })
    }
}

/// What the challenge asks for, else all that the resource knows.
fn scope(metadata: &ResourceMetadata) -> Option<String> {
    let all = || Some(metadata.scopes_supported.join(" ")).filter(|scope| !scope.is_empty());
    metadata.scope_asked.clone().or_else(all)
}

async fn identify(
    plan: &LoginPlan,
    target: &Target,
    metadata: &IssuerMetadata,
    http: &Http,
    tools: &LoginTools,
) -> Result<(String, Authentication), LoginError> {
    match &plan.client {
        ClientChoice::Registered { client_id, authentication } => Ok((client_id.clone(), authentication.clone())),
        ClientChoice::MetadataDocument(url) if metadata.takes_metadata_documents => {
            Ok((url.clone(), Authentication::None))
        }
        ClientChoice::MetadataDocument(_) => {
            Err(LoginError::MetadataDocumentsNotTaken { issuer: target.issuer.clone() })
        }
        ClientChoice::Dynamic { name } => {
            let kept = known_or_registered(name, target, metadata, http, tools).await?;
            let authentication = kept.client_secret.map_or(Authentication::None, |secret| {
                Authentication::ClientSecretBasic { secret: ClientSecret::Inline(secret) }
            });
            Ok((kept.client_id, authentication))
        }
    }
}

async fn known_or_registered(
    name: &str,
    target: &Target,
    metadata: &IssuerMetadata,
    http: &Http,
    tools: &LoginTools,
) -> Result<KeptRegistration, LoginError> {
    let (store, issuer) = (tools.sessions.clone(), target.issuer.clone());
    if let Some(kept) = blocking(move || store.registration(&issuer)).await? {
        return Ok(kept);
    }
    if metadata.registration_endpoint.is_none() {
        return Err(LoginError::ClientUnknown { issuer: target.issuer.clone() });
    }
    // Issuers take any port of a registered loopback address (RFC 8252 §7.3).
    let redirect_uri = format!("http://127.0.0.1{CALLBACK}");
    let mut grants = vec!["authorization_code", "refresh_token"];
    if metadata.require_device_endpoint().is_ok() {
        grants.push("urn:ietf:params:oauth:grant-type:device_code");
    }
    let scope = target.scope.as_deref();
    let client = NewClient { name, redirect_uri: Some(&redirect_uri), grants: &grants, scope };
    let registered = register(http, &target.issuer, metadata, &client).await?;
    tools.observer.tell(|| Step::ClientRegistered {
        issuer: target.issuer.clone(),
        client_id: crate::shown::shown(&registered.client_id),
    });
    let store = tools.sessions.clone();
    Ok(blocking(move || store.save_registration(&registered).map(|()| registered)).await?)
}

impl std::fmt::Debug for LoginTools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginTools").field("keys", &self.keys).finish_non_exhaustive()
    }
}
