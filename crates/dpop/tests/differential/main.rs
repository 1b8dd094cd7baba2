//! Our parser and verifier against jsonwebtoken (the same cryptography, another reader) and jwt-compact (another
//! reader, RustCrypto's P-256, another Ed25519), over proofs made and spoiled by [`forge`].
//!
//! `COUNTERSIGN_DIFFERENTIAL_CASES` says how many; 10,000 if it is not set.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what cannot be forged is a failed test")]

mod forge;
mod judges;
mod spoil;

use std::collections::BTreeMap;

use countersign_dpop::jose::Algorithms;

use self::forge::{Case, Forge};
use self::judges::{Read, jsonwebtoken, jwt_compact, ours};

#[test]
fn agrees_with_other_libraries_but_for_what_is_listed() {
    let half = cases() / 2;
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| Tally::of(Forge::new(1), half));
        let other = scope.spawn(|| Tally::of(Forge::new(2), half));
        (one.join().unwrap(), other.join().unwrap())
    });
    let tally = one.and(other);
    tally.print();
    let found = &tally.disagreements;
    let unlisted: Vec<_> = found.keys().filter(|kind| KNOWN.iter().all(|(known, _)| known != kind)).collect();
    assert!(unlisted.is_empty(), "disagreements that nobody has explained: {unlisted:?}");
    let unseen: Vec<_> = KNOWN.iter().filter(|(kind, _)| !found.contains_key(*kind)).collect();
    assert!(unseen.is_empty(), "disagreements that are listed and do not occur: {unseen:?}");
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is asked of who runs it")]
fn cases() -> usize {
    std::env::var("COUNTERSIGN_DIFFERENTIAL_CASES").map_or(10_000, |count| count.parse().unwrap())
}

#[derive(Default)]
struct Tally {
    agreed_to_accept: usize,
    agreed_to_refuse: usize,
    disagreements: BTreeMap<String, usize>,
}

impl Tally {
    fn of(mut forge: Forge, cases: usize) -> Self {
        let accepted = Algorithms::all();
        let mut tally = Self::default();
        for _ in 0..cases {
            let case = forge.case();
            let ours = ours(&case.text, &accepted);
            tally.add("jsonwebtoken", &case, &ours, jsonwebtoken(&case.text).as_ref());
            tally.add("jwt-compact", &case, &ours, jwt_compact(&case.text).as_ref());
        }
        tally
    }

    fn add(&mut self, judge: &str, case: &Case, ours: &Result<Read, String>, theirs: Option<&Read>) {
        match disagreement(judge, case, ours, theirs) {
            Some(kind) => *self.disagreements.entry(kind).or_insert(0) += 1,
            None if ours.is_ok() => self.agreed_to_accept += 1,
            None => self.agreed_to_refuse += 1,
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.agreed_to_accept += other.agreed_to_accept;
        self.agreed_to_refuse += other.agreed_to_refuse;
        for (kind, count) in other.disagreements {
            *self.disagreements.entry(kind).or_insert(0) += count;
        }
        self
    }

    #[expect(clippy::print_stdout, reason = "seen with --nocapture")]
    fn print(&self) {
        println!("{:>7} agreed to accept\n{:>7} agreed to refuse", self.agreed_to_accept, self.agreed_to_refuse);
        for (kind, count) in &self.disagreements {
            println!("{count:>7} {kind}");
        }
    }
}

/// Names the kind of disagreement: what we object to, or what was done to a proof that we accept.
fn disagreement(judge: &str, case: &Case, ours: &Result<Read, String>, theirs: Option<&Read>) -> Option<String> {
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) if ours == theirs => None,
        (Err(_), None) => None,
        (Ok(_), Some(_)) => Some(format!("{judge} reads otherwise: {}", case.what)),
        (Ok(ours), None) if !has(judge, &ours.algorithm) => Some(format!("{judge} has no {}", ours.algorithm)),
        (Ok(_), None) => Some(format!("{judge} refuses: {}", case.what)),
        (Err(fault), Some(_)) => Some(format!("{judge} accepts: {fault}")),
    }
}

fn has(judge: &str, algorithm: &str) -> bool {
    match judge {
        "jsonwebtoken" => !matches!(algorithm, "Ed25519" | "ES512"),
        _ => matches!(algorithm, "ES256" | "EdDSA" | "Ed25519"),
    }
}

/// Every kind of disagreement and why we judge as we do.
const KNOWN: &[(&str, &str)] = &[
    ("jsonwebtoken accepts: AlgMismatch", "it does not look at alg, use and key_ops of the key (RFC 7517 §4.2 to 4.4)"),
    ("jsonwebtoken accepts: BadMember alg", "it takes null for absent; RFC 7517 §4.4 wants text"),
    ("jsonwebtoken accepts: BadMember x", "it ignores crv: a P-256 point called P-384, which has another thumbprint"),
    ("jsonwebtoken accepts: ClaimLength htm", "no method is empty; it does not know what htm is"),
    ("jsonwebtoken accepts: ClaimLength htu", "no URI is empty; it does not know what htu is"),
    ("jsonwebtoken accepts: ClaimLength jti", "1 to 256 bytes are our bound"),
    ("jsonwebtoken accepts: ClaimWrongType ath", "it takes null for absent"),
    (
        "jsonwebtoken accepts: ClaimWrongType exp",
        "it reads exp only when told to judge it; a date that is none is no date",
    ),
    ("jsonwebtoken accepts: ClaimWrongType nbf", "it reads nbf only when told to judge it"),
    ("jsonwebtoken accepts: ClaimWrongType nonce", "it takes null for absent"),
    ("jsonwebtoken accepts: CritNotUnderstood", "it does not look at crit, which MUST be refused (RFC 7515 §4.1.11)"),
    ("jsonwebtoken accepts: Json MemberRepeated", "it lets the last unknown member win; RFC 7515 §4 allows to refuse"),
    ("jsonwebtoken accepts: Json Syntax", "it does not read members that it skips: a lone surrogate"),
    ("jsonwebtoken accepts: Json TooDeep", "8 levels are our bound"),
    ("jsonwebtoken accepts: Json TooManyMembers", "128 members are our bound"),
    ("jsonwebtoken accepts: PrivateMember", "its key type drops what it does not know; check 7 of RFC 9449 §4.3"),
    ("jsonwebtoken accepts: TooLong", "4,096 bytes are our bound, 12,288 with ML-DSA"),
    ("jsonwebtoken accepts: Weak", "with an Ed25519 key of low order one signature fits every message"),
    ("jsonwebtoken has no ES512", "we do"),
    ("jsonwebtoken has no Ed25519", "the name is of 2025 (RFC 9864)"),
    ("jsonwebtoken refuses: members for other uses", "it types kid, x5u and x5c; we ignore them, whatever they hold"),
    ("jsonwebtoken refuses: typ in another case", "the comparison in `judges` is exact; ours is by RFC 7515 §4.1.9"),
    ("jsonwebtoken refuses: typ with application/", "the comparison in `judges` is exact; ours is by RFC 7515 §4.1.9"),
    ("jwt-compact accepts: AlgMismatch", "it does not look at alg, use and key_ops of the key"),
    ("jwt-compact accepts: BadMember alg", "it does not look at alg of the key"),
    ("jwt-compact accepts: BadMember key_ops", "it does not look at key_ops"),
    ("jwt-compact accepts: BadMember use", "it does not look at use"),
    ("jwt-compact accepts: ClaimLength htm", "it does not know what htm is"),
    ("jwt-compact accepts: ClaimLength htu", "it does not know what htu is"),
    ("jwt-compact accepts: ClaimLength jti", "1 to 256 bytes are our bound"),
    ("jwt-compact accepts: ClaimWrongType ath", "it takes null for absent"),
    ("jwt-compact accepts: ClaimWrongType nonce", "it takes null for absent"),
    ("jwt-compact accepts: CritNotUnderstood", "it does not look at crit"),
    ("jwt-compact accepts: Json MemberRepeated", "it lets the last unknown member win"),
    ("jwt-compact accepts: Json TooDeep", "8 levels are our bound"),
    ("jwt-compact accepts: Json TooManyMembers", "128 members are our bound"),
    (
        "jwt-compact accepts: PrivateMember",
        "its key type knows d alone, and `judges` looks for that; check 7 is about all",
    ),
    ("jwt-compact accepts: TooLong", "4,096 bytes are our bound, 12,288 with ML-DSA"),
    ("jwt-compact has no ES384", "we do"),
    ("jwt-compact has no ES512", "we do"),
    ("jwt-compact has no PS256", "without its rsa feature; jsonwebtoken has judged those"),
    ("jwt-compact has no RS256", "without its rsa feature; jsonwebtoken has judged those"),
    ("jwt-compact reads otherwise: number of another form", "it cuts the fraction of iat off, we keep it"),
    ("jwt-compact refuses: exp and nbf", "its dates end in the year 262142; ours take every number"),
    ("jwt-compact refuses: members for other uses", "it refuses cty JWT and types kid, x5u and x5t; we ignore them"),
    ("jwt-compact refuses: number of another size", "its dates end in the year 262142; ours take every number"),
    ("jwt-compact refuses: typ in another case", "the comparison in `judges` is exact; ours is by RFC 7515 §4.1.9"),
    ("jwt-compact refuses: typ with application/", "the comparison in `judges` is exact; ours is by RFC 7515 §4.1.9"),
];
