//! Verifying and building tables by each engine beside the library: `cargo bench -p countersign-es256`.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a program for a terminal")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use countersign_es256::{Engine, PreparedKey, PublicKey, Tier, Verifier};
use divan::Bencher;

/// As long as what a proof's signature is over.
const MESSAGE: [u8; 420] = [b'm'; 420];

fn main() {
    divan::main();
}

fn pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

fn signature(pair: &EcdsaKeyPair) -> Vec<u8> {
    pair.sign(&SystemRandom::new(), &MESSAGE).unwrap().as_ref().to_vec()
}

fn public(pair: &EcdsaKeyPair) -> PublicKey {
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    PublicKey::from_coordinates(x.try_into().unwrap(), y.try_into().unwrap()).unwrap()
}

#[divan::bench]
fn library(bencher: Bencher<'_, '_>) {
    let pair = pair();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref().to_vec());
    bencher.with_inputs(|| signature(&pair)).bench_refs(|signature| key.verify(&MESSAGE, signature).is_ok());
}

#[divan::bench(args = [(Engine::Portable, Tier::Small), (Engine::Portable, Tier::Hot), (Engine::Ifma, Tier::Small), (Engine::Ifma, Tier::Hot)])]
fn with_table(bencher: Bencher<'_, '_>, (engine, tier): (Engine, Tier)) {
    let pair = pair();
    // An engine that this machine lacks is not run.
    if !engine.is_available() {
        return;
    }
    let verifier = Verifier::new(engine);
    let key = PreparedKey::with(&public(&pair), engine, tier);
    bencher
        .with_inputs(|| signature(&pair))
        .bench_refs(|signature| verifier.verify(&key, &MESSAGE, signature).is_accepted());
}

#[divan::bench(args = [Tier::Small, Tier::Hot])]
fn build_table(bencher: Bencher<'_, '_>, tier: Tier) {
    bencher.with_inputs(|| public(&pair())).bench_refs(|key| PreparedKey::with(key, Engine::Portable, tier));
}
