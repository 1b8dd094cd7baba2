//! The verifier: one list of checks, two drivers. `check` stops at the first failure; `examine` runs them all.

#[cfg(test)]
mod tests;

use crate::ath::ExpectedAth;
use crate::checks;
use crate::confirm::Confirmation;
use crate::error::{NonceError, ProofError, Rejection, ReplayError};
use crate::htu::Htu;
use crate::jose::{Algorithm, Algorithms, Jkt, JwsBuffer};
use crate::nonce::{NonceAge, NonceIssuer, NonceKeyRing, NoncePolicy};
use crate::proof::{KnownHeaders, NoKnownHeaders, Proof};
use crate::replay::{Epoch, EpochId, QuotaKey, RealmId, Recorded, ReplayEntry, ReplayKey, ReplayStore};
use crate::time::{NumericDate, Timestamp, Window};

/// The request that a proof has to be for, as the server knows it.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedRequest<'a> {
    /// The method exactly as received.
    pub method: &'a str,
    /// The request's URI by the configured public origin.
    pub htu: &'a Htu,
    /// The hash of the access token presented, `None` where there is none (at the authorization server).
    pub ath: Option<&'a ExpectedAth<'a>>,
}

/// Checks proofs for one realm.
#[derive(Clone, Debug)]
pub struct Verifier {
    realm: String,
    realm_id: RealmId,
    algorithms: Algorithms,
    window: Window,
    nonce_policy: NoncePolicy,
    nonce_issuer: NonceIssuer,
}

impl Verifier {
    /// A verifier for `realm` (the resource identifier, or the issuer at an authorization server) with the window
    /// `rfc`, all algorithms, and nonces asked for only where the replay memory does not reach.
    pub fn new(realm: impl Into<String>, nonce_keys: impl Into<NonceKeyRing>) -> Self {
        let realm = realm.into();
        Self {
            nonce_issuer: NonceIssuer::new(realm.clone(), nonce_keys),
            realm_id: RealmId::of(&realm),
            realm,
            algorithms: Algorithms::all(),
            window: Window::RFC,
            nonce_policy: NoncePolicy::Optional,
        }
    }

    /// Accepts these algorithms only.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// Uses another window.
    #[must_use]
    pub fn with_window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Uses another nonce policy.
    #[must_use]
    pub fn with_nonce_policy(mut self, policy: NoncePolicy) -> Self {
        self.nonce_policy = policy;
        self
    }

    /// Uses another nonce issuer, for instance one with a ring of keys.
    #[must_use]
    pub fn with_nonce_issuer(mut self, issuer: NonceIssuer) -> Self {
        self.nonce_issuer = issuer;
        self
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The accepted algorithms.
    pub const fn algorithms(&self) -> &Algorithms {
        &self.algorithms
    }

    /// The window.
    pub const fn window(&self) -> Window {
        self.window
    }

    /// The nonce policy.
    pub const fn nonce_policy(&self) -> NoncePolicy {
        self.nonce_policy
    }

    /// A fresh nonce for an answer.
    pub fn issue_nonce(&self, epoch: &EpochId, now: Timestamp) -> String {
        self.nonce_issuer.issue(epoch, now)
    }

    /// Runs the checks of RFC 9449 §4.3 that need nothing but the proof and the request, in the order size,
    /// segments, base64url, JSON, `typ`, `alg`, `crit`, `jwk`, time, `htm`, `htu`, `ath`, nonce, signature. Pure: a
    /// refused proof leaves nothing behind.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(
        &self,
        proof: &str,
        request: &ExpectedRequest<'_>,
        epoch: &Epoch,
        now: Timestamp,
    ) -> Result<CheckedProof, Rejection> {
        self.check_in(proof, request, epoch, now, &mut JwsBuffer::new())
    }

    /// [`Verifier::check`] with a buffer that is used again from call to call.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check_in(
        &self,
        proof: &str,
        request: &ExpectedRequest<'_>,
        epoch: &Epoch,
        now: Timestamp,
        buffer: &mut JwsBuffer,
    ) -> Result<CheckedProof, Rejection> {
        self.check_among(proof.as_bytes(), request, epoch, now, buffer, &NoKnownHeaders)
    }

    /// [`Verifier::check_in`] that does not read a header again whose exact text is `known`. Any bytes may be given.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check_among(
        &self,
        proof: &[u8],
        request: &ExpectedRequest<'_>,
        epoch: &Epoch,
        now: Timestamp,
        buffer: &mut JwsBuffer,
        known: &dyn KnownHeaders,
    ) -> Result<CheckedProof, Rejection> {
        let proof = Proof::parse_among(proof, buffer, &self.algorithms, known)?;
        let claims = &proof.claims;
        checks::check_time(claims, self.window, now)?;
        checks::check_htm(claims, request.method)?;
        checks::check_htu(claims, request.htu)?;
        checks::check_ath(claims, request.ath)?;
        let nonce = checks::check_nonce(claims, self.nonce_policy, &self.nonce_issuer, epoch, now)?;
        checks::check_signature(&proof, &self.algorithms)?;
        let (nonce_age, nonce_epoch) = nonce.unzip();
        Ok(CheckedProof {
            facts: ProofFacts { algorithm: proof.algorithm(), jkt: *proof.jkt(), iat: claims.iat, nonce_age },
            not_after: self.window.not_after(claims.iat),
            replay_key: ReplayKey::new(&self.realm_id, proof.jkt(), &claims.jti),
            nonce_policy: self.nonce_policy,
            nonce_epoch,
        })
    }
}

/// What a checked proof says.
#[derive(Clone, Debug)]
pub struct ProofFacts {
    algorithm: Algorithm,
    jkt: Jkt,
    iat: NumericDate,
    nonce_age: Option<NonceAge>,
}

impl ProofFacts {
    /// The algorithm of its signature.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The thumbprint of its key.
    pub const fn jkt(&self) -> &Jkt {
        &self.jkt
    }

    /// When it was made, by the client's clock.
    pub const fn iat(&self) -> NumericDate {
        self.iat
    }

    /// How old its nonce is, if it carries one.
    pub const fn nonce_age(&self) -> Option<NonceAge> {
        self.nonce_age
    }
}

/// A proof that passed every pure check, its signature included. Not yet bound to a token, not yet recorded.
#[derive(Clone, Debug)]
pub struct CheckedProof {
    facts: ProofFacts,
    not_after: Timestamp,
    replay_key: ReplayKey,
    nonce_policy: NoncePolicy,
    nonce_epoch: Option<EpochId>,
}

impl CheckedProof {
    /// What it says.
    pub const fn facts(&self) -> &ProofFacts {
        &self.facts
    }

    /// The thumbprint of its key.
    pub const fn jkt(&self) -> &Jkt {
        &self.facts.jkt
    }

    /// What a replay store is to record, counted against `quota`.
    pub fn replay_entry(&self, quota: Option<QuotaKey>) -> ReplayEntry {
        ReplayEntry {
            key: self.replay_key,
            iat: self.facts.iat,
            not_after: self.not_after,
            nonce_epoch: self.nonce_epoch,
            quota,
        }
    }

    /// Authorization server: takes what the storage transaction said of [`CheckedProof::replay_entry`].
    ///
    /// # Errors
    /// [`ReplayError::Replayed`]; [`NonceError::EpochDemandsNonce`], or [`ProofError::BeforeEpoch`] where nonces are
    /// switched off.
    pub fn accept(self, recorded: Recorded) -> Result<VerifiedProof, Rejection> {
        self.judge(recorded)?;
        Ok(VerifiedProof { proof: self.facts })
    }

    /// Resource server: confirms that the access token is bound to this proof's key.
    ///
    /// # Errors
    /// See [`crate::error::ConfirmationError`].
    pub fn confirm(&self, confirmation: &Confirmation) -> Result<BoundProof<'_>, Rejection> {
        confirmation.confirm(self.jkt())?;
        Ok(BoundProof { proof: self })
    }

    fn judge(&self, recorded: Recorded) -> Result<(), Rejection> {
        match (recorded, self.nonce_policy) {
            (Recorded::First, _) => Ok(()),
            (Recorded::Replayed, _) => Err(ReplayError::Replayed.into()),
            // The epoch began between check and record; a nonce helps only where one is looked at.
            (Recorded::NonceDemanded, NoncePolicy::Never) => Err(ProofError::BeforeEpoch.into()),
            (Recorded::NonceDemanded, NoncePolicy::Optional | NoncePolicy::Required) => {
                Err(NonceError::EpochDemandsNonce.into())
            }
        }
    }
}

/// A checked proof whose key is the one that the access token is bound to. Not yet recorded.
#[derive(Clone, Debug)]
pub struct BoundProof<'a> {
    proof: &'a CheckedProof,
}

impl BoundProof<'_> {
    /// The proof.
    pub const fn proof(&self) -> &CheckedProof {
        self.proof
    }

    /// Records the proof, the last step before the request may be served.
    ///
    /// # Errors
    /// Replayed, a nonce demanded by a new epoch, or a store that cannot judge.
    pub async fn record(
        self,
        store: &dyn ReplayStore,
        quota: Option<QuotaKey>,
        now: Timestamp,
    ) -> Result<ConfirmedRequest, Rejection> {
        let entry = self.proof.replay_entry(quota);
        let recorded = store.record(&entry, now).await.map_err(ReplayError::from)?;
        self.proof.judge(recorded)?;
        Ok(ConfirmedRequest { proof: self.proof.facts.clone() })
    }
}

/// Authorization server: a checked proof that was recorded as never seen before.
#[derive(Clone, Debug)]
pub struct VerifiedProof {
    proof: ProofFacts,
}

impl VerifiedProof {
    /// What the proof says.
    pub const fn proof(&self) -> &ProofFacts {
        &self.proof
    }

    /// The key that tokens are to be bound to.
    pub const fn jkt(&self) -> &Jkt {
        self.proof.jkt()
    }
}

/// Resource server: token and proof belong together and the proof was recorded as never seen before.
#[derive(Clone, Debug)]
pub struct ConfirmedRequest {
    proof: ProofFacts,
}

impl ConfirmedRequest {
    /// What the proof says.
    pub const fn proof(&self) -> &ProofFacts {
        &self.proof
    }

    /// The key that signed the request.
    pub const fn jkt(&self) -> &Jkt {
        self.proof.jkt()
    }
}
