//! OAuth DPoP (RFC 9449): make, parse, check, confirm and explain proofs of possession.
//!
//! Pure: no I/O, no runtime, no logging; the time is an argument.
#![forbid(unsafe_code)]

mod ath;
mod challenge;
mod checks;
mod confirm;
pub mod diagnosis;
pub mod error;
pub mod headers;
mod htu;
pub mod jose;
mod make;
mod nonce;
mod proof;
pub mod replay;
pub mod time;
mod verifier;

pub use self::ath::Ath;
pub use self::challenge::{Challenge, ChallengeError, Scheme};
pub use self::confirm::Confirmation;
pub use self::diagnosis::{Diagnosis, DiagnosisCode};
pub use self::error::{ErrorCode, Rejection};
pub use self::htu::{Htu, HtuDifference, HtuError, PublicOrigin, PublicOriginError};
pub use self::make::{MakeError, ProofMaker, ProofRequest};
pub use self::nonce::{NoRandomness, NonceAge, NonceIssuer, NonceKey, NoncePolicy};
pub use self::proof::{MAX_JTI_LENGTH, MAX_PROOF_LENGTH, Proof};
pub use self::verifier::{BoundProof, CheckedProof, ConfirmedRequest, ExpectedRequest, VerifiedProof, Verifier};
