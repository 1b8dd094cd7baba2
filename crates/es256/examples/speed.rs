//! What verifying and building tables costs, against aws-lc-rs in the same process:
//!
//! ```text
//! cargo run --release -p countersign-es256 --example speed [ROUNDS]
//! ```
//!
//! Thread CPU time; in each round every row in turn; medians of all rounds, and of the ratios within a round. Every
//! signature is one that nothing has seen before in that round. On a shared machine only the ratios say something.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a terminal")]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use countersign_es256::{Engine, PreparedKey, PublicKey, Sampling, Tier, Verifier};
use rustix::time::{ClockId, clock_gettime};

/// As long as what a proof's signature is over.
const MESSAGE: [u8; 420] = [b'm'; 420];
/// Verifications by one row in one round.
const CALLS: usize = 100;

struct Signer {
    public: PublicKey,
    signatures: Vec<Vec<u8>>,
}

impl Signer {
    fn new(signatures: usize) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let public = PublicKey::from_coordinates(x.try_into().unwrap(), y.try_into().unwrap()).unwrap();
        let sign = |_| pair.sign(&SystemRandom::new(), &MESSAGE).unwrap().as_ref().to_vec();
        Self { public, signatures: (0..signatures).map(sign).collect() }
    }
}

struct Row<'a> {
    name: String,
    operation: Box<dyn FnMut() + 'a>,
    nanoseconds: Vec<f64>,
}

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(61);
    let one = Signer::new(997);
    let many: Vec<Signer> = (0..10_000).map(|_| Signer::new(1)).collect();
    let engines: Vec<_> = Engine::ALL.into_iter().filter(|e| *e != Engine::Library && e.is_available()).collect();
    let mut rows = vec![library(&one)];
    for &engine in &engines {
        for tier in [Tier::Small, Tier::Hot] {
            rows.push(build(engine, tier, &one));
            rows.push(verify(engine, tier, std::slice::from_ref(&one)));
            rows.push(verify(engine, tier, &many[..1_500]));
            rows.push(verify(engine, tier, &many));
        }
    }
    for round in 0..=rounds {
        for row in &mut rows {
            let began = thread_nanoseconds();
            (0..CALLS).for_each(|_| (row.operation)());
            // The first round warms up.
            if round > 0 {
                #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
                row.nanoseconds.push((thread_nanoseconds() - began) as f64 / CALLS as f64);
            }
        }
    }
    let library = rows[0].nanoseconds.clone();
    println!("{:36} {:>12} {:>8}", "", "ns (median)", "ratio");
    for row in rows {
        let ratios = row.nanoseconds.iter().zip(&library).map(|(own, library)| own / library).collect();
        println!("{:36} {:>12.0} {:>8.3}", row.name, median(row.nanoseconds), median(ratios));
    }
}

fn library(signer: &Signer) -> Row<'_> {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.public.uncompressed());
    let mut signatures = signer.signatures.iter().cycle();
    let operation = move || key.verify(&MESSAGE, signatures.next().unwrap()).unwrap();
    Row { name: "library-verify".to_owned(), operation: Box::new(operation), nanoseconds: Vec::new() }
}

fn build(engine: Engine, tier: Tier, signer: &Signer) -> Row<'_> {
    let operation = move || drop(black_box(PreparedKey::with(&signer.public, engine, tier)));
    Row { name: format!("{engine} build {tier:?}"), operation: Box::new(operation), nanoseconds: Vec::new() }
}

fn verify(engine: Engine, tier: Tier, signers: &[Signer]) -> Row<'_> {
    let verifier = Verifier::new(engine).with_sampling(Sampling { accepted: 0, refused: 0 });
    let keys: Vec<_> = signers.iter().map(|signer| PreparedKey::with(&signer.public, engine, tier)).collect();
    let signatures = signers.iter().map(|signer| signer.signatures.iter().cycle());
    let mut keyed: Vec<_> = keys.into_iter().zip(signatures).collect();
    let mut next = 0;
    let operation = move || {
        let count = keyed.len();
        let (key, signatures) = &mut keyed[next % count];
        next += 1;
        assert!(verifier.verify(key, &MESSAGE, signatures.next().unwrap()).is_accepted());
    };
    let name = format!("{engine} verify {tier:?}, {} keys", signers.len());
    Row { name, operation: Box::new(operation), nanoseconds: Vec::new() }
}

fn thread_nanoseconds() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
