//! The verifier and `examine` are two drivers of one list of checks.

use proptest::prelude::*;

use super::examine;
use super::tests::{NOW, OPAQUE, URL, case, claims, codes, good_proof, header, key, sign};
use crate::ath::ExpectedAth;
use crate::htu::Htu;
use crate::nonce::NonceKey;
use crate::replay::{Epoch, EpochId};
use crate::time::Timestamp;
use crate::verifier::{ExpectedRequest, Verifier};

/// Where the verifier refuses, `examine` finds that fault or names it more closely; where it accepts, nothing.
fn agree(proof: &str) -> Result<(), TestCaseError> {
    let htu = Htu::parse(URL).expect("an htu");
    let ath = ExpectedAth::of(OPAQUE);
    let expected = ExpectedRequest { method: "GET", htu: &htu, ath: Some(&ath) };
    let epoch = Epoch { id: EpochId::default(), floor: Timestamp::MIN };
    let checked = Verifier::new("r", NonceKey::from_bytes([0; 32])).check(proof, &expected, &epoch, NOW);
    let examination = examine(&case(proof));
    let found = codes(&examination);
    match checked {
        Ok(_) => prop_assert_eq!(found, [""; 0]),
        Err(error) => {
            let wanted = error.diagnosis().code().id();
            let closer = |id: &&str| id.starts_with(wanted) || (*id == "P07-ms" && wanted == "P10-future");
            let is_nonce = wanted.starts_with("P12");
            prop_assert!(is_nonce || found.iter().any(closer), "{} is not among {:?}", wanted, found);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn never_panics(proof in "\\PC*", token in "\\PC*", url in "\\PC*") {
        examine(&case(&proof).with_token(&token).with_url(&url));
        agree(proof.trim_ascii())?;
    }

    #[test]
    fn agrees_with_the_verifier_on_changed_proofs(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.=+-]?") {
        let proof = good_proof(&key());
        let at = at.index(proof.len());
        agree(&format!("{}{with}{}", &proof[..at], &proof[at + 1..]))?;
    }

    #[test]
    fn agrees_with_the_verifier_on_changed_json(
        in_header in any::<bool>(),
        at in any::<prop::sample::Index>(),
        with in "[{}\\[\\]\":,a-zA-Z0-9 .-]{0,2}",
    ) {
        let key = key();
        let (mut header, mut payload) = (header(&key), claims(0, "https://rs.example/a/b", OPAQUE));
        let changed = if in_header { &mut header } else { &mut payload };
        let at = at.index(changed.len());
        changed.replace_range(at..=at, &with);
        agree(&sign(&key, &header, &payload))?;
    }
}
