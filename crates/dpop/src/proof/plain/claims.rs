//! The claims.

use super::{object, read_text, set};
use crate::jose::json::Member;
use crate::proof::ClaimMembers;
use crate::time::{NumericDate, plain_number};

/// The claims in `json`; `None` where they are written in any other way, or wrongly.
pub(in crate::proof) fn claims(json: &str) -> Option<ClaimMembers<'_>> {
    let mut members = ClaimMembers::default();
    let after = object(json, |name, value| match name {
        "jti" => read_text(&mut members.jti, value),
        "htm" => read_text(&mut members.htm, value),
        "htu" => read_text(&mut members.htu, value),
        "iat" => read_number(&mut members.iat, value),
        "ath" => read_text(&mut members.ath, value),
        "nonce" => read_text(&mut members.nonce, value),
        "exp" => read_number(&mut members.exp, value),
        "nbf" => read_number(&mut members.nbf, value),
        _ => None,
    })?;
    after.is_empty().then_some(members)
}

fn read_number<'a>(member: &mut Member<NumericDate>, value: &'a str) -> Option<&'a str> {
    let length = value.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, after) = value.split_at_checked(length)?;
    // JSON has no leading zeros.
    if digits.starts_with('0') {
        return None;
    }
    set(member, NumericDate::from_seconds(plain_number(digits)?))?;
    Some(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::claims;
    use crate::jose::{decode_base64url, examples};
    use crate::proof::ClaimMembers;

    /// What is read is what the reader of any JSON reads.
    fn is_read_as_ever(json: &str) -> bool {
        claims(json).is_none_or(|members| ClaimMembers::read_any(json.as_bytes()).is_ok_and(|any| any == members))
    }

    #[test]
    fn reads_the_claims_of_rfc_9449() {
        for proof in [examples::RFC9449_TOKEN_PROOF, examples::RFC9449_RESOURCE_PROOF] {
            let claims = decode_base64url(proof.split('.').nth(1).unwrap_or_default()).unwrap_or_default();
            let claims = String::from_utf8(claims).unwrap_or_default();
            assert!(super::claims(&claims).is_some(), "{claims}");
            assert!(is_read_as_ever(&claims), "{claims}");
        }
    }

    #[test]
    fn reads_every_claim_there_is() {
        let json = r#"{"jti":"a","htm":"b","htu":"c","iat":1,"ath":"d","nonce":"e","exp":2,"nbf":3}"#;
        assert!(claims(json).is_some());
        assert!(is_read_as_ever(json));
    }

    #[test]
    fn leaves_every_other_form_to_the_other_reader() {
        for json in [
            "",
            "{",
            "{}",
            "[]",
            r#""jti""#,
            r#"{"jti":"a""#,
            r#"{"jti":"a"}}"#,
            r#"{"jti":"a"} "#,
            r#" {"jti":"a"}"#,
            r#"{"jti" :"a"}"#,
            r#"{"jti": "a"}"#,
            r#"{"jti":"a",}"#,
            r#"{"jti":"a","jti":"a"}"#,
            r#"{"iat":1,"iat":1}"#,
            r#"{"iat":01}"#,
            r#"{"iat":0}"#,
            r#"{"iat":}"#,
            r#"{"iat":-1}"#,
            r#"{"iat":1.5}"#,
            r#"{"iat":1e3}"#,
            r#"{"iat":1000000000000000000}"#,
            r#"{"iat":"1"}"#,
            r#"{"jti":1}"#,
            r#"{"jti":null}"#,
            r#"{"jti":"\u0061"}"#,
            r#"{"\u006ati":"a"}"#,
            "{\"jti\":\"a\tb\"}",
            r#"{"other":"a"}"#,
            r#"{"jti":{}}"#,
            r#"{"jti":"a" "htm":"b"}"#,
        ] {
            assert!(claims(json).is_none(), "{json}");
        }
    }

    fn near_claims() -> impl Strategy<Value = String> {
        let names =
            prop::sample::select(vec!["jti", "htm", "htu", "iat", "ath", "nonce", "exp", "nbf", "kid", "jt", ""]);
        let text = "[ -~äß\u{0}\u{1f}]{0,12}|[A-Za-z0-9_-]{43}".prop_map(|text| format!("\"{text}\""));
        let value = prop_oneof![
            4 => text,
            4 => "0|[1-9][0-9]{0,20}|[0-9]{1,3}".prop_map(String::from),
            1 => "-?[0-9]{1,2}(\\.[0-9])?|null|true|\\{\\}|\\[\\]".prop_map(String::from),
        ];
        let member = (names, value, prop::sample::select(vec![":", ":", ":", ":", ":", ":", " :", ": ", "", "::"]))
            .prop_map(|(name, value, colon)| format!("\"{name}\"{colon}{value}"));
        let ends = prop::sample::select(vec!["}", "}", "}", "}", "}", "} ", "", "}}", ",}"]);
        (prop::collection::vec(member, 0..7), ends).prop_map(|(members, end)| format!("{{{}{end}", members.join(",")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn reads_what_the_other_reader_reads(json in near_claims()) {
            prop_assert!(is_read_as_ever(&json), "{}", json);
        }

        #[test]
        fn reads_no_text_of_another_kind(json in ".{0,40}") {
            prop_assert!(is_read_as_ever(&json), "{}", json);
        }

        #[test]
        fn reads_changed_claims_as_the_other_reader_does(
            at in any::<prop::sample::Index>(),
            by in "[\"\\\\:,{}0-9a-z \u{0}ä]?",
            more: bool,
        ) {
            let json = r#"{"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/a","iat":1562262618,"ath":"fUHyO2r2"}"#;
            let at = at.index(json.len());
            let changed = format!("{}{by}{}", &json[..at], &json[at + usize::from(!more)..]);
            prop_assert!(is_read_as_ever(&changed), "{}", changed);
        }
    }
}
