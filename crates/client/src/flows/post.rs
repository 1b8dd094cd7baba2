//! Forms sent to the authorization server's endpoints, with proof and client authentication (RFC 6749 §3.2,
//! RFC 9449 §5, §8, RFC 9126 §2).

use bytes::Bytes;
use countersign_dpop::ErrorCode;
use countersign_dpop::headers::DPOP;
use countersign_dpop::jose::{JsonLimits, from_strict_json};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::discovery::IssuerMetadata;
use crate::enrolment::Enrolment;
use crate::flows::TokenError;
use crate::flows::token_answer::read_token_answer;
use crate::http::{Answer, Endpoint, Form};
use crate::nonce::Nonce;
use crate::observe::{Server, Step};
use crate::prover::{Attempt, Attempts, Target};
use crate::shown::shown_without;
use crate::token::{TokenKind, Tokens};

/// Asks for tokens with the grant that `grant` writes, once more if the server wants a nonce or another clock.
pub(crate) async fn request_token(
    enrolment: &Enrolment,
    metadata: &IssuerMetadata,
    grant: &Form,
) -> Result<Tokens, TokenError> {
    let endpoint = &metadata.token_endpoint;
    let answer = post(enrolment, endpoint, grant, Proving::Yes).await?;
    if answer.status != StatusCode::OK {
        return Err(Refusal { status: answer.status, error: None, description: None }.at(endpoint));
    }
    let tokens = read_token_answer(&answer.body, enrolment.prover.clock.now(), enrolment.registration.allow_bearer)?;
    enrolment.observer.tell(|| Step::TokenReceived {
        bound: tokens.access.kind() == TokenKind::Dpop,
        expires_at: tokens.access.expires_at(),
        scope: tokens.access.scope().map(str::to_owned),
    });
    Ok(tokens)
}

/// Whether a proof goes with a form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Proving {
    Yes,
    No,
}

/// Sends `form` and gives back a good answer (200 or 201), once more if the server wants a nonce or
/// another clock.
pub(crate) async fn post(
    enrolment: &Enrolment,
    endpoint: &Endpoint,
    form: &Form,
    proving: Proving,
) -> Result<Answer, TokenError> {
    let mut attempts = Attempts::default();
    loop {
        let sent = send(enrolment, endpoint, form.clone(), proving, &attempts).await?;
        let refusal = sent.refusal();
        enrolment.observer.tell(|| sent.step(refusal.as_ref()));
        let Some(refusal) = refusal else { return Ok(sent.answer) };
        let Some(attempt) = &sent.attempt else { return Err(refusal.at(endpoint)) };
        match refusal.error {
            Some(ErrorCode::UseDpopNonce) => attempts.again_for_nonce(attempt, &sent.answer.headers)?,
            Some(ErrorCode::InvalidDpopProof) => {
                let offset = attempts.again_for_clock(&enrolment.prover, endpoint, attempt, &sent.answer.headers)?;
                let Some(seconds) = offset else { return Err(refusal.at(endpoint)) };
                enrolment.observer.tell(|| Step::ClockCorrected { origin: endpoint.origin().to_owned(), seconds });
            }
            _ => return Err(refusal.at(endpoint)),
        }
    }
}

/// One request and its answer.
struct Exchange {
    proof: Option<HeaderValue>,
    attempt: Option<Attempt>,
    answer: Answer,
    /// What the client proved itself with and what it sent, to be kept out of messages.
    secrets: Vec<Zeroizing<String>>,
    nonce_given: bool,
}

async fn send(
    enrolment: &Enrolment,
    endpoint: &Endpoint,
    mut form: Form,
    proving: Proving,
    attempts: &Attempts,
) -> Result<Exchange, TokenError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let (now, registration) = (enrolment.prover.now_at(endpoint), &enrolment.registration);
    let presented = enrolment.authenticator.authenticate(registration, now, &mut form, &mut headers).await?;
    let target = Target { method: &Method::POST, endpoint, ath: None };
    let (proof, attempt) = match proving {
        Proving::Yes => Some(enrolment.prover.prove(target, attempts, enrolment.prover.clock.now()).await?).unzip(),
        Proving::No => (None, None),
    };
    if let Some(proof) = &proof {
        headers.insert(DPOP, proof.clone());
    }
    enrolment.tell_sent(Server::Authorization, target, attempt.as_ref());

    let mut request = http::Request::new(Bytes::copy_from_slice(form.as_bytes()));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = headers;
    let failed = |fault| TokenError::Transport { endpoint: endpoint.to_string(), fault };
    let answer = enrolment.http.fetch(endpoint, request).await.map_err(failed)?;
    let nonce_given = enrolment.prover.learn_nonce(endpoint, &answer.headers);
    let mut secrets = form.into_secrets();
    secrets.extend([presented, Zeroizing::new(enrolment.authenticator.secret().to_owned())]);
    Ok(Exchange { proof, attempt, answer, secrets, nonce_given })
}

struct Refusal {
    status: StatusCode,
    error: Option<ErrorCode>,
    description: Option<String>,
}

impl Refusal {
    fn at(self, endpoint: &Endpoint) -> TokenError {
        let Self { status, error, description } = self;
        TokenError::Refused { endpoint: endpoint.to_string(), status: status.as_u16(), error, description }
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
        if matches!(status, StatusCode::OK | StatusCode::CREATED) {
            return None;
        }
        let said: Option<ErrorAnswer> = from_strict_json(&self.answer.body, JsonLimits::DOCUMENT).ok();
        let error = said.as_ref().and_then(|said| said.error.parse().ok());
        let description = said.and_then(|said| said.error_description).and_then(|text| self.shown(&text));
        Some(Refusal { status, error, description })
    }

    fn shown(&self, text: &str) -> Option<String> {
        let mut secrets: Vec<&str> = self.secrets.iter().map(|secret| secret.as_str()).collect();
        secrets.extend(self.proof.as_ref().and_then(|proof| proof.to_str().ok()));
        secrets.extend(self.attempt.as_ref().and_then(|attempt| attempt.nonce.as_ref()).map(Nonce::as_str));
        shown_without(text, &secrets)
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
