//! One request on its way, attempt by attempt, whoever sends it.

use std::sync::Arc;

use countersign_dpop::ErrorCode;
use countersign_dpop::headers::DPOP;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::call::CallError;
use crate::call::refusal::read_refusal;
use crate::client::Client;
use crate::http::Endpoint;
use crate::observe::{Server, Step};
use crate::prover::{Attempt, Attempts, NonceError, Target};
use crate::token::{AccessToken, Source, TokenKind};

/// Signs one request, attempt by attempt, for a transport that sends it. Every attempt gets a proof of its own.
///
/// ```no_run
/// # async fn example(client: countersign_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_client::{Next, Signing};
/// # async fn send(url: &str, headers: http::HeaderMap) -> http::Response<()> { unimplemented!() }
///
/// let mut signing = client.signing(&http::Method::GET, "https://api.example.com/orders")?;
/// let response = loop {
///     let mut headers = http::HeaderMap::new();
///     signing.attach(&mut headers).await?;
///     let response = send(signing.url(), headers).await;
///     match signing.learn(response.status(), response.headers(), true).await? {
///         Next::Done => break response,
///         Next::Again | Next::Follow { .. } => {}
///     }
/// };
/// # Ok(())
/// # }
/// ```
pub struct Signing<'a> {
    client: &'a Client,
    method: Method,
    endpoint: Endpoint,
    attempts: Attempts,
    redirects_left: u8,
    sent: Option<Sent>,
}

struct Sent {
    /// `None` for a token that is not bound.
    attempt: Option<Attempt>,
    token: Arc<AccessToken>,
    source: Source,
}

/// What goes with one attempt. Both are printed nowhere, and wiped with their last clones.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The value of `Authorization`.
    pub authorization: HeaderValue,
    /// The value of `DPoP`; `None` for a token that is not bound.
    pub proof: Option<HeaderValue>,
}

/// What to do with an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// It is the answer.
    Done,
    /// Send the same request once more, with what [`Signing::attach`] sets now.
    Again,
    /// Send the request that [`Signing::method`] and [`Signing::url`] say now: a redirect on the same origin.
    Follow {
        /// True when the body is to be sent again; else there is none, and no field that describes it.
        with_body: bool,
    },
}

impl Client {
    /// Begins to sign a request for `url`, which has to belong to the client's resource.
    ///
    /// # Errors
    /// [`CallError::Endpoint`], [`CallError::OutsideResource`], [`CallError::NoResource`].
    pub fn signing(&self, method: &Method, url: &str) -> Result<Signing<'_>, CallError> {
        self.signing_at(method, Endpoint::parse(url)?)
    }

    /// The same for a URL that was parsed before.
    ///
    /// # Errors
    /// [`CallError::OutsideResource`], [`CallError::NoResource`].
    pub fn signing_at(&self, method: &Method, endpoint: Endpoint) -> Result<Signing<'_>, CallError> {
        self.require_within_reach(&endpoint)?;
        Ok(Signing {
            client: self,
            method: method.clone(),
            endpoint,
            attempts: Attempts::default(),
            redirects_left: self.redirects,
            sent: None,
        })
    }

    /// A token is for one resource: at another server it would be somebody else's to use or to collect.
    fn require_within_reach(&self, endpoint: &Endpoint) -> Result<(), CallError> {
        match &self.enrolment.registration.reach {
            None => Err(CallError::NoResource),
            Some(reach) if reach.contains(endpoint) => Ok(()),
            Some(reach) => Err(CallError::OutsideResource { url: endpoint.to_string(), resource: reach.to_string() }),
        }
    }
}

impl Signing<'_> {
    /// The method to send.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The URL to send to.
    pub fn url(&self) -> &str {
        self.endpoint.as_str()
    }

    /// The same, parsed.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sets `Authorization` and `DPoP` for the next attempt; fetches or renews the token when that is needed.
    ///
    /// # Errors
    /// [`CallError::CredentialsGiven`] when the fields are there already; [`CallError::Token`] and others when token
    /// or proof cannot be had.
    pub async fn attach(&mut self, headers: &mut HeaderMap) -> Result<(), CallError> {
        refuse_credentials(headers)?;
        let Credentials { authorization, proof } = self.credentials().await?;
        headers.insert(header::AUTHORIZATION, authorization);
        if let Some(proof) = proof {
            headers.insert(DPOP, proof);
        }
        Ok(())
    }

    /// What [`Signing::attach`] sets, for a transport that sets it by itself.
    ///
    /// # Errors
    /// [`CallError::Token`] and others when token or proof cannot be had.
    pub async fn credentials(&mut self) -> Result<Credentials, CallError> {
        let enrolment = &self.client.enrolment;
        let asked_at = enrolment.prover.clock.now();
        let (token, source) = self.client.token_and_source(asked_at).await?;
        let now = match source {
            Source::Kept => asked_at,
            Source::Fetched => enrolment.prover.clock.now(),
        };
        let target = Target { method: &self.method, endpoint: &self.endpoint, ath: Some(token.ath()) };
        let (proof, attempt) = match token.kind() {
            TokenKind::Dpop => Some(enrolment.prover.prove(target, &self.attempts, now).await?).unzip(),
            TokenKind::Bearer => (None, None),
        };
        enrolment.tell_sent(Server::Resource, target, attempt.as_ref());
        let authorization = token.authorization();
        self.sent = Some(Sent { attempt, token, source });
        Ok(Credentials { authorization, proof })
    }

    /// Learns from an answer and says what to do. The request is sent again once for each of these: the server asks
    /// for a nonce (RFC 9449 §9); it refuses the proof and its clock is not ours; it refuses a token that was kept from
    /// before. `repeatable` says whether the body can be sent again.
    ///
    /// # Errors
    /// [`CallError::Nonce`] when a demand for a nonce cannot be met, [`CallError::Clock`].
    pub async fn learn(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        repeatable: bool,
    ) -> Result<Next, CallError> {
        let Some(sent) = self.sent.take() else { return Ok(Next::Done) };
        let enrolment = &self.client.enrolment;
        let nonce_given = enrolment.prover.learn_nonce(&self.endpoint, headers);
        let error = read_refusal(sent.token.kind(), status, headers);
        let code = status.as_u16();
        enrolment.observer.tell(|| Step::Answered { server: Server::Resource, status: code, error, nonce_given });
        if status.is_redirection() {
            return Ok(self.follow(status, headers, repeatable));
        }
        let again = match (error, &sent.attempt) {
            (Some(ErrorCode::UseDpopNonce), Some(attempt)) => self.again_for_nonce(attempt, headers, repeatable)?,
            (Some(ErrorCode::InvalidDpopProof), Some(attempt)) => self.again_for_clock(attempt, headers)? && repeatable,
            (Some(ErrorCode::InvalidToken), _) => self.again_for_token(&sent).await && repeatable,
            _ => false,
        };
        Ok(if again { Next::Again } else { Next::Done })
    }

    fn again_for_nonce(&mut self, attempt: &Attempt, headers: &HeaderMap, repeatable: bool) -> Result<bool, CallError> {
        self.attempts.again_for_nonce(attempt, headers)?;
        let prover = &self.client.enrolment.prover;
        if let Some(seconds) = self.attempts.learn_clock(prover, &self.endpoint, attempt, headers) {
            self.tell_clock(seconds);
        }
        if repeatable { Ok(true) } else { Err(NonceError::BodyNotRepeatable.into()) }
    }

    fn again_for_clock(&mut self, attempt: &Attempt, headers: &HeaderMap) -> Result<bool, CallError> {
        let prover = &self.client.enrolment.prover;
        let offset = self.attempts.again_for_clock(prover, &self.endpoint, attempt, headers)?;
        if let Some(seconds) = offset {
            self.tell_clock(seconds);
        }
        Ok(offset.is_some())
    }

    async fn again_for_token(&mut self, sent: &Sent) -> bool {
        self.client.tokens.discard(&sent.token).await;
        self.client.enrolment.observer.tell(|| Step::TokenDiscarded);
        sent.source == Source::Kept && self.attempts.again_for_token()
    }

    /// RFC 9110 §15.4. A proof is for one URL, so the next one is signed anew; another origin gets nothing.
    fn follow(&mut self, status: StatusCode, headers: &HeaderMap, repeatable: bool) -> Next {
        let location = headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
        let target = location.and_then(|location| self.endpoint.join(location).ok());
        let target = target.filter(|target| {
            target.origin() == self.endpoint.origin() && self.client.require_within_reach(target).is_ok()
        });
        let (Some(target), true) = (target, self.redirects_left > 0) else { return Next::Done };
        let with_body = match status {
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT if repeatable => true,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if self.method != Method::POST && repeatable => true,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if self.method == Method::POST => false,
            StatusCode::SEE_OTHER => false,
            _ => return Next::Done,
        };
        if !with_body && self.method != Method::HEAD {
            self.method = Method::GET;
        }
        self.endpoint = target;
        self.attempts = Attempts::default();
        self.redirects_left = self.redirects_left.saturating_sub(1);
        Next::Follow { with_body }
    }

    fn tell_clock(&self, seconds: i64) {
        let origin = || self.endpoint.origin().to_owned();
        self.client.enrolment.observer.tell(|| Step::ClockCorrected { origin: origin(), seconds });
    }
}

impl std::fmt::Debug for Signing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signing").field("method", &self.method).field("url", &self.endpoint).finish_non_exhaustive()
    }
}

/// Credentials are what the client is for: those of the caller would stand beside its own.
fn refuse_credentials(headers: &HeaderMap) -> Result<(), CallError> {
    match [header::AUTHORIZATION, DPOP].into_iter().find(|name| headers.contains_key(name)) {
        Some(field) => Err(CallError::CredentialsGiven { field }),
        None => Ok(()),
    }
}
