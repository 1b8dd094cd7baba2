//! Requests to the token endpoint (RFC 6749 §3.2, RFC 9449 §5, §8).

use bytes::Bytes;
use countersign_dpop::ErrorCode;
use countersign_dpop::jose::{JsonLimits, from_strict_json};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::discovery::IssuerMetadata;
use crate::flows::TokenError;
use crate::flows::token_answer::read_token_answer;
use crate::http::{Answer, Endpoint, Form};
use crate::observe::{Server, Step};
use crate::prover::{Attempt, Attempts, Target};
use crate::session::Session;
use crate::shown::shown_without;
use crate::token::AccessToken;

/// Asks for a token with the grant that `grant` writes, once more if the server wants a nonce or another clock.
pub(crate) async fn request_token(
    session: &Session,
    metadata: &IssuerMetadata,
    grant: impl Fn() -> Form + Send + Sync,
) -> Result<AccessToken, TokenError> {
    let endpoint = &metadata.token_endpoint;
    let mut attempts = Attempts::default();
    loop {
        let sent = send(session, endpoint, grant(), &attempts).await?;
        let refusal = sent.refusal();
        session.observer.tell(|| sent.step(refusal.as_ref()));
        let Some(refusal) = refusal else { return sent.token(session) };
        match refusal.error {
            Some(ErrorCode::UseDpopNonce) => attempts.again_for_nonce(&sent.attempt, &sent.answer.headers)?,
            Some(ErrorCode::InvalidDpopProof) => {
                let offset =
                    attempts.again_for_clock(&session.prover, endpoint, &sent.attempt, &sent.answer.headers)?;
                let Some(seconds) = offset else { return Err(refusal.into()) };
                session.observer.tell(|| Step::ClockCorrected { origin: endpoint.origin(), seconds });
            }
            _ => return Err(refusal.into()),
        }
    }
}

/// One request and its answer.
struct Exchange {
    attempt: Attempt,
    answer: Answer,
    /// What the client proved itself with, to be kept out of messages.
    secrets: [Zeroizing<String>; 2],
    nonce_given: bool,
}

async fn send(
    session: &Session,
    endpoint: &Endpoint,
    mut form: Form,
    attempts: &Attempts,
) -> Result<Exchange, TokenError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let (now, registration) = (session.prover.now_at(endpoint), &session.registration);
    let presented = session.authenticator.authenticate(registration, now, &mut form, &mut headers).await?;
    let target = Target { method: &Method::POST, endpoint, token: None };
    let attempt = session.prover.attach(&mut headers, target, attempts).await?;
    session.tell_sent(Server::Authorization, target, &attempt);

    let mut request = http::Request::new(Bytes::copy_from_slice(form.as_bytes()));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = headers;
    let failed = |fault| TokenError::Transport { endpoint: endpoint.to_string(), fault };
    let answer = session.http.fetch(endpoint, request).await.map_err(failed)?;
    let nonce_given = session.prover.learn_nonce(endpoint, &answer.headers);
    let secrets = [presented, Zeroizing::new(session.authenticator.secret().to_owned())];
    Ok(Exchange { attempt, answer, secrets, nonce_given })
}

struct Refusal {
    status: StatusCode,
    error: Option<ErrorCode>,
    description: Option<String>,
}

impl From<Refusal> for TokenError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, error, description } = refusal;
        Self::Refused { status: status.as_u16(), error, description }
    }
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    error_description: Option<String>,
}

impl Exchange {
    fn refusal(&self) -> Option<Refusal> {
        let status = self.answer.status;
        if status == StatusCode::OK {
            return None;
        }
        let said: Option<ErrorAnswer> = from_strict_json(&self.answer.body, JsonLimits::DOCUMENT).ok();
        let error = said.as_ref().and_then(|said| said.error.parse().ok());
        let description = said.and_then(|said| said.error_description).and_then(|text| self.shown(&text));
        Some(Refusal { status, error, description })
    }

    fn shown(&self, text: &str) -> Option<String> {
        let nonce = self.attempt.nonce.as_ref().map_or("", |nonce| nonce.as_str());
        let [presented, secret] = &self.secrets;
        shown_without(text, &[&self.attempt.proof, nonce, presented, secret])
    }

    fn token(&self, session: &Session) -> Result<AccessToken, TokenError> {
        let token = read_token_answer(&self.answer.body, session.prover.clock.now())?;
        session
            .observer
            .tell(|| Step::TokenReceived { expires_at: token.expires_at(), scope: token.scope().map(str::to_owned) });
        Ok(token)
    }

    fn step(&self, refusal: Option<&Refusal>) -> Step {
        Step::Answered {
            server: Server::Authorization,
            status: self.answer.status.as_u16(),
            error: refusal.and_then(|refusal| refusal.error),
            nonce_given: self.nonce_given,
        }
    }
}
