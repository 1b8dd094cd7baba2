//! Project Wycheproof's cases (`vectors/wycheproof`) for every algorithm and form that is claimed. Wherever the answer
//! here is not Wycheproof's, the case stands in a list with the reason.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a broken vector file is a failed test")]

use countersign_dpop::jose::{
    Algorithm, Algorithms, CompactJws, JsonLimits, JwkSet, JwsBuffer, PublicJwk, VerificationKey, from_strict_json,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

macro_rules! vectors {
    ($name:literal) => {
        serde_json::from_str(include_str!(concat!("../../../vectors/wycheproof/", $name, "_test.json"))).unwrap()
    };
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File<Group> {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignatureGroup {
    public_key_jwk: Value,
    tests: Vec<SignatureCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignatureCase {
    tc_id: u32,
    comment: String,
    msg: String,
    sig: String,
    result: Verdict,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Valid,
    Invalid,
    Acceptable,
}

/// How many signatures were accepted and refused.
#[derive(Debug, Default, Eq, PartialEq)]
struct Count {
    accepted: usize,
    refused: usize,
}

impl Count {
    fn add(&mut self, accepted: bool) {
        if accepted {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Runs all cases; `deviations` are those whose answer is not Wycheproof's, by number.
fn signatures(file: &File<SignatureGroup>, algorithm: Algorithm, deviations: &[u32]) -> Count {
    let all = Algorithms::all();
    let mut count = Count::default();
    for group in &file.test_groups {
        let key = PublicJwk::parse(group.public_key_jwk.to_string().as_bytes());
        for case in &group.tests {
            let verified = |key: &PublicJwk| all.verify(algorithm, key, &hex(&case.msg), &hex(&case.sig)).is_ok();
            let accepted = key.as_ref().is_ok_and(verified);
            let deviates = accepted != (case.result == Verdict::Valid);
            assert_eq!(deviates, deviations.contains(&case.tc_id), "{algorithm} {}: {}", case.tc_id, case.comment);
            count.add(accepted);
        }
    }
    assert_eq!(count.accepted + count.refused, file.number_of_tests);
    count
}

#[test]
fn es256() {
    let file = vectors!("ecdsa_secp256r1_sha256_p1363");
    assert_eq!(signatures(&file, Algorithm::Es256, &[]), Count { accepted: 173, refused: 89 });
}

#[test]
fn es384() {
    let file = vectors!("ecdsa_secp384r1_sha384_p1363");
    assert_eq!(signatures(&file, Algorithm::Es384, &[]), Count { accepted: 193, refused: 87 });
}

#[test]
fn es512() {
    let file = vectors!("ecdsa_secp521r1_sha512_p1363");
    assert_eq!(signatures(&file, Algorithm::Es512, &[]), Count { accepted: 231, refused: 87 });
}

#[test]
fn ed25519_by_both_names() {
    let file = vectors!("ed25519");
    for algorithm in [Algorithm::Ed25519, Algorithm::EdDsa] {
        assert_eq!(signatures(&file, algorithm, &[]), Count { accepted: 88, refused: 63 });
    }
}

#[test]
fn ps256() {
    for file in [
        vectors!("rsa_pss_2048_sha256_mgf1_32"),
        vectors!("rsa_pss_3072_sha256_mgf1_32"),
        vectors!("rsa_pss_4096_sha256_mgf1_32"),
    ] {
        assert_eq!(signatures(&file, Algorithm::Ps256, &[]), Count { accepted: 63, refused: 45 });
    }
}

/// Rows 207 and 208: what is valid with an empty salt, or with SHA-1 as mask hash, is no PS256 (RFC 7518 §3.5).
#[test]
fn ps256_takes_one_salt_length_and_one_mask_hash() {
    // Case 69 of the first, "s_len changed to 32", is PS256 as it should be.
    for (file, total, accepted) in [
        (vectors!("rsa_pss_2048_sha256_mgf1_0"), 103, &[69][..]),
        (vectors!("rsa_pss_2048_sha256_mgf1sha1_20"), 108, &[]),
    ] {
        let file: File<SignatureGroup> = file;
        let cases = file.test_groups.iter().flat_map(|group| &group.tests);
        let valid = cases.filter(|case| case.result == Verdict::Valid).map(|case| case.tc_id);
        let deviations: Vec<_> = valid.chain(accepted.iter().copied()).collect();
        assert!(deviations.len() > 50);
        let expected = Count { accepted: accepted.len(), refused: total - accepted.len() };
        assert_eq!(signatures(&file, Algorithm::Ps256, &deviations), expected);
    }
}

/// Row 206: the one "acceptable" case, without NULL in the algorithm identifier, is refused.
#[test]
fn rs256() {
    let file = vectors!("rsa_signature_2048_sha256");
    assert_eq!(signatures(&file, Algorithm::Rs256, &[]), Count { accepted: 9, refused: 250 });
    let file = vectors!("rsa_signature_3072_sha256");
    assert_eq!(signatures(&file, Algorithm::Rs256, &[]), Count { accepted: 8, refused: 251 });
}

#[derive(Deserialize)]
struct JwsGroup {
    comment: String,
    public: Option<Value>,
    private: Option<Value>,
    tests: Vec<JwsCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JwsCase {
    tc_id: u32,
    comment: String,
    jws: Value,
    result: Verdict,
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
    kid: Option<&'a str>,
    crit: Option<IgnoredAny>,
}

/// Verifies as an access token or an assertion is verified: strict header, a key of the set by `kid` and `alg`.
fn verifies(jws: &str, set: &JwkSet) -> bool {
    let mut buffer = JwsBuffer::new();
    let Ok(jws) = CompactJws::split(jws.as_bytes(), &mut buffer, 8_192) else { return false };
    let Ok(header) = from_strict_json::<Header<'_>>(jws.header(), JsonLimits::DOCUMENT) else { return false };
    let Ok(algorithm) = header.alg.parse() else { return false };
    let verified = |found: &VerificationKey| {
        Algorithms::all().verify(algorithm, &found.key, jws.signing_input(), jws.signature()).is_ok()
    };
    header.crit.is_none() && set.candidates(header.kid, algorithm).any(verified)
}

/// Runs all cases; `deviations` are those whose answer is not Wycheproof's, by number.
fn json_web(file: &File<JwsGroup>, deviations: &[(&str, &[u32])]) -> Count {
    let mut count = Count::default();
    for group in &file.test_groups {
        let keys = group.public.as_ref().or(group.private.as_ref()).unwrap();
        let set = if keys.get("keys").is_some() { keys.clone() } else { json!({ "keys": [keys] }) };
        let set = JwkSet::parse(set.to_string().as_bytes());
        assert!(group.public.is_some() || set.is_err(), "symmetric keys make no set: {}", group.comment);
        for case in &group.tests {
            let text = case.jws.as_str().map_or_else(|| case.jws.to_string(), str::to_owned);
            let accepted = set.as_ref().is_ok_and(|set| verifies(&text, set));
            let deviates = accepted != (case.result == Verdict::Valid);
            let listed = deviations.iter().any(|(_, numbers)| numbers.contains(&case.tc_id));
            assert_eq!(deviates, listed, "{} {}: {}", group.comment, case.tc_id, case.comment);
            count.add(accepted);
        }
    }
    assert_eq!(count.accepted + count.refused, file.number_of_tests);
    count
}

#[test]
fn json_web_keys() {
    let deviations: &[(&str, &[u32])] = &[("symmetric keys are never taken", &[2, 13, 14, 15])];
    assert_eq!(json_web(&vectors!("json_web_key"), deviations), Count { accepted: 1, refused: 25 });
}

#[test]
fn json_web_signatures() {
    let deviations: &[(&str, &[u32])] = &[
        ("symmetric keys are never taken", &[1, 348, 352, 357, 358, 359, 372, 373, 376, 377]),
        ("RS384 and RS512 are not implemented", &[264, 265, 266, 267, 268, 269, 270, 271]),
        ("PS384 and PS512 are not implemented", &[320, 321, 322, 323, 325, 326, 327, 328, 346, 350]),
        ("the key's alg is ES521, which is no algorithm", &[347, 351]),
    ];
    assert_eq!(json_web(&vectors!("json_web_signature"), deviations), Count { accepted: 16, refused: 385 });
}

/// The cases about base64 and JSON are signed with symmetric keys; whether they can be read is judged without the key.
#[test]
fn reads_base64_and_json_strictly() {
    let file: File<JwsGroup> = vectors!("json_web_signature");
    let group = file.test_groups.iter().find(|group| group.comment == "base64").unwrap();
    // 367 and 370 are called invalid, but their text is that of 357, which is called valid: the padding that they are
    // about is not in them. 372 and 373 are called valid and have a question mark inside.
    let deviations = [367, 370, 372, 373];
    for case in &group.tests {
        let mut buffer = JwsBuffer::new();
        let jws = CompactJws::split(case.jws.as_str().unwrap().as_bytes(), &mut buffer, 8_192);
        let header = |jws: CompactJws<'_>| from_strict_json::<Header<'_>>(jws.header(), JsonLimits::DOCUMENT).is_ok();
        let deviates = jws.is_ok_and(header) != (case.result == Verdict::Valid);
        assert_eq!(deviates, deviations.contains(&case.tc_id), "{}: {}", case.tc_id, case.comment);
    }
    assert_eq!(group.tests.len(), 21);
}
