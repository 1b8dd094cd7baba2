//! A `WWW-Authenticate` field: what is read can be written and read again.
#![no_main]

use countersign_dpop::Challenge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(challenges) = Challenge::parse_field(text) else { return };
    for challenge in challenges {
        let written = challenge.to_string();
        assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{written}");
        let again = Challenge::parse_field(&written).expect("what was written is read");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].to_string(), written);
        assert_eq!(
            (again[0].scheme, again[0].error, &again[0].algs),
            (challenge.scheme, challenge.error, &challenge.algs)
        );
    }
});
