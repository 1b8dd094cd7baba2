//! Attaching proofs, and what is learned from the answers: nonces, and the server's clock.

use std::sync::Arc;

use countersign_dpop::jose::SignError;
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{Ath, HashedRequest, MakeError, ProofMaker};
use http::{HeaderMap, HeaderValue, Method};

use crate::http::{Endpoint, read_date};
use crate::nonce::{Binding, Nonce, NonceJar, OfferedNonce};
use crate::token::secret_field;

/// Makes the proofs of one binding.
#[derive(Debug)]
pub(crate) struct Prover {
    pub(crate) maker: ProofMaker,
    pub(crate) clock: Arc<dyn Clock>,
    jar: Arc<NonceJar>,
    binding: Binding,
}

/// What a proof is made for.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) method: &'a Method,
    pub(crate) endpoint: &'a Endpoint,
    /// The hash of the token that goes with it.
    pub(crate) ath: Option<&'a Ath>,
}

/// One request as it went out.
pub(crate) struct Attempt {
    pub(crate) nonce: Option<Nonce>,
    /// Our clock, not corrected.
    local: Timestamp,
    /// The correction that the proof was dated with.
    offset: i64,
}

/// How often one request may be sent again: once for each cause.
#[derive(Default)]
pub(crate) struct Attempts {
    next_nonce: Option<Nonce>,
    nonce_spent: bool,
    clock_spent: bool,
    token_spent: bool,
}

/// Why a demand for a nonce could not be met (RFC 9449 §8, §9).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NonceError {
    /// The body was a stream and is gone. The nonce was kept: the next request will carry it.
    #[error("the server asks for a nonce, and the body cannot be sent again; send the request once more")]
    BodyNotRepeatable,
    /// No nonce came with the demand.
    #[error("the server asks for a nonce and gives none")]
    Missing,
    /// The same nonce as in the proof that was refused.
    #[error("the server refuses the nonce that it gave and gives it again")]
    Repeated,
    /// Another nonce each time.
    #[error("the server asks for yet another nonce after it got the one that it gave")]
    Unending,
    /// More than one `DPoP-Nonce` field, or one that is too long or has characters that no nonce has.
    #[error("the server gives a nonce that cannot be one")]
    Unusable,
}

/// The server's clock is so far from ours that it is not followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the proof was refused, and the server's clock is {} s {} this machine's; set the clock",
    seconds.unsigned_abs(),
    if *seconds < 0 { "behind" } else { "ahead of" }
)]
pub struct ClockOff {
    /// Seconds that it is ahead of ours.
    pub seconds: i64,
}

/// A difference up to here is no reason for a refusal, in seconds.
const SAME_TIME: u64 = 5;
/// A difference beyond this is not followed, in seconds.
const MAX_OFFSET: u64 = 86_400;

impl Prover {
    pub(crate) fn new(maker: ProofMaker, clock: Arc<dyn Clock>, jar: Arc<NonceJar>, binding: Binding) -> Self {
        Self { maker, clock, jar, binding }
    }

    /// The time at `endpoint`'s server, as far as known.
    pub(crate) fn now_at(&self, endpoint: &Endpoint) -> Timestamp {
        self.clock.now().plus(self.jar.known(&self.binding, endpoint.origin()).clock_offset)
    }

    /// Makes a fresh proof for `target` at `now` by our clock: the value of the `DPoP` field.
    pub(crate) async fn prove(
        &self,
        target: Target<'_>,
        attempts: &Attempts,
        now: Timestamp,
    ) -> Result<(HeaderValue, Attempt), MakeError> {
        let known = self.jar.known(&self.binding, target.endpoint.origin());
        let nonce = attempts.next_nonce.clone().or(known.nonce);
        let (local, offset) = (now, known.clock_offset);
        let request = HashedRequest {
            method: target.method.as_str(),
            url: target.endpoint.as_str(),
            ath: target.ath,
            nonce: nonce.as_ref().map(Nonce::as_str),
        };
        // A compact JWS has no character that a field's value could not have.
        let made = self.maker.make_hashed(&request, local.plus(offset)).await?;
        Ok((secret_field(made).ok_or(SignError::Failed)?, Attempt { nonce, local, offset }))
    }

    /// Keeps the nonce of an answer, whatever its status. True when there is one.
    pub(crate) fn learn_nonce(&self, endpoint: &Endpoint, headers: &HeaderMap) -> bool {
        match OfferedNonce::read(headers) {
            OfferedNonce::One(nonce) => {
                self.jar.put(&self.binding, endpoint.origin(), nonce);
                true
            }
            OfferedNonce::None | OfferedNonce::Unusable => false,
        }
    }
}

impl Attempts {
    /// Prepares to send once more after a demand for a nonce.
    pub(crate) fn again_for_nonce(&mut self, refused: &Attempt, answer: &HeaderMap) -> Result<(), NonceError> {
        let nonce = match OfferedNonce::read(answer) {
            OfferedNonce::None => return Err(NonceError::Missing),
            OfferedNonce::Unusable => return Err(NonceError::Unusable),
            OfferedNonce::One(nonce) => nonce,
        };
        if refused.nonce.as_ref() == Some(&nonce) {
            return Err(NonceError::Repeated);
        }
        if self.nonce_spent {
            return Err(NonceError::Unending);
        }
        self.nonce_spent = true;
        self.next_nonce = Some(nonce);
        Ok(())
    }

    /// Prepares to send once more after a proof was refused: `Some` with the server's offset if its clock can be
    /// the cause and has not been followed yet.
    pub(crate) fn again_for_clock(
        &mut self,
        prover: &Prover,
        endpoint: &Endpoint,
        refused: &Attempt,
        answer: &HeaderMap,
    ) -> Result<Option<i64>, ClockOff> {
        let Some(date) = read_date(answer) else { return Ok(None) };
        let seconds = date.since(refused.local);
        if self.clock_spent || seconds.saturating_sub(refused.offset).unsigned_abs() <= SAME_TIME {
            return Ok(None);
        }
        if seconds.unsigned_abs() > MAX_OFFSET {
            return Err(ClockOff { seconds });
        }
        self.clock_spent = true;
        prover.jar.put_clock_offset(&prover.binding, endpoint.origin(), seconds);
        Ok(Some(seconds))
    }

    /// What `Date` of an answer that asks for a nonce says of the server's clock: `Some` with its offset when the
    /// proof that it refused was dated otherwise. The next proof is dated by it.
    pub(crate) fn learn_clock(
        &self,
        prover: &Prover,
        endpoint: &Endpoint,
        refused: &Attempt,
        answer: &HeaderMap,
    ) -> Option<i64> {
        let seconds = read_date(answer)?.since(refused.local);
        let differs = seconds.saturating_sub(refused.offset).unsigned_abs() > SAME_TIME;
        if !differs || self.clock_spent || seconds.unsigned_abs() > MAX_OFFSET {
            return None;
        }
        prover.jar.put_clock_offset(&prover.binding, endpoint.origin(), seconds);
        Some(seconds)
    }

    /// True once: a refused token is replaced by a new one.
    pub(crate) fn again_for_token(&mut self) -> bool {
        !std::mem::replace(&mut self.token_spent, true)
    }
}
