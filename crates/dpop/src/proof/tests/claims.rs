use proptest::prelude::*;
use serde_json::json;

use super::{absent, claims, claims_refusal, header, parsed, signed, with};
use crate::error::{Claim, MalformedProof, Rejection};
use crate::htu::Htu;
use crate::proof::{MAX_JTI_LENGTH, MAX_PROOF_LENGTH};
use crate::time::NumericDate;

fn iat(number: &str) -> Result<NumericDate, Rejection> {
    let payload = format!(r#"{{"jti":"j","htm":"GET","htu":"https://rs.example/","iat":{number}}}"#);
    parsed(&signed(&header().to_string(), &payload), |proof| proof.claims.iat)
}

#[test]
fn names_the_claim_that_is_missing_or_of_another_type() {
    for claim in [Claim::Jti, Claim::Htm, Claim::Htu, Claim::Iat] {
        let fault = MalformedProof::ClaimMissing { claim };
        assert_eq!(claims_refusal(claim.name(), absent()), fault.into(), "rows 215, 222");
    }
    for claim in [Claim::Jti, Claim::Htm, Claim::Htu, Claim::Ath, Claim::Nonce] {
        for value in [json!(42), json!(null), json!({}), json!(["GET"]), json!(true)] {
            let fault = MalformedProof::ClaimWrongType { claim };
            assert_eq!(claims_refusal(claim.name(), value), fault.into(), "rows 217, 226");
        }
    }
    for claim in [Claim::Iat, Claim::Exp, Claim::Nbf] {
        for value in [json!("error"), json!("1700000000"), json!(true), json!(null), json!([])] {
            let fault = MalformedProof::ClaimWrongType { claim };
            assert_eq!(claims_refusal(claim.name(), value), fault.into(), "rows 235, 252");
        }
    }
}

#[test]
fn bounds_the_claims() {
    let fault = |claim, length, limit| Rejection::from(MalformedProof::ClaimLength { claim, length, limit });
    let jti = |length: usize| with(claims(), "jti", json!("j".repeat(length)));
    for length in [1, MAX_JTI_LENGTH] {
        assert!(parsed(&signed(&header().to_string(), &jti(length)), |_| ()).is_ok(), "rows 219, 220");
    }
    assert_eq!(claims_refusal("jti", json!("")), fault(Claim::Jti, 0, 256));
    assert_eq!(claims_refusal("jti", json!("j".repeat(257))), fault(Claim::Jti, 257, 256), "row 218");
    assert_eq!(claims_refusal("jti", json!("ü".repeat(129))), fault(Claim::Jti, 258, 256), "bytes count");
    assert_eq!(claims_refusal("htm", json!("")), fault(Claim::Htm, 0, MAX_PROOF_LENGTH), "row 227");
    assert_eq!(claims_refusal("htu", json!("")), fault(Claim::Htu, 0, Htu::MAX_LENGTH));
}

#[test]
fn keeps_a_nul_in_a_jti_as_a_character_of_its_own() {
    let jti = |jti: &str| {
        let payload = claims().to_string().replace(r#""jti":"j""#, &format!(r#""jti":"{jti}""#));
        parsed(&signed(&header().to_string(), &payload), |proof| proof.claims.jti.to_string()).unwrap()
    };
    assert_eq!(jti(r"a\u0000b"), "a\0b", "row 100");
    assert_eq!(jti(r"a\u0000"), "a\0");
    assert_eq!(jti("a"), "a");
}

#[test]
fn reads_numbers_of_every_size() {
    let seconds = |seconds| Ok(NumericDate::from_seconds(seconds));
    let fraction = |value| Ok(NumericDate::from_f64(value).unwrap());
    for (number, date) in [
        ("1700000000", seconds(1_700_000_000)),
        ("1700000000.0", seconds(1_700_000_000)),
        ("1700000000.5", fraction(1_700_000_000.5)),
        ("1.7e9", seconds(1_700_000_000)),
        ("17E+8", seconds(1_700_000_000)),
        ("1.70000000025e9", fraction(1_700_000_000.25)),
        ("0", seconds(0)),
        ("-0", seconds(0)),
        ("-1", seconds(-1)),
        ("-0.5", fraction(-0.5)),
        ("-1.5", fraction(-1.5)),
        ("9223372036854775807", seconds(i64::MAX)),
        ("9223372036854775808", seconds(i64::MAX)),
        ("18446744073709551616", seconds(i64::MAX)),
        ("-9223372036854775808", seconds(i64::MIN)),
        ("-9223372036854775809", seconds(i64::MIN)),
        ("1e300", seconds(i64::MAX)),
        ("-1e300", seconds(i64::MIN)),
        ("1e-400", seconds(0)),
    ] {
        assert_eq!(iat(number), date, "rows 236, 237, 239, 240: {number}");
    }
    let tiny = iat("1700000000.00000000000000000000000001").unwrap();
    assert_eq!((tiny.floor().seconds(), tiny.ceil().seconds()), (1_700_000_000, 1_700_000_001));
    for number in ["1e400", "-1e400", "1e99999999999999999999"] {
        let fault = MalformedProof::ClaimWrongType { claim: Claim::Iat };
        assert_eq!(iat(number), Err(fault.into()), "row 238: {number}");
    }
}

proptest! {
    #[test]
    fn reads_any_integer_and_fraction(whole in any::<i64>(), digits in "[0-9]{1,30}") {
        prop_assert_eq!(iat(&whole.to_string()), Ok(NumericDate::from_seconds(whole)));
        let date = iat(&format!("{whole}.{digits}")).unwrap();
        prop_assert!(date.floor().seconds() == whole || date.floor().seconds() == whole.saturating_sub(1));
    }
}
