//! ES256 verification (ECDSA on P-256 with SHA-256, RFC 7518 §3.4) with a table of multiples per key: several times
//! faster than a library's for a key that signs more than once, as a DPoP client's does.
//!
//! ```
//! use countersign_es256::{Engine, PreparedKey, PublicKey, Verdict, Verifier};
//!
//! # fn example(x: &[u8; 32], y: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::new(Engine::best());
//! let key = verifier.prepare(&PublicKey::from_coordinates(x, y)?);
//! match verifier.verify(&key, message, signature) {
//!     Verdict::Accepted => println!("the key signed it"),
//!     Verdict::Refused => println!("no"),
//! }
//! // The key turns out to sign often.
//! let key = key.grown();
//! # Ok(())
//! # }
//! ```
//!
//! # What it is not for
//!
//! It verifies, and nothing else. How long it takes depends on the signature, the message and the key, which are all
//! public; nothing here may ever see a secret. Signing is aws-lc-rs's.
//!
//! # How
//!
//! A signature (r, s) over a message with hash e is good if the x of u₁G + u₂Q is r modulo n, with u₁ = e / s and
//! u₂ = r / s. A library takes some 256 doublings for that. With a table of the right multiples of Q (a signed comb) and
//! another of G, a few dozen additions and under ten doublings are left; x is compared without a division. Two sizes of
//! table: [`Tier::Small`], 4 KiB, is built in about the time of one verification by the library, [`Tier::Hot`], 32 KiB,
//! in about three.
//!
//! # Why it can be believed
//!
//! * The formulas leave out cases (a doubling inside an addition, a point at infinity). None can pass unseen: each makes
//!   the sum's denominator 0, and it stays 0. Such a case, which only who knows a private key can make, goes to the
//!   library. The tests make one at every addition.
//! * The inverse modulo n, the longest of the computations on scalars, is multiplied back at every verification.
//! * Building a table cannot meet such a case for any key: see the module `table`.
//! * A share of the verdicts is checked by the library, in production, for ever ([`Sampling`]). At the first that
//!   differs the library's is given, every engine of the process is switched off, and the owner is told
//!   ([`Verifier::on_disagreement`]).
//! * The IFMA engine is written once over eight-lane operations; tests run all of it on every machine, on a plain
//!   definition of the instructions, and compare the instructions with that definition where there are some. So far that
//!   was an emulated processor (bochs 2.7, `corei3_cnl`), where they agreed.
//! * Tests: Project Wycheproof whole; field and scalars against a big-integer crate, with limbs at their borders; every
//!   border of r, s and e; keys and sums made to be exceptional; the example `differential` against aws-lc-rs: the
//!   portable engine, both tiers, gave its verdict on each of 10,100,000 signatures by 10,100 keys, good and mutated.
//!
//! Memory: `unsafe` is in one module, for instructions that not every machine has; everything else is denied it.
//! Verifying allocates nothing, apart from what the library does when it is asked.

#![deny(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "an engine is compiled for the machine it runs on by what is inlined into it"
)]
#![expect(clippy::many_single_char_names, reason = "formulas have the names of the papers and standards they are from")]

#[cfg(test)]
extern crate self as countersign_es256;

mod comb;
#[cfg(test)]
mod differential;
mod engine;
#[cfg(test)]
mod exceptional;
mod field;
mod ifma;
mod inverse;
mod key;
mod library;
mod native;
mod point;
mod portable;
#[cfg(test)]
mod reference;
mod scalar;
mod self_test;
mod signature;
mod table;
mod verifier;
mod wide;
#[cfg(test)]
mod wycheproof;

pub use engine::{Engine, UnusableEngine};
pub use key::{InvalidKey, PreparedKey, PublicKey, Tier};
pub use signature::SIGNATURE_LENGTH;
pub use verifier::{Counts, Disagreement, Sampling, Verdict, Verifier};
