use std::sync::Arc;

use proptest::prelude::*;

use super::{ALL, KEY, absent, claims, header, signed, with};
use crate::error::{MalformedProof, ProofError, Rejection};
use crate::jose::{Algorithm, Algorithms, InvalidSignature, JwsBuffer, JwsError, JwsPart, encode_base64url};
use crate::proof::{KnownHeader, KnownHeaders, MAX_PROOF_LENGTH, NoKnownHeaders, PreparedKey, Proof};

/// Knows one header.
#[derive(Debug)]
struct Knows(Vec<u8>, KnownHeader);

impl KnownHeaders for Knows {
    fn find(&self, encoded: &[u8]) -> Option<&KnownHeader> {
        (encoded == self.0).then_some(&self.1)
    }
}

#[derive(Debug)]
struct Says(Result<(), InvalidSignature>);

impl PreparedKey for Says {
    fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
        self.0
    }
}

fn encoded_header(proof: &str) -> &str {
    proof.split('.').next().unwrap()
}

fn knowing(proof: &str) -> Knows {
    let encoded = encoded_header(proof).as_bytes();
    Knows(encoded.to_vec(), KnownHeader::read(encoded, &ALL).unwrap())
}

/// Everything that a caller can see of a parsed proof, or why it is none.
fn seen(text: &str, accepted: &Algorithms, known: &dyn KnownHeaders) -> Result<String, Rejection> {
    let mut buffer = JwsBuffer::new();
    let proof = Proof::parse_among(text.as_bytes(), &mut buffer, accepted, known)?;
    let header = (proof.algorithm(), proof.key(), proof.jkt());
    let claims = (proof.jti(), proof.htm(), proof.htu(), proof.iat(), proof.ath(), proof.nonce());
    let signature = (proof.signing_input(), proof.signature(), proof.verify(accepted));
    Ok(format!("{header:?} {claims:?} {signature:?}"))
}

fn good() -> String {
    signed(&header().to_string(), &claims().to_string())
}

#[test]
fn a_known_header_gives_what_reading_it_gives() {
    let known = knowing(&good());
    for payload in [claims().to_string(), with(claims(), "jti", absent()), "[]".into(), "{".into(), "{}".into()] {
        let text = signed(&header().to_string(), &payload);
        assert_eq!(seen(&text, &ALL, &known), seen(&text, &ALL, &NoKnownHeaders), "{payload}");
    }
    let narrow = ALL.narrowed_to(&[Algorithm::Ed25519]).unwrap();
    let refused = seen(&good(), &narrow, &known).unwrap_err();
    assert!(matches!(refused, Rejection::Proof(ProofError::AlgNotAccepted { .. })), "no longer accepted: {refused}");
}

#[test]
fn only_a_good_header_can_be_known() {
    let bad = |header: &str| KnownHeader::read(encoded_header(&signed(header, "{}")).as_bytes(), &ALL).unwrap_err();
    let typ = bad(&with(header(), "typ", absent()));
    assert_eq!(typ, ProofError::TypMismatch { found: None }.into());
    assert_eq!(bad(&with(header(), "crit", serde_json::json!([]))), ProofError::CritNotUnderstood.into());
    let jws = |fault| Rejection::from(MalformedProof::Jws(fault));
    let read = |text: &[u8]| KnownHeader::read(text, &ALL).unwrap_err();
    assert_eq!(read(b"e30="), jws(JwsError::BadBase64 { part: JwsPart::Header }));
    let (length, limit) = (MAX_PROOF_LENGTH + 1, MAX_PROOF_LENGTH);
    assert_eq!(read(&vec![b'A'; length]), jws(JwsError::TooLong { length, limit }));
}

#[test]
fn a_header_as_long_as_a_proof_may_be_can_be_known() {
    // Three bytes make four characters.
    let filler = MAX_PROOF_LENGTH / 4 * 3 - with(header(), "kid", "".into()).len();
    let encoded = encode_base64url(with(header(), "kid", "k".repeat(filler).into()));
    assert_eq!(encoded.len(), MAX_PROOF_LENGTH);
    assert_eq!(KnownHeader::read(encoded.as_bytes(), &ALL).unwrap().key(), KEY.public_jwk());
}

#[test]
fn shows_what_it_knows() {
    let known = knowing(&good()).1;
    assert_eq!((known.algorithm(), known.key()), (Algorithm::Es256, KEY.public_jwk()));
    assert_eq!(*known.jkt(), KEY.public_jwk().jkt());
}

#[test]
fn a_prepared_key_has_the_word() {
    for word in [Ok(()), Err(InvalidSignature)] {
        let Knows(encoded, known) = knowing(&good());
        let prepared = known.clone().with_prepared_key(Arc::new(Says(word)));
        let known = Knows(encoded, prepared);
        let (text, mut buffer) = (good(), JwsBuffer::new());
        let proof = Proof::parse_among(text.as_bytes(), &mut buffer, &ALL, &known).unwrap();
        assert_eq!(proof.verify(&ALL), word);
    }
}

proptest! {
    #[test]
    fn agrees_with_reading_on_changed_proofs(place in 0_usize..600, byte in any::<u8>()) {
        let known = knowing(&good());
        let mut text = good().into_bytes();
        let place = place % text.len();
        text[place] = byte & 0x7f;
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(seen(&text, &ALL, &known), seen(&text, &ALL, &NoKnownHeaders));
    }
}
