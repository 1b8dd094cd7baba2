//! Making proofs and tokens that are right but for what is made wrong on purpose.
//!
//! Nothing here checks anything: [`ProofForge`] starts as a right proof, and every part of it can be replaced by
//! any text before it is signed.

mod object;
mod proof;

pub use self::object::{RawObject, RawValue, quoted};
pub use self::proof::{ProofClaims, ProofForge, StartError, random_jti};
