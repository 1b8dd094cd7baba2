use serde_json::json;

use super::Confirmation;
use crate::error::ConfirmationError;
use crate::jose::Jkt;

const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

fn jkt() -> Jkt {
    JKT.parse().expect("a thumbprint")
}

#[test]
fn confirms_the_key_that_the_token_is_bound_to() {
    let confirmation = Confirmation::parse(&json!({ "jkt": JKT })).expect("a cnf");
    assert_eq!(confirmation, Confirmation::bound_to(jkt()));
    assert!(confirmation.is_bound());
    assert_eq!(confirmation.confirm(&jkt()), Ok(()));
}

#[test]
fn refuses_another_key() {
    let other = Jkt::from_bytes([7; 32]);
    let refusal = Confirmation::bound_to(jkt()).confirm(&other);
    assert_eq!(refusal, Err(ConfirmationError::JktMismatch { token: jkt(), proof: other }));
    // Row 56: letter case only.
    let swapped: String = JKT
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    if let Ok(confirmation) = Confirmation::parse(&json!({ "jkt": swapped })) {
        assert!(confirmation.confirm(&jkt()).is_err());
    }
}

#[test]
fn refuses_a_cnf_that_binds_nothing_or_is_malformed() {
    let padded = format!("{JKT}=");
    let cut = &JKT[..42];
    // Rows 51, 52, 54, 55.
    let malformed = [
        json!(null),
        json!([{ "jkt": JKT }]),
        json!({}),
        json!(JKT),
        json!({ "jkt": 1 }),
        json!({ "jkt": "" }),
        json!({ "jkt": null }),
        json!({ "jkt": [JKT] }),
        json!({ "jkt": padded }),
        json!({ "jkt": cut }),
        json!({ "jkt": format!("{JKT}A") }),
        json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J" }),
        json!({ "jkt": "", "x5t#S256": "a" }),
    ];
    for cnf in malformed {
        assert_eq!(Confirmation::parse(&cnf), Err(ConfirmationError::Malformed), "{cnf}");
    }
}

#[test]
fn an_unbound_token_confirms_no_proof() {
    assert!(!Confirmation::unbound().is_bound());
    assert_eq!(Confirmation::unbound().confirm(&jkt()), Err(ConfirmationError::NotBound));
}

#[test]
fn a_method_that_is_not_known_here_binds_and_is_never_confirmed() {
    let confirmation = Confirmation::parse(&json!({ "x5t#S256": "a" })).expect("a cnf");
    assert!(confirmation.is_bound());
    assert_eq!(confirmation.jkt(), None);
    let refusal = ConfirmationError::MethodNotSupported { method: "x5t#S256".to_owned() };
    assert_eq!(confirmation.confirm(&jkt()), Err(refusal));
}

#[test]
fn several_methods_must_all_hold() {
    let confirmation = Confirmation::parse(&json!({ "jkt": JKT, "x5t#S256": "a" })).expect("a cnf");
    let refusal = ConfirmationError::MethodNotSupported { method: "x5t#S256".to_owned() };
    assert_eq!(confirmation.confirm(&jkt()), Err(refusal));
    assert!(matches!(confirmation.confirm(&Jkt::from_bytes([7; 32])), Err(ConfirmationError::JktMismatch { .. })));
}

#[test]
fn shows_by_what_it_is_bound() {
    let both = Confirmation::parse(&json!({ "jkt": JKT, "x5t#S256": "…", "kid": 1 })).expect("a cnf");
    assert_eq!(both.jkt(), Some(&jkt()));
    assert_eq!(both.other_methods(), ["kid", "x5t#S256"]);
    let unbound = Confirmation::unbound();
    assert_eq!((unbound.jkt(), unbound.other_methods()), (None, &[][..]));
}
