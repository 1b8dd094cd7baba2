//! The proof by itself and against the request: as [`Proof::parse`](crate::Proof::parse) and the verifier do it, but
//! going on after a failure with what can still be read.

use serde_json::{Map, Value};

use super::report::{Check, ProofFacts, Report};
use super::{Case, Place, ReferenceClock};
use crate::ath::ExpectedAth;
use crate::checks::{check_ath, check_htm, check_htu, check_time};
use crate::diagnosis::{Diagnosis, DiagnosisCode};
use crate::error::{Claim, KeyError, MalformedProof, ProofError, Rejection, shorten};
use crate::htu::Htu;
use crate::jose::{Algorithm, Algorithms, CompactJws, Jkt, JwsBuffer, PublicJwk, decode_base64url};
use crate::proof::{ClaimMembers, Claims, HeaderMembers, MAX_PROOF_LENGTH};
use crate::time::Timestamp;

/// What the other parts need to know of the proof.
#[derive(Default)]
pub(super) struct ExaminedProof {
    pub(super) jkt: Option<Jkt>,
    pub(super) iat: Option<Timestamp>,
    pub(super) has_nonce: bool,
    pub(super) facts: Option<ProofFacts>,
}

pub(super) fn examine_proof(case: &Case<'_>, text: &str, clock: ReferenceClock, report: &mut Report) -> ExaminedProof {
    let mut facts = ProofFacts { length: text.len(), ..ProofFacts::default() };
    let mut examined = ExaminedProof::default();
    report.none_of(Check::OF_PROOF, "the proof cannot be read so far");
    report.skip(Check::Replay, "only the server knows which proofs it has seen");
    let parts = examine_form(text, report);
    if let Some(header) = parts.as_ref().and_then(|parts| read_json(&parts.header, is_header, report)) {
        examined.jkt = examine_header(case, &header, parts.as_ref(), &mut facts, report);
    }
    if let Some(payload) = parts.as_ref().and_then(|parts| read_json(&parts.payload, is_claims, report)) {
        examine_claims(case, &payload, clock, &mut facts, report);
    }
    facts.jkt = examined.jkt.map(|jkt| jkt.to_string());
    examined.iat = facts.iat.map(Timestamp::from_seconds);
    examined.has_nonce = facts.has_nonce;
    examined.facts = Some(facts);
    examined
}

/// The decoded parts, and the text that was signed.
struct Parts {
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signing_input: Vec<u8>,
}

/// The most of a malformed proof that is looked into, in bytes.
const MOST_LOOKED_INTO: usize = 65_536;

fn examine_form(text: &str, report: &mut Report) -> Option<Parts> {
    let mut buffer = JwsBuffer::new();
    match CompactJws::split(text.as_bytes(), &mut buffer, MAX_PROOF_LENGTH) {
        Ok(jws) => {
            report.pass(Check::Compact);
            Some(Parts {
                header: jws.header().to_vec(),
                payload: jws.payload().to_vec(),
                signature: jws.signature().to_vec(),
                signing_input: jws.signing_input().to_vec(),
            })
        }
        Err(error) => {
            report.refuse(Check::Compact, MalformedProof::Jws(error));
            guess_parts(text)
        }
    }
}

/// What was probably meant: padding and the other alphabet are forgiven, a missing signature is empty.
fn guess_parts(text: &str) -> Option<Parts> {
    if text.len() > MOST_LOOKED_INTO {
        return None;
    }
    let mut parts = text.split('.');
    let (header, payload) = (parts.next()?, parts.next()?);
    let signing_input = text.as_bytes()[..header.len() + 1 + payload.len()].to_vec();
    let signature = guess_bytes(parts.next().unwrap_or_default()).unwrap_or_default();
    Some(Parts { header: guess_bytes(header)?, payload: guess_bytes(payload)?, signature, signing_input })
}

fn guess_bytes(part: &str) -> Option<Vec<u8>> {
    let tidy: String = part
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != '=')
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            c => c,
        })
        .collect();
    decode_base64url(tidy).ok()
}

type ReadsAs = fn(&[u8]) -> Result<(), MalformedProof>;

fn is_header(json: &[u8]) -> Result<(), MalformedProof> {
    HeaderMembers::read(json).map(drop)
}

fn is_claims(json: &[u8]) -> Result<(), MalformedProof> {
    ClaimMembers::read(json).map(drop)
}

/// JSON that `reads_as` what is wanted: as it stands, or else as a lenient parser would read it.
fn read_json(json: &[u8], reads_as: ReadsAs, report: &mut Report) -> Option<Vec<u8>> {
    if report.judge(Check::Json, reads_as(json)).is_some() {
        return Some(json.to_vec());
    }
    let first: Map<String, Value> = serde_json::Deserializer::from_slice(json).into_iter().next()?.ok()?;
    let tidy = serde_json::to_vec(&first).ok()?;
    reads_as(&tidy).is_ok().then_some(tidy)
}

fn examine_header(
    case: &Case<'_>,
    json: &[u8],
    parts: Option<&Parts>,
    facts: &mut ProofFacts,
    report: &mut Report,
) -> Option<Jkt> {
    let header = HeaderMembers::read(json).ok()?;
    report.settle(Check::Typ, header.check_typ());
    report.settle(Check::Extensions, header.check_extensions());
    let algorithm = header.algorithm(&Algorithms::all()).ok();
    examine_algorithm(case, &header, algorithm, report);
    facts.alg = algorithm.map(Algorithm::name);
    let key =
        report.judge(Check::Key, header.key(algorithm)).or_else(|| header.key(None).ok()).or_else(|| public_half(json));
    match (key.as_ref(), algorithm, parts) {
        (Some(key), Some(algorithm), Some(parts)) if key.fits(algorithm) => {
            examine_signature(case, parts, key, algorithm, report);
        }
        _ => report.skip(Check::Signature, "there is no key that fits an algorithm known here"),
    }
    key.map(|key| key.jkt())
}

fn examine_algorithm(case: &Case<'_>, header: &HeaderMembers<'_>, known: Option<Algorithm>, report: &mut Report) {
    let Err(error) = header.algorithm(&case.algorithms) else {
        return report.pass(Check::Alg);
    };
    let other_name = match known {
        Some(Algorithm::EdDsa) => Algorithm::Ed25519,
        Some(Algorithm::Ed25519) => Algorithm::EdDsa,
        Some(_) | None => return report.refuse(Check::Alg, error),
    };
    if !case.algorithms.contains(other_name) {
        return report.refuse(Check::Alg, error);
    }
    let found = known.map_or("", Algorithm::name);
    let diagnosis = Diagnosis::new(DiagnosisCode::AlgOtherName).with_expected(other_name.name()).with_found(found);
    report.fail(Check::Alg, diagnosis);
}

/// The public members of a key that shows private ones, so that the rest can be judged.
fn public_half(header: &[u8]) -> Option<PublicJwk> {
    let header: Value = serde_json::from_slice(header).ok()?;
    let public: Map<String, Value> = header
        .get("jwk")?
        .as_object()?
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "kty" | "crv" | "x" | "y" | "n" | "e"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    PublicJwk::parse(&serde_json::to_vec(&public).ok()?).ok()
}

fn examine_signature(case: &Case<'_>, parts: &Parts, key: &PublicJwk, algorithm: Algorithm, report: &mut Report) {
    let all = Algorithms::all();
    let algorithms = if case.algorithms.contains(algorithm) { &case.algorithms } else { &all };
    if algorithms.verify(algorithm, key, &parts.signing_input, &parts.signature).is_ok() {
        report.pass(Check::Signature);
    } else if !key.is_on_curve() {
        report.fail(Check::Key, Rejection::from(KeyError::NotOnCurve).diagnosis());
    } else if is_der(algorithm, &parts.signature) {
        let found = format!("{} bytes of ASN.1", parts.signature.len());
        report.fail(Check::Signature, Diagnosis::new(DiagnosisCode::SignatureDer).with_found(found));
    } else {
        let found = format!("a signature of {} bytes", parts.signature.len());
        let diagnosis = Rejection::from(ProofError::BadSignature).diagnosis();
        report.fail(Check::Signature, diagnosis.with_found(found));
    }
}

fn is_der(algorithm: Algorithm, signature: &[u8]) -> bool {
    let is_ecdsa = matches!(algorithm, Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512);
    is_ecdsa && signature.first() == Some(&0x30) && ![64, 96, 132].contains(&signature.len())
}

fn examine_claims(case: &Case<'_>, json: &[u8], clock: ReferenceClock, facts: &mut ProofFacts, report: &mut Report) {
    let Ok(members) = ClaimMembers::read(json) else { return };
    let (claims, faults) = members.typed_one_by_one();
    report.pass(Check::Claims);
    for (_, fault) in &faults {
        report.refuse(Check::Claims, fault.clone());
    }
    let is_good = |claim| !faults.iter().any(|(faulty, _)| *faulty == claim);
    facts.htm = is_good(Claim::Htm).then(|| shorten(&claims.htm));
    facts.htu = Htu::parse(&claims.htu).ok().map(|htu| shorten(htu.as_str()));
    facts.iat = is_good(Claim::Iat).then(|| claims.iat.floor().seconds());
    facts.has_ath = claims.ath.is_some();
    facts.has_nonce = claims.nonce.is_some();
    if is_good(Claim::Iat) {
        examine_time(case, &claims, clock, report);
    }
    if is_good(Claim::Htm) {
        match case.method {
            Some(method) => report.settle(Check::Htm, check_htm(&claims, method)),
            None => report.skip(Check::Htm, "the method of the request is not known"),
        }
    }
    if is_good(Claim::Htu) {
        examine_htu(case, &claims, report);
    }
    if is_good(Claim::Ath) {
        examine_ath(case, &claims, report);
    }
    let reason =
        if facts.has_nonce { "only the server knows its nonces" } else { "only the server knows if it wants one" };
    report.skip(Check::Nonce, reason);
}

fn examine_time(case: &Case<'_>, claims: &Claims<'_>, clock: ReferenceClock, report: &mut Report) {
    let Err(error) = check_time(claims, case.window, clock.time) else {
        report.pass(Check::Time);
        return;
    };
    let diagnosis = Rejection::from(error).diagnosis();
    if is_in_milliseconds(claims.iat.floor(), clock.time) {
        let found = format!("{} digits", claims.iat.floor().seconds().to_string().len());
        report.fail(Check::Time, Diagnosis::new(DiagnosisCode::IatMilliseconds).with_found(found));
    } else if clock.is_telling() {
        report.fail(Check::Time, diagnosis.with_detail(clock.remark()));
    } else {
        report.suspect(Check::Time, diagnosis.with_detail(clock.remark()));
    }
}

/// Within ten years of now when read as milliseconds.
fn is_in_milliseconds(iat: Timestamp, now: Timestamp) -> bool {
    let seconds = Timestamp::from_seconds(iat.seconds() / 1_000);
    iat.seconds() >= 100_000_000_000 && seconds.since(now).saturating_abs() < 315_576_000
}

fn examine_htu(case: &Case<'_>, claims: &Claims<'_>, report: &mut Report) {
    if let Some(Ok(expected)) = case.url.map(Htu::parse) {
        return report.settle(Check::Htu, check_htu(claims, &expected));
    }
    let reason = match case.url {
        Some(_) => "the URL of the request is no http or https URI",
        None => "the URL of the request is not known",
    };
    match Htu::parse(&claims.htu) {
        Ok(_) => report.skip(Check::Htu, reason),
        Err(fault) => report.refuse(Check::Htu, ProofError::HtuMalformed { fault }),
    }
}

fn examine_ath(case: &Case<'_>, claims: &Claims<'_>, report: &mut Report) {
    match (case.place, case.token) {
        (Some(Place::AuthorizationServer), _) => report.settle(Check::Ath, check_ath(claims, None)),
        (_, Some(token)) => report.settle(Check::Ath, check_ath(claims, Some(&ExpectedAth::of(token)))),
        (Some(Place::Resource), None) if claims.ath.is_none() => {
            report.fail(Check::Ath, Rejection::from(ProofError::AthMissing).diagnosis());
        }
        (_, None) => report.skip(Check::Ath, "the access token is not known"),
    }
}
