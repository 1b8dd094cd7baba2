//! An access token or assertion, read strictly: whatever is taken, a lenient parser reads the same from it. Input: `r`
//! and a compact JWS, or anything else and a header and claims with a line end between.
#![no_main]

use countersign_dpop::Confirmation;
use countersign_dpop::examine::{Case, examine};
use countersign_dpop::jose::{CompactJws, JsonLimits, JwsBuffer, encode_base64url, from_strict_json};
use countersign_dpop::time::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let token = match text.strip_prefix('r') {
        Some(raw) => raw.to_owned(),
        None => {
            let (header, claims) = text.split_once('\n').unwrap_or(("{}", text));
            format!("{}.{}.c2ln", encode_base64url(header), encode_base64url(claims))
        }
    };
    let mut buffer = JwsBuffer::new();
    if let Ok(jws) = CompactJws::split(token.as_bytes(), &mut buffer, 65_536) {
        let parts = [jws.header(), jws.payload(), jws.signature()].map(encode_base64url);
        assert_eq!(parts.join("."), token, "one text, one meaning");
        read(jws.header());
        read(jws.payload());
    }
    let examination = examine(&Case::new(Timestamp::from_seconds(1_700_000_000)).with_token(&token));
    serde_json::to_string(&examination).expect("a report is JSON");
});

fn read(json: &[u8]) {
    let Ok(object) = from_strict_json::<Map<String, Value>>(json, JsonLimits::DOCUMENT) else { return };
    let lenient: Map<String, Value> = serde_json::from_slice(json).expect("strict JSON is JSON");
    assert_eq!(object, lenient);
    if let Some(cnf) = object.get("cnf") {
        if let Ok(confirmation) = Confirmation::parse(cnf) {
            assert!(confirmation.is_bound());
        }
    }
}
