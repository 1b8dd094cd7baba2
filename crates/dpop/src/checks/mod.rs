//! The checks of RFC 9449 §4.3 that need the parsed proof and the request, one function each. Checks 1 to 5, 7 and the
//! form of the claims are made by [`crate::headers`] and [`crate::Proof::parse`]; 12b by [`crate::Confirmation`].
//!
//! Each is pure and asks nothing of the others, so that `Verifier::check` can stop at the first that fails and
//! `examine` can run them all.

#[cfg(test)]
mod tests;

use crate::ath::ExpectedAth;
use crate::error::{KeyError, NonceError, ProofError, Rejection, shorten, shortened};
use crate::htu::Htu;
use crate::jose::{Algorithms, InvalidSignature};
use crate::nonce::{NonceAge, NonceIssuer, NoncePolicy};
use crate::proof::{Claims, Proof};
use crate::replay::{Epoch, EpochId};
use crate::time::{NumericDate, Timestamp, Window};

/// Check 11: the time of making lies within the window, both edges included, and the proof's own `exp` and `nbf`,
/// which RFC 9449 does not ask for, hold when they are there (RFC 7519 §4.1.4, §4.1.5).
pub(crate) fn check_time(claims: &Claims<'_>, window: Window, now: Timestamp) -> Result<(), ProofError> {
    check_age(claims.iat, window, now)?;
    check_not_ahead(claims.iat, window, now)?;
    if let Some(exp) = claims.exp.filter(|exp| exp.ceil() <= now) {
        return Err(ProofError::Expired { ago: now.since(exp.floor()) });
    }
    claims.nbf.map_or(Ok(()), |nbf| check_not_ahead(nbf, window, now))
}

fn check_age(iat: NumericDate, window: Window, now: Timestamp) -> Result<(), ProofError> {
    if now <= window.not_after(iat) {
        return Ok(());
    }
    Err(ProofError::Stale { age: now.since(iat.floor()), max_age: window.max_age() })
}

fn check_not_ahead(date: NumericDate, window: Window, now: Timestamp) -> Result<(), ProofError> {
    let ahead = date.ceil().since(now);
    if ahead <= window.max_ahead() {
        return Ok(());
    }
    Err(ProofError::FromFuture { ahead, max_ahead: window.max_ahead() })
}

/// Check 8: `htm` is the request's method; case counts (RFC 9110 §9.1).
pub(crate) fn check_htm(claims: &Claims<'_>, method: &str) -> Result<(), ProofError> {
    if claims.htm == method {
        return Ok(());
    }
    Err(ProofError::HtmMismatch { expected: shorten(method), found: shorten(&claims.htm) })
}

/// Check 9: `htu` is the request's URI, both normalised, query and fragment aside.
pub(crate) fn check_htu(claims: &Claims<'_>, expected: &Htu) -> Result<(), ProofError> {
    if claims.htu == expected.as_str() {
        return Ok(());
    }
    let found = expected.parse_beside(&claims.htu).map_err(|fault| ProofError::HtuMalformed { fault })?;
    let Some(difference) = expected.difference(&found) else { return Ok(()) };
    let (expected, found) = (shorten(expected.as_str()), shortened(found.into_string()));
    Err(ProofError::HtuMismatch { expected, found, difference })
}

/// Check 12a: with an access token, `ath` is its hash; without one there is no `ath`.
pub(crate) fn check_ath(claims: &Claims<'_>, token: Option<&ExpectedAth<'_>>) -> Result<(), ProofError> {
    match (claims.ath.as_deref(), token) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(ProofError::AthMissing),
        (Some(_), None) => Err(ProofError::AthUnexpected),
        (Some(claim), Some(token)) => {
            // A hash has one spelling, so the texts are the same where the hashes are.
            if token.get().is_spelled(claim) { Ok(()) } else { Err(ProofError::AthMismatch) }
        }
    }
}

/// Check 10, and the epoch's demand: gives the age and the epoch of a good nonce, nothing where none was looked at.
pub(crate) fn check_nonce(
    claims: &Claims<'_>,
    policy: NoncePolicy,
    issuer: &NonceIssuer,
    epoch: &Epoch,
    now: Timestamp,
) -> Result<Option<(NonceAge, EpochId)>, Rejection> {
    let demanded = epoch.demands_nonce(claims.iat);
    match (policy, claims.nonce.as_deref()) {
        (NoncePolicy::Never, _) if demanded => Err(ProofError::BeforeEpoch.into()),
        (NoncePolicy::Optional | NoncePolicy::Required, Some(nonce)) => {
            Ok(Some((issuer.check(nonce, &epoch.id, now)?, epoch.id)))
        }
        (NoncePolicy::Required, None) => Err(NonceError::Missing.into()),
        (NoncePolicy::Optional, None) if demanded => Err(NonceError::EpochDemandsNonce.into()),
        (NoncePolicy::Never, _) | (NoncePolicy::Optional, None) => Ok(None),
    }
}

/// Check 6: the signature verifies with the key in the header. The dearest check, so the last; only when it fails is
/// it asked whether the key was one at all.
pub(crate) fn check_signature(proof: &Proof<'_>, algorithms: &Algorithms) -> Result<(), Rejection> {
    proof.verify(algorithms).map_err(|InvalidSignature| {
        if proof.key().is_on_curve() { ProofError::BadSignature.into() } else { KeyError::NotOnCurve.into() }
    })
}
