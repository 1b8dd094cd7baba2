use std::collections::HashSet;

use super::{Diagnosis, DiagnosisCode, UnknownDiagnosis};
use crate::htu::HtuDifference;

#[test]
fn identifiers_are_unique_and_well_formed() {
    let mut seen = HashSet::new();
    for code in DiagnosisCode::ALL {
        let id = code.id();
        assert!(seen.insert(id), "{id} is there twice");
        assert!(id.starts_with(['H', 'P', 'B', 'K', 'T', 'M', 'S']), "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id}");
        assert_eq!(id.parse(), Ok(*code));
    }
    assert_eq!("P99".parse::<DiagnosisCode>(), Err(UnknownDiagnosis));
}

#[test]
fn every_entry_says_something() {
    for code in DiagnosisCode::ALL {
        let entry = code.entry();
        assert!(entry.telling <= 100, "{code}");
        assert!(["RFC ", "MCP "].iter().any(|body| entry.spec.starts_with(body)), "{code}");
        assert!(!entry.title.ends_with('.') && entry.title.len() > 10, "{code}");
        assert!(entry.cause.ends_with('.') && entry.fix.ends_with('.'), "{code}");
    }
}

#[test]
fn a_wrong_scheme_is_more_telling_than_a_stale_proof() {
    assert!(DiagnosisCode::HtuScheme.entry().telling > DiagnosisCode::ProofStale.entry().telling);
}

#[test]
fn is_written_as_json_with_the_evidence_that_is_there() {
    let diagnosis = Diagnosis::new(DiagnosisCode::HtuScheme)
        .with_expected("https://rs.example/")
        .with_found("http://rs.example/")
        .with_difference(HtuDifference::Scheme);
    let json = serde_json::to_value(&diagnosis).expect("JSON");
    let names: Vec<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["acts", "cause", "code", "difference", "expected", "fix", "found", "spec", "title"]);
    assert_eq!(json["code"], "P09-scheme");
    assert_eq!(json["acts"], "proxy");
    assert_eq!(json["difference"], "scheme");
    assert_eq!(diagnosis.difference(), Some(HtuDifference::Scheme));
}

#[test]
fn is_one_line_for_logs() {
    let plain = Diagnosis::new(DiagnosisCode::Replayed);
    assert_eq!(plain.to_string(), "P14: the proof was used before");
    let stale = Diagnosis::new(DiagnosisCode::ProofStale).with_expected("at most 60 s old").with_seconds(90);
    assert_eq!(
        stale.to_string(),
        "P10-old: the proof is too old for the server's clock; expected at most 60 s old, off by 90 s"
    );
}
