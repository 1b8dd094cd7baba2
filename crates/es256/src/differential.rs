//! Good and mutated signatures, judged by every engine and tier and by aws-lc-rs. Also part of the example
//! `differential`, which is for millions of them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use countersign_es256::{Engine, PreparedKey, PublicKey, Sampling, Tier, Verdict, Verifier};

/// The order of P-256, big-endian (SP 800-186 §3.2.1.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
const NEVER: Sampling = Sampling { accepted: 0, refused: 0 };

/// What a run found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// Keys.
    pub(crate) keys: u64,
    /// Signatures, each judged by the library and by every engine and tier.
    pub(crate) signatures: u64,
    /// Of these, by the library.
    pub(crate) accepted: u64,
    /// Cases that an engine gave to the library.
    pub(crate) undecided: u64,
    /// Verdicts of an engine that were not the library's.
    pub(crate) wrong: u64,
}

/// Judges `signatures` signatures by each of `keys` new keys; `seed` chooses the mutations.
pub(crate) fn run(keys: u64, signatures: u64, seed: u64, mut progress: impl FnMut(&Found)) -> Found {
    let mut numbers = Numbers(seed);
    let mut found = Found::default();
    let engines: Vec<_> = Engine::ALL.into_iter().filter(|e| *e != Engine::Library && e.is_available()).collect();
    let verifiers: Vec<_> = engines.iter().map(|&engine| Verifier::new(engine).with_sampling(NEVER)).collect();
    let library = Verifier::new(Engine::Library);
    let mut last = Signer::new();
    for _ in 0..keys {
        let signer = Signer::new();
        let by_library = PreparedKey::with(&signer.public, Engine::Library, Tier::Small);
        let prepared: Vec<_> = engines
            .iter()
            .zip(&verifiers)
            .flat_map(|(&engine, verifier)| {
                [Tier::Small, Tier::Hot].map(|tier| (verifier, PreparedKey::with(&signer.public, engine, tier)))
            })
            .collect();
        let mut left = signatures;
        while left > 0 {
            let case = Case::signed(&signer, &mut numbers);
            for mutation in 0..left.min(Case::MUTATIONS) {
                let case = case.mutated(mutation, &last, &mut numbers);
                let right = library.verify_hash(&by_library, &case.hash, &case.signature);
                found.signatures += 1;
                found.accepted += u64::from(right == Verdict::Accepted);
                for (verifier, key) in &prepared {
                    let verdict = verifier.verify_hash(key, &case.hash, &case.signature);
                    if verdict != right {
                        found.wrong += 1;
                        report(format_args!("{key:?} says {verdict:?}: {case:02x?}"));
                    }
                }
            }
            left -= left.min(Case::MUTATIONS);
        }
        found.keys += 1;
        found.undecided = verifiers.iter().map(|verifier| verifier.counts().undecided).sum();
        last = signer;
        progress(&found);
    }
    found
}

#[expect(clippy::print_stderr, reason = "what differs has to be seen")]
fn report(what: std::fmt::Arguments<'_>) {
    eprintln!("{what}");
}

struct Signer {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl Signer {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let public = PublicKey::from_coordinates(x.try_into().unwrap(), y.try_into().unwrap()).unwrap();
        Self { pair, public }
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().try_into().unwrap()
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    hash: [u8; 32],
    signature: [u8; 64],
}

impl Case {
    /// The first is the good signature itself.
    const MUTATIONS: u64 = 20;

    fn signed(signer: &Signer, numbers: &mut Numbers) -> Self {
        let message = numbers.bytes();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &message);
        Self { hash: hash.as_ref().try_into().unwrap(), signature: signer.sign(&message) }
    }

    fn mutated(mut self, mutation: u64, other: &Signer, numbers: &mut Numbers) -> Self {
        let (r, s) = self.signature.split_at_mut(32);
        match mutation {
            // Good: as it is, and with n − s.
            0 => {}
            1 => s.copy_from_slice(&subtract(&ORDER, s)),
            // One bit, anywhere.
            2..=4 => numbers.flip(r),
            5..=7 => numbers.flip(s),
            8..=10 => numbers.flip(&mut self.hash),
            11 => r.copy_from_slice(&subtract(&ORDER, r)),
            12 => r.swap_with_slice(s),
            13 => self.signature = other.sign(&numbers.bytes()),
            14 => r.copy_from_slice(&numbers.bytes()),
            15 => s.copy_from_slice(&numbers.bytes()),
            // u1 is 0.
            16 => self.hash = [[0; 32], ORDER][usize::from(numbers.next() & 1 == 1)],
            // Numbers at the borders of 1 to n − 1.
            17 => r.copy_from_slice(&numbers.border()),
            18 => s.copy_from_slice(&numbers.border()),
            _ => {
                r.copy_from_slice(&numbers.border());
                s.copy_from_slice(&numbers.border());
                self.hash = numbers.border();
            }
        }
        self
    }
}

/// a − b modulo 2²⁵⁶.
fn subtract(a: &[u8; 32], b: &[u8]) -> [u8; 32] {
    let (mut difference, mut borrow) = ([0; 32], 0);
    for place in (0..32).rev() {
        let wide = 0x100 + u16::from(a[place]) - u16::from(b[place]) - borrow;
        difference[place] = wide.to_le_bytes()[0];
        borrow = u16::from(wide < 0x100);
    }
    difference
}

/// SplitMix64: the same run for the same seed, apart from the keys.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()));
        bytes
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let bit = self.next().to_le_bytes()[0];
        bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
    }

    /// A small number, or the order less a small number, or a power of two less a small number.
    fn border(&mut self) -> [u8; 32] {
        let mut small = [0; 32];
        small[31] = self.next().to_le_bytes()[0] % 4;
        let mut power = [0; 32];
        let bit = self.next().to_le_bytes()[0];
        power[usize::from(bit / 8)] = 1 << (bit % 8);
        match self.next() % 3 {
            0 => small,
            1 => subtract(&ORDER, &small),
            _ => subtract(&power, &small),
        }
    }
}

/// `COUNTERSIGN_ES256_SIGNATURES` says how many.
#[cfg(test)]
#[test]
fn every_engine_agrees_with_the_library() {
    #[expect(clippy::disallowed_methods, reason = "how long to test is the tester's choice")]
    let wanted = std::env::var("COUNTERSIGN_ES256_SIGNATURES").ok().and_then(|number| number.parse().ok());
    let signatures: u64 = wanted.unwrap_or(1_000);
    let found = run(signatures.div_ceil(100), 100, 1, |_| {});
    assert_eq!(found.wrong, 0, "{found:?}");
    assert!(found.signatures >= signatures && found.accepted >= found.signatures / 10, "{found:?}");
}
