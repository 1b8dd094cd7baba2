//! OAuth DPoP (RFC 9449): make, parse, check, confirm and explain proofs of possession.
//!
//! Pure: no I/O, no runtime, no logging; the time is an argument.
//!
//! A client makes a proof for every request with [`ProofMaker`]. A server knows its [`PublicOrigin`], reads the fields
//! with [`headers`], and lets a [`Verifier`] make the checks in their order; the first that fails gives a
//! [`Rejection`], which knows its status, its code and its [`Diagnosis`]. What is left to do is said by the types:
//! a [`CheckedProof`] is good by itself, a [`BoundProof`] belongs to the access token, a [`ConfirmedRequest`] or
//! [`VerifiedProof`] was never seen before.
//!
//! ```
//! use std::sync::Arc;
//!
//! use countersign_dpop::jose::{Algorithm, SoftwareKey};
//! use countersign_dpop::replay::{Epoch, EpochId};
//! use countersign_dpop::time::Timestamp;
//! use countersign_dpop::{Confirmation, ExpectedAth, ExpectedRequest, NonceKey, ProofMaker, ProofRequest, PublicOrigin, Verifier};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp::from_seconds(1_700_000_000);
//!
//! // The client signs the request that it is about to send.
//! let maker = ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256)?));
//! let token = "an.access.token";
//! let request = ProofRequest { method: "GET", url: "https://api.example/orders?open", token: Some(token), nonce: None };
//! let proof = maker.make_now(&request, now)?;
//!
//! // The server checks it against what it knows of the request.
//! let origin = PublicOrigin::parse("https://api.example")?;
//! let verifier = Verifier::new(origin.as_str(), NonceKey::generate()?);
//! let (htu, ath) = (origin.htu("/orders?open")?, ExpectedAth::of(token));
//! let expected = ExpectedRequest { method: "GET", htu: &htu, ath: Some(&ath) };
//! // A server takes the epoch from its replay store; this one remembers everything.
//! let epoch = Epoch { id: EpochId::default(), floor: Timestamp::MIN };
//! let checked = verifier.check(&proof, &expected, &epoch, now)?;
//!
//! // The access token says which key it is bound to.
//! let bound = checked.confirm(&Confirmation::bound_to(*maker.jkt()))?;
//! assert_eq!(bound.proof().jkt(), maker.jkt());
//! // Last, `bound.record(store, quota, now)` makes sure that it is the first use.
//!
//! // The same proof is good for nothing else.
//! let other = ExpectedRequest { method: "POST", ..expected };
//! let refused = verifier.check(&proof, &other, &epoch, now).unwrap_err();
//! assert_eq!(refused.resource_status(), 401);
//! assert_eq!(refused.code().map(|code| code.as_str()), Some("invalid_dpop_proof"));
//! # Ok(())
//! # }
//! ```
//!
//! When a request is refused and nobody knows why, [`examine::examine`] makes every check that can be made and ranks
//! what it finds:
//!
//! ```
//! use std::sync::Arc;
//!
//! use countersign_dpop::examine::{Case, Check, CheckOutcome, examine};
//! use countersign_dpop::jose::{Algorithm, SoftwareKey};
//! use countersign_dpop::time::Timestamp;
//! use countersign_dpop::{DiagnosisCode, ProofMaker, ProofRequest};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp::from_seconds(1_700_000_000);
//! let maker = ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256)?));
//! let request = ProofRequest { method: "GET", url: "http://api.example/orders", token: None, nonce: None };
//! let proof = maker.make_now(&request, now)?;
//!
//! let case = Case::new(now).with_proof(&proof).with_method("GET").with_url("https://api.example/orders");
//! let examination = examine(&case);
//! let verdict = examination.verdict().expect("a finding");
//! assert_eq!(verdict.code(), DiagnosisCode::HtuScheme);
//! assert_eq!(verdict.expected(), Some("https://api.example/orders"));
//! assert_eq!(examination.outcome(Check::Signature), Some(CheckOutcome::Passed));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod ath;
mod challenge;
mod checks;
mod confirm;
pub mod diagnosis;
pub mod error;
pub mod examine;
pub mod headers;
mod htu;
pub mod jose;
mod make;
mod nonce;
mod proof;
pub mod replay;
mod scan;
pub mod time;
mod verifier;

pub use self::ath::{Ath, ExpectedAth};
pub use self::challenge::{Challenge, ChallengeError, Scheme};
pub use self::confirm::Confirmation;
pub use self::diagnosis::{Diagnosis, DiagnosisCode};
pub use self::error::{ErrorCode, Rejection};
pub use self::htu::{Htu, HtuDifference, HtuError, PublicOrigin, PublicOriginError};
pub use self::make::{HashedRequest, MakeError, ProofMaker, ProofRequest};
pub use self::nonce::{NoRandomness, NonceAge, NonceIssuer, NonceKey, NonceKeyRing, NoncePolicy};
pub use self::proof::{
    KnownHeader, KnownHeaders, MAX_JTI_LENGTH, MAX_PROOF_LENGTH, NoKnownHeaders, PreparedKey, Proof,
};
pub use self::verifier::{
    BoundProof, CheckedProof, ConfirmedRequest, ExpectedRequest, ProofFacts, VerifiedProof, Verifier,
};
