//! A proof, whatever it is: the verifier and `examine` never panic and never disagree.
//!
//! Input: `r` and the text of the field, or anything else and a header and a payload with a line end between, which
//! are encoded and signed by a known key, so that the checks behind the form are reached.
#![no_main]

use std::sync::OnceLock;

use countersign_dpop::examine::{Case, examine};
use countersign_dpop::jose::{SoftwareKey, encode_base64url};
use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::Timestamp;
use countersign_dpop::{ExpectedAth, ExpectedRequest, Htu, NonceKey, Verifier};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const URL: &str = "https://rs.example/a/b";
const TOKEN: &str = "token";
/// The key of RFC 7515 appendix A.3.
const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.strip_prefix('r') {
        Some(raw) => judge(raw.trim_ascii()),
        None => judge(&sign(text)),
    }
});

fn sign(text: &str) -> String {
    static SIGNER: OnceLock<SoftwareKey> = OnceLock::new();
    let signer = SIGNER.get_or_init(|| SoftwareKey::from_text(KEY.as_bytes(), None).expect("the key of the RFC"));
    let (header, payload) = text.split_once('\n').unwrap_or((text, "{}"));
    let input = format!("{}.{}", encode_base64url(header), encode_base64url(payload));
    let signature = signer.sign_now(input.as_bytes()).expect("a signature");
    format!("{input}.{}", encode_base64url(signature))
}

fn judge(proof: &str) {
    let htu = Htu::parse(URL).expect("an htu");
    let ath = ExpectedAth::of(TOKEN);
    let request = ExpectedRequest { method: "GET", htu: &htu, ath: Some(&ath) };
    let epoch = Epoch { id: EpochId::default(), floor: Timestamp::MIN };
    let verifier = Verifier::new("realm", NonceKey::from_bytes([0; 32]));
    let checked = verifier.check(proof, &request, &epoch, NOW);
    let case = Case::new(NOW).with_proof(proof).with_token(TOKEN).with_method("GET").with_url(URL);
    let examination = examine(&case);
    let found: Vec<&str> = examination.findings.iter().map(|finding| finding.code().id()).collect();
    match checked {
        Ok(_) => assert!(found.is_empty(), "accepted, but {found:?}"),
        Err(error) => {
            let id = error.diagnosis_code().id();
            let closer = |found: &&str| found.starts_with(id) || (id == "P10-future" && *found == "P07-ms");
            assert!(id.starts_with("P12") || found.iter().any(closer), "{id} is not among {found:?}");
        }
    }
    serde_json::to_string(&examination).expect("a report is JSON");
}
