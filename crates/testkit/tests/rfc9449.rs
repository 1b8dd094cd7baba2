//! The proofs that RFC 9449 shows, as they stand in `vectors/rfc9449.jsonl`.
#![expect(clippy::unwrap_used, reason = "a vector that cannot be read fails its test")]

use countersign_dpop::error::{ErrorCode, Rejection};
use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::Timestamp;
use countersign_dpop::{Ath, CheckedProof, ExpectedAth, ExpectedRequest, Htu, NonceKey, Verifier};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    source: String,
    method: String,
    url: String,
    token: Option<String>,
    proof: String,
    iat: i64,
    jkt: String,
    ath: Option<String>,
}

#[test]
fn every_proof_of_the_rfc_is_accepted_at_its_time() {
    for example in examples() {
        let checked = check(&example, &example.method, &example.url, 0).unwrap();
        assert_eq!(checked.jkt().to_string(), example.jkt, "{}", example.source);
        assert_eq!(example.token.as_deref().map(|token| Ath::of(token).to_string()), example.ath, "{}", example.source);
    }
}

#[test]
fn no_proof_of_the_rfc_is_accepted_elsewhere_or_later() {
    for example in examples() {
        let (method, url) = (example.method.as_str(), example.url.as_str());
        for refused in [
            check(&example, "PUT", url, 0),
            check(&example, method, &format!("{url}/x"), 0),
            check(&example, method, url, 61),
            check(&example, method, url, -11),
        ] {
            assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::InvalidDpopProof), "{}", example.source);
        }
    }
}

fn check(example: &Example, method: &str, url: &str, late: i64) -> Result<CheckedProof, Rejection> {
    let htu = Htu::parse(url).unwrap();
    let ath = example.token.as_deref().map(ExpectedAth::of);
    let expected = ExpectedRequest { method, htu: &htu, ath: ath.as_ref() };
    let epoch = Epoch { id: EpochId::default(), floor: Timestamp::MIN };
    let verifier = Verifier::new("https://realm.example", NonceKey::from_bytes([1; 32]));
    verifier.check(&example.proof, &expected, &epoch, Timestamp::from_seconds(example.iat + late))
}

fn examples() -> Vec<Example> {
    let text = include_str!("../../../vectors/rfc9449.jsonl");
    let examples: Vec<Example> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(examples.len(), 3);
    examples
}
