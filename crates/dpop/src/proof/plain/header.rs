//! The header.

use super::{object, read_text, set};
use crate::jose::jwk::JwkMembers;
use crate::proof::HeaderMembers;

/// The header in `json`; `None` where it is written in any other way, or wrongly.
pub(in crate::proof) fn header(json: &str) -> Option<HeaderMembers<'_>> {
    let mut members = HeaderMembers::default();
    let after = object(json, |name, value| match name {
        "typ" => read_text(&mut members.typ, value),
        "alg" => read_text(&mut members.alg, value),
        "jwk" => {
            let mut key = JwkMembers::default();
            let after = object(value, |name, value| read_text(key.text(name)?, value))?;
            set(&mut members.jwk, key)?;
            Some(after)
        }
        _ => None,
    })?;
    after.is_empty().then_some(members)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::header;
    use crate::jose::{decode_base64url, examples};
    use crate::proof::HeaderMembers;

    /// What is read is what the reader of any JSON reads.
    fn is_read_as_ever(json: &str) -> bool {
        header(json).is_none_or(|members| HeaderMembers::read_any(json.as_bytes()).is_ok_and(|any| any == members))
    }

    #[test]
    fn reads_the_headers_of_rfc_9449() {
        for proof in [examples::RFC9449_TOKEN_PROOF, examples::RFC9449_RESOURCE_PROOF] {
            let json = decode_base64url(proof.split('.').next().unwrap_or_default()).unwrap_or_default();
            let json = String::from_utf8(json).unwrap_or_default();
            assert!(header(&json).is_some(), "{json}");
            assert!(is_read_as_ever(&json), "{json}");
        }
    }

    #[test]
    fn leaves_every_other_form_to_the_other_reader() {
        for json in [
            "",
            "{",
            "{}",
            "[]",
            r#"{"typ":"a"}}"#,
            r#"{"typ":"a"} "#,
            r#"{"typ": "a"}"#,
            r#"{"typ":"a",}"#,
            r#"{"typ":"a","typ":"a"}"#,
            r#"{"typ":1}"#,
            r#"{"alg":null}"#,
            r#"{"t\u0079p":"a"}"#,
            r#"{"kid":"a"}"#,
            r#"{"crit":["a"]}"#,
            r#"{"b64":false}"#,
            r#"{"jwk":"a"}"#,
            r#"{"jwk":{}}"#,
            r#"{"jwk":{"kty":"EC"}"#,
            r#"{"jwk":{"kty":"EC",}}"#,
            r#"{"jwk":{"kty":"EC","kty":"EC"}}"#,
            r#"{"jwk":{"kty":"EC"},"jwk":{"kty":"EC"}}"#,
            r#"{"jwk":{"kty":"EC","d":"a"}}"#,
            r#"{"jwk":{"kty":"EC","priv":"a"}}"#,
            r#"{"jwk":{"kty":"EC","key_ops":["verify"]}}"#,
            r#"{"jwk":{"x":1}}"#,
            r#"{"jwk":{"x":{}}}"#,
        ] {
            assert!(header(json).is_none(), "{json}");
        }
    }

    fn near_object(names: Vec<&'static str>, value: BoxedStrategy<String>) -> impl Strategy<Value = String> {
        let colon = prop::sample::select(vec![":", ":", ":", ":", ":", ":", " :", ": ", "", "::"]);
        let member = (prop::sample::select(names), value, colon)
            .prop_map(|(name, value, colon)| format!("\"{name}\"{colon}{value}"));
        let ends = prop::sample::select(vec!["}", "}", "}", "}", "}", "} ", "", "}}", ",}"]);
        (prop::collection::vec(member, 0..6), ends).prop_map(|(members, end)| format!("{{{}{end}", members.join(",")))
    }

    fn near_header() -> impl Strategy<Value = String> {
        let text = "[ -~äß\u{0}\u{1f}]{0,12}|[A-Za-z0-9_-]{43}".prop_map(|text| format!("\"{text}\""));
        let other = "[0-9]|null|true|\\{\\}|\\[\\]|\\[\"verify\"\\]";
        let value = prop_oneof![6 => text, 1 => other].boxed();
        let names =
            vec!["kty", "crv", "x", "y", "n", "e", "pub", "alg", "kid", "use", "key_ops", "d", "k", "other", ""];
        let key = near_object(names, value.clone());
        near_object(vec!["typ", "alg", "jwk", "jwk", "crit", "b64", "kid", ""], prop_oneof![value, key].boxed())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn reads_what_the_other_reader_reads(json in near_header()) {
            prop_assert!(is_read_as_ever(&json), "{}", json);
        }

        #[test]
        fn reads_no_text_of_another_kind(json in ".{0,40}") {
            prop_assert!(is_read_as_ever(&json), "{}", json);
        }

        #[test]
        fn reads_changed_headers_as_the_other_reader_does(
            at in any::<prop::sample::Index>(),
            by in "[\"\\\\:,{}0-9a-z \u{0}ä]?",
            more: bool,
        ) {
            let json = r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx","y":"9VE4jf_O"}}"#;
            let at = at.index(json.len());
            let changed = format!("{}{by}{}", &json[..at], &json[at + usize::from(!more)..]);
            prop_assert!(is_read_as_ever(&changed), "{}", changed);
        }
    }
}
