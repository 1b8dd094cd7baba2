//! Calls to a resource, each attempt with a proof of its own (RFC 9449 §7).

mod error;
mod refusal;

use countersign_dpop::ErrorCode;
use http::{HeaderMap, header};
use std::sync::Arc;

use countersign_dpop::headers::DPOP;

pub use self::error::CallError;
use self::refusal::read_refusal;
use crate::client::Client;
use crate::http::{Endpoint, RequestBody, ResponseBody};
use crate::observe::{Server, Step};
use crate::prover::{Attempt, Attempts, NonceError, Target};
use crate::token::{AccessToken, Source};

impl Client {
    /// Sends `request` with a token and a fresh proof and gives back the answer, whatever its status; its body is
    /// read as it comes. Redirects are given back, not followed.
    ///
    /// Where the body allows, the request is sent again once for each of these: the server asks for a nonce
    /// (RFC 9449 §9); it refuses the proof and its clock is not ours; it refuses a token that was kept from before.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, request: http::Request<RequestBody>) -> Result<http::Response<ResponseBody>, CallError> {
        let mut call = Call::new(self, request)?;
        loop {
            let (token, source) = self.token_and_source().await?;
            let sent = call.send(&token).await?;
            if !call.is_to_be_sent_again(&sent, &token, source).await? {
                return Ok(sent.response);
            }
        }
    }
}

struct Call<'a> {
    client: &'a Client,
    endpoint: Endpoint,
    request: http::request::Parts,
    /// `None` once a stream is gone.
    body: Option<RequestBody>,
    attempts: Attempts,
}

struct Sent {
    attempt: Attempt,
    response: http::Response<ResponseBody>,
    error: Option<ErrorCode>,
}

impl<'a> Call<'a> {
    fn new(client: &'a Client, request: http::Request<RequestBody>) -> Result<Self, CallError> {
        let (request, body) = request.into_parts();
        let endpoint = Endpoint::parse(&request.uri.to_string())?;
        refuse_credentials(&request.headers)?;
        Ok(Self { client, endpoint, request, body: Some(body), attempts: Attempts::default() })
    }

    async fn send(&mut self, token: &AccessToken) -> Result<Sent, CallError> {
        let session = &self.client.session;
        let mut headers = self.request.headers.clone();
        let authorization = token.authorization().ok_or(CallError::TokenNotSendable)?;
        headers.insert(header::AUTHORIZATION, authorization);
        let target =
            Target { method: &self.request.method, endpoint: &self.endpoint, token: Some(token.expose_secret()) };
        let attempt = session.prover.attach(&mut headers, target, &self.attempts).await?;
        session.tell_sent(Server::Resource, target, &attempt);

        let body = self.body.take().ok_or(NonceError::BodyNotRepeatable)?;
        self.body = body.again();
        let mut request = http::Request::new(body);
        request.method_mut().clone_from(&self.request.method);
        *request.headers_mut() = headers;
        let response = session.http.exchange(&self.endpoint, request).await.map_err(|fault| self.failed(fault))?;
        let nonce_given = session.prover.learn_nonce(&self.endpoint, response.headers());
        let error = read_refusal(response.status(), response.headers());
        let status = response.status().as_u16();
        session.observer.tell(|| Step::Answered { server: Server::Resource, status, error, nonce_given });
        Ok(Sent { attempt, response, error })
    }

    async fn is_to_be_sent_again(
        &mut self,
        sent: &Sent,
        token: &Arc<AccessToken>,
        source: Source,
    ) -> Result<bool, CallError> {
        let (session, headers) = (&self.client.session, sent.response.headers());
        match sent.error {
            Some(ErrorCode::UseDpopNonce) => {
                self.attempts.again_for_nonce(&sent.attempt, headers)?;
                if self.body.is_some() { Ok(true) } else { Err(NonceError::BodyNotRepeatable.into()) }
            }
            Some(ErrorCode::InvalidDpopProof) => {
                let (prover, endpoint) = (&session.prover, &self.endpoint);
                let offset = self.attempts.again_for_clock(prover, endpoint, &sent.attempt, headers)?;
                if let Some(seconds) = offset {
                    session.observer.tell(|| Step::ClockCorrected { origin: endpoint.origin(), seconds });
                }
                Ok(offset.is_some() && self.body.is_some())
            }
            Some(ErrorCode::InvalidToken) => {
                self.client.tokens.discard(token).await;
                session.observer.tell(|| Step::TokenDiscarded);
                Ok(source == Source::Kept && self.body.is_some() && self.attempts.again_for_token())
            }
            _ => Ok(false),
        }
    }

    fn failed(&self, fault: crate::http::TransportError) -> CallError {
        CallError::Transport { url: self.endpoint.to_string(), fault }
    }
}

/// Credentials are what the client is for: those of the caller would stand beside its own.
fn refuse_credentials(headers: &HeaderMap) -> Result<(), CallError> {
    match [header::AUTHORIZATION, DPOP].into_iter().find(|name| headers.contains_key(name)) {
        Some(field) => Err(CallError::CredentialsGiven { field }),
        None => Ok(()),
    }
}
