//! `bench check`: what a request costs at a resource server beyond the network, with the access token cached.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use countersign_dpop::jose::{Algorithm, Algorithms, InvalidSignature, PublicJwk, VerifyAlgorithm, decode_base64url};
use countersign_resource::Engine;
use http::HeaderMap;
use indicatif::ProgressBar;

use super::Row;
use super::fixture::{BenchClient, Fixture, at_once, url};
use super::measure::{Subject, interleaved};
use crate::error::CommandError;

/// Calls a round for each row: enough for the clock, few enough to interleave well.
const CALLS: usize = 60;
/// As many client keys as a busy API may see.
const MANY_KEYS: usize = 1_500;

/// Measures every row.
pub(super) fn run(rounds: usize, bar: &ProgressBar) -> Result<Vec<Row>, CommandError> {
    let needed = (rounds + 1) * CALLS;
    let wrong = AtomicUsize::new(0);
    let fixture = Fixture::new(Algorithms::all(), needed * 8 + 2 * MANY_KEYS)?;
    let unsigned = Fixture::new(Algorithms::from_implementations(vec![Arc::new(BelieveAnything)]), needed * 2)?;
    let clients = Clients::new(&fixture, needed)?;
    let unsigned_client = unsigned.client(0)?;
    unsigned.judge(&Fixture::right_request(&unsigned_client)?);

    let mut subjects = vec![
        library_verify(&clients.one, needed, &wrong)?,
        judged("check-warm-1-key", &fixture, requests(std::slice::from_ref(&clients.one), needed)?, 1, &wrong),
        judged("check-warm-1500-keys", &fixture, requests(&clients.many, needed)?, MANY_KEYS, &wrong),
        judged("check-cold", &fixture, requests(&clients.cold, needed)?, needed, &wrong),
        judged(
            "check-without-signature",
            &unsigned,
            requests(std::slice::from_ref(&unsigned_client), needed)?,
            1,
            &wrong,
        ),
        junk(&fixture, &clients.one, needed, &wrong)?,
        library_sign(&clients.one, &wrong),
        make(&clients.one, &wrong),
    ];
    bar.set_message("measuring");
    let measured = interleaved(&mut subjects, rounds, CALLS, || bar.inc(1));
    if wrong.load(Ordering::Relaxed) > 0 {
        return Err(CommandError::internal("a measured operation gave a wrong verdict; the figures mean nothing"));
    }
    let library = measured[0].median;
    let rows = subjects.iter().zip(&measured).map(|(subject, measured)| Row {
        name: subject.name,
        ns_median: measured.median,
        ratio_to_library_verify: measured.median / library,
        engine: engine(subject.name),
        keys: subject.keys,
    });
    Ok(rows.collect())
}

/// Who verifies the signatures of a row.
fn engine(row: &str) -> &'static str {
    match row {
        "check-without-signature" => "none",
        row if row.starts_with("check-warm") => Engine::best().name(),
        _ => "library",
    }
}

/// Clients whose tokens the server has seen.
struct Clients {
    one: BenchClient,
    many: Vec<BenchClient>,
    cold: Vec<BenchClient>,
}

impl Clients {
    fn new(fixture: &Fixture, cold: usize) -> Result<Self, CommandError> {
        let clients = |from: usize, count: usize| -> Result<Vec<_>, CommandError> {
            (from..from + count).map(|number| fixture.client(number)).collect()
        };
        let many = clients(1, MANY_KEYS)?;
        let cold = clients(1 + MANY_KEYS, cold)?;
        let one = fixture.client(0)?;
        // Cold are clients whose keys the server does not know, though it has seen their tokens.
        warm(fixture, &cold)?;
        fixture.server.forget_keys();
        // Once to be known, once more for a table.
        warm(fixture, &many)?;
        warm(fixture, &many)?;
        warm(fixture, std::slice::from_ref(&one))?;
        Ok(Self { one, many, cold })
    }
}

/// One right request by each.
fn warm(fixture: &Fixture, clients: &[BenchClient]) -> Result<(), CommandError> {
    for client in clients {
        if !fixture.judge(&Fixture::right_request(client)?) {
            return Err(CommandError::internal("a request to warm up with was refused"));
        }
    }
    Ok(())
}

/// `count` right requests, by the clients in turn.
fn requests(clients: &[BenchClient], count: usize) -> Result<Vec<HeaderMap>, CommandError> {
    clients.iter().cycle().take(count).map(Fixture::right_request).collect()
}

fn judged<'a>(
    name: &'static str,
    fixture: &'a Fixture,
    requests: Vec<HeaderMap>,
    keys: usize,
    wrong: &'a AtomicUsize,
) -> Subject<'a> {
    let mut requests = requests.into_iter();
    let operation = move || {
        let granted = requests.next().is_some_and(|request| fixture.judge(&request));
        wrong.fetch_add(usize::from(!granted), Ordering::Relaxed);
    };
    Subject { name, keys, operation: Box::new(operation) }
}

/// Proofs of the right form for another path, with a signature that is none: what a flood of junk looks like.
fn junk<'a>(
    fixture: &'a Fixture,
    client: &BenchClient,
    count: usize,
    wrong: &'a AtomicUsize,
) -> Result<Subject<'a>, CommandError> {
    let requests: Result<Vec<_>, _> = (0..count).map(|_| Fixture::request(client, "/elsewhere")).collect();
    let mut requests = requests?.into_iter();
    let operation = move || {
        let granted = requests.next().is_none_or(|request| fixture.judge(&request));
        wrong.fetch_add(usize::from(granted), Ordering::Relaxed);
    };
    Ok(Subject { name: "reject-junk", keys: 1, operation: Box::new(operation) })
}

fn library_verify<'a>(client: &BenchClient, count: usize, wrong: &'a AtomicUsize) -> Result<Subject<'a>, CommandError> {
    let PublicJwk::P256 { x, y } = client.signer().public_jwk() else {
        return Err(CommandError::internal("the key to measure with is not P-256"));
    };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], x.as_slice(), y.as_slice()].concat());
    let proofs: Result<Vec<_>, CommandError> = (0..count).map(|_| signed_parts(&client.proof(&url())?)).collect();
    let mut proofs = proofs?.into_iter();
    let operation = move || {
        let good = proofs.next().is_some_and(|(message, signature)| key.verify(&message, &signature).is_ok());
        wrong.fetch_add(usize::from(!good), Ordering::Relaxed);
    };
    Ok(Subject { name: "library-verify", keys: 1, operation: Box::new(operation) })
}

fn signed_parts(proof: &str) -> Result<(Vec<u8>, Vec<u8>), CommandError> {
    let (message, signature) = proof.rsplit_once('.').unwrap_or_default();
    let signature = decode_base64url(signature).map_err(CommandError::internal)?;
    Ok((message.as_bytes().to_vec(), signature))
}

fn library_sign<'a>(client: &'a BenchClient, wrong: &'a AtomicUsize) -> Subject<'a> {
    let message = [b'm'; 420];
    let operation = move || {
        let signed = at_once(client.signer().sign(&message)).is_ok_and(|signature| signature.is_ok());
        wrong.fetch_add(usize::from(!signed), Ordering::Relaxed);
    };
    Subject { name: "library-sign", keys: 1, operation: Box::new(operation) }
}

fn make<'a>(client: &'a BenchClient, wrong: &'a AtomicUsize) -> Subject<'a> {
    let url = url();
    let operation = move || {
        wrong.fetch_add(usize::from(client.proof(&url).is_err()), Ordering::Relaxed);
    };
    Subject { name: "make-proof", keys: 1, operation: Box::new(operation) }
}

/// Takes every signature, so that everything else can be measured. For this file only.
#[derive(Debug)]
struct BelieveAnything;

impl VerifyAlgorithm for BelieveAnything {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn verify(&self, _: &PublicJwk, _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
        Ok(())
    }
}
