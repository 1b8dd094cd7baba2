//! A look at an engine on this very machine before it is trusted: signatures that were just made, whole and damaged.
//!
//! An engine may be right by all its tests and still be wrong where it runs: by a compiler, by a hypervisor that shows
//! instructions it emulates badly, by a processor with a fault. The library, which signs here, is the judge.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use crate::engine::Engine;
use crate::key::{PreparedKey, PublicKey, Tier};
use crate::library;
use crate::signature::{Question, SIGNATURE_LENGTH};

/// So many keys, each with two sizes of table: a few milliseconds in all.
const KEYS: usize = 8;
const MESSAGE: &[u8] = b"countersign es256 self-test";

/// True if the engine takes what was signed and refuses what was damaged.
pub(crate) fn passes(engine: Engine) -> bool {
    (0..KEYS).all(|_| Sample::draw().is_some_and(|sample| sample.is_judged_right_by(engine)))
}

struct Sample {
    key: PublicKey,
    hash: [u8; 32],
    signature: [u8; SIGNATURE_LENGTH],
}

impl Sample {
    fn draw() -> Option<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
        let key = PublicKey::from_coordinates(x.try_into().ok()?, y.try_into().ok()?).ok()?;
        let signature = pair.sign(&SystemRandom::new(), MESSAGE).ok()?.as_ref().try_into().ok()?;
        Some(Self { key, hash: library::sha256(MESSAGE), signature })
    }

    fn is_judged_right_by(&self, engine: Engine) -> bool {
        [Tier::Small, Tier::Hot].into_iter().all(|tier| {
            let key = PreparedKey::with(&self.key, engine, tier);
            let says = |hash, signature: &_| Question::read(hash, signature).and_then(|question| key.decide(&question));
            // A low bit of the hash, of r and of s, so that both halves stay within their bounds.
            let damaged_hash = flipped(self.hash, 31);
            let (r, s) = (flipped(self.signature, 31), flipped(self.signature, SIGNATURE_LENGTH - 1));
            says(&self.hash, &self.signature) == Some(true)
                && says(&damaged_hash, &self.signature) == Some(false)
                && [r, s].iter().all(|damaged| says(&self.hash, damaged) == Some(false))
        })
    }
}

fn flipped<const N: usize>(mut bytes: [u8; N], place: usize) -> [u8; N] {
    bytes[place] ^= 4;
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Sample, passes};
    use crate::engine::Engine;

    #[test]
    fn every_engine_with_tables_passes() {
        assert!(passes(Engine::Portable));
        assert!(passes(Engine::Ifma));
    }

    #[test]
    fn what_decides_nothing_or_wrongly_does_not_pass() {
        assert!(!passes(Engine::Library), "it has no table");
        let (one, other) = (Sample::draw().unwrap(), Sample::draw().unwrap());
        let mixed = Sample { key: one.key, ..other };
        assert!(!mixed.is_judged_right_by(Engine::Portable));
    }
}
