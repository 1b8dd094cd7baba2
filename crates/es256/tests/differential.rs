//! Every engine and tier against aws-lc-rs. `COUNTERSIGN_ES256_SIGNATURES` says how many signatures; the example
//! `differential` is for millions.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what cannot be signed is a failed test, and one that differs is shown"
)]

#[path = "common/differential.rs"]
mod differential;

#[test]
fn every_engine_agrees_with_the_library() {
    #[expect(clippy::disallowed_methods, reason = "how long to test is the tester's choice")]
    let wanted = std::env::var("COUNTERSIGN_ES256_SIGNATURES").ok().and_then(|number| number.parse().ok());
    let signatures: u64 = wanted.unwrap_or(2_000);
    let keys = signatures.div_ceil(100);
    let found = differential::run(keys, 100, 1, |_| {});
    assert_eq!(found.wrong, 0, "{found:?}");
    assert!(found.signatures >= signatures && found.accepted >= found.signatures / 10, "{found:?}");
}
