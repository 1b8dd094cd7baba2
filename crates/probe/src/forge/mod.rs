//! Making proofs and tokens that are right but for what is made wrong on purpose.
//!
//! Nothing here checks anything: a [`JwsForge`] starts as a right proof or token, and every part of it can be
//! replaced by any text before it is signed, by a [`ForgeKey`] in any [`SignatureForm`] or by a signer of the caller.

mod big;
mod fault;
mod jws;
mod key;
mod object;
mod rsa;
mod thumbprint;

pub use self::fault::{EcdsaForm, Ed25519Form, ForgeError, RsaForm, SignatureForm};
pub(crate) use self::jws::with_stray_bits;
pub use self::jws::{Encoding, JwsForge, ProofClaims, TokenClaims, random_jti};
pub use self::key::ForgeKey;
pub use self::object::{RawObject, RawValue, quoted};
pub use self::thumbprint::thumbprint;
