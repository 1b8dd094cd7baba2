//! What a proof costs in this crate: `cargo bench -p countersign-dpop`. Every proof is one that nothing has seen.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a program for a terminal")]

use std::sync::Arc;

use countersign_dpop::jose::{Algorithm, Algorithms, JwsBuffer, SoftwareKey};
use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::Timestamp;
use countersign_dpop::{
    Ath, ExpectedAth, ExpectedRequest, Htu, NonceKey, Proof, ProofMaker, ProofRequest, PublicOrigin, Verifier,
};
use divan::{Bencher, black_box};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const URL: &str = "https://api.example/orders/17?view=full";
const TOKEN: &str = "an.access.token";
const EPOCH: Epoch = Epoch { id: EpochId::from_bytes([0; 16]), floor: Timestamp::MIN };

fn main() {
    divan::main();
}

fn maker(algorithm: Algorithm) -> ProofMaker {
    ProofMaker::new(Arc::new(SoftwareKey::generate(algorithm).unwrap()))
}

fn proof(maker: &ProofMaker) -> String {
    maker.make_now(&ProofRequest { method: "GET", url: URL, token: Some(TOKEN), nonce: None }, NOW).unwrap()
}

/// Form, header and claims, before anything is compared.
#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let (maker, accepted) = (maker(Algorithm::Es256), Algorithms::all());
    bencher
        .with_inputs(|| proof(&maker))
        .bench_refs(|proof| Proof::parse(proof, &mut JwsBuffer::new(), &accepted).is_ok());
}

/// All checks of a proof, its signature by the library.
#[divan::bench(args = [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Es384])]
fn check(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let (maker, verifier) = (maker(algorithm), Verifier::new("https://api.example", NonceKey::from_bytes([0; 32])));
    let (htu, ath) = (Htu::parse(URL).unwrap(), ExpectedAth::of(TOKEN));
    let expected = ExpectedRequest { method: "GET", htu: &htu, ath: Some(&ath) };
    bencher.with_inputs(|| proof(&maker)).bench_refs(|proof| verifier.check(proof, &expected, &EPOCH, NOW).is_ok());
}

/// Everything up to the signature: a proof for another URL, which is refused before it.
#[divan::bench]
fn parse_and_refuse(bencher: Bencher<'_, '_>) {
    let (maker, verifier) =
        (maker(Algorithm::Es256), Verifier::new("https://api.example", NonceKey::from_bytes([0; 32])));
    let (htu, ath) = (Htu::parse("https://api.example/elsewhere").unwrap(), ExpectedAth::of(TOKEN));
    let expected = ExpectedRequest { method: "GET", htu: &htu, ath: Some(&ath) };
    bencher.with_inputs(|| proof(&maker)).bench_refs(|proof| verifier.check(proof, &expected, &EPOCH, NOW).is_err());
}

/// The expected URL of a request, from the origin and the raw path.
#[divan::bench]
fn htu_of_a_request(bencher: Bencher<'_, '_>) {
    let origin = PublicOrigin::parse("https://api.example").unwrap();
    bencher.bench(|| origin.htu(black_box("/orders/17?view=full")));
}

/// A URL of a proof against the expected one.
#[divan::bench]
fn htu_is_named_by(bencher: Bencher<'_, '_>) {
    let htu = Htu::parse(URL).unwrap();
    bencher.bench(|| htu.is_named_by(black_box("https://api.example/orders/17")));
}

#[divan::bench]
fn ath() -> Ath {
    Ath::of(black_box(TOKEN))
}

/// A whole proof, as a client makes it.
#[divan::bench(args = [Algorithm::Es256, Algorithm::Ed25519])]
fn make(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let maker = maker(algorithm);
    bencher.bench(|| proof(&maker));
}
