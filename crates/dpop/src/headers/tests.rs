use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Credentials, DPOP, DPOP_NONCE, MAX_NONCE_LENGTH, NonceFieldError, TokenText, read_credentials, read_credentials_by,
    read_nonce, read_proof,
};
use crate::error::CredentialsError;

fn fields(list: &[(&HeaderName, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(*name, HeaderValue::from_bytes(value).expect("a field value"));
    }
    headers
}

fn proof_of(values: &[&[u8]]) -> Result<Option<String>, CredentialsError> {
    let name = DPOP;
    let list: Vec<_> = values.iter().map(|value| (&name, *value)).collect();
    read_proof(&fields(&list)).map(|proof| proof.map(str::to_owned))
}

fn with_authorization(value: &[u8]) -> Result<(&'static str, String), CredentialsError> {
    let headers = fields(&[(&AUTHORIZATION, value), (&DPOP, b"p.r.f")]);
    read_credentials(&headers).map(|credentials| match credentials {
        Credentials::None => ("none", String::new()),
        Credentials::Dpop { token, proof } => {
            assert_eq!(proof, "p.r.f");
            ("dpop", token.to_owned())
        }
        Credentials::Bearer { token, proof } => {
            assert_eq!(proof, Some("p.r.f"));
            ("bearer", token.to_owned())
        }
    })
}

#[test]
fn reads_one_proof() {
    assert_eq!(proof_of(&[]), Ok(None));
    assert_eq!(proof_of(&[b"a.b.c"]), Ok(Some("a.b.c".to_owned())));
    assert_eq!(proof_of(&[b" \ta.b.c\t "]), Ok(Some("a.b.c".to_owned()))); // row 9
    assert_eq!(proof_of(&[b"a.b.c;param=1"]), Ok(Some("a.b.c;param=1".to_owned()))); // row 23: no base64url
}

#[test]
fn refuses_two_dpop_fields_whatever_they_hold() {
    for pair in [[&b"a.b.c"[..], b"d.e.f"], [b"a.b.c", b"\xff"], [b"", b"a.b.c"], [b"a.b.c", b"a.b.c"]] {
        assert_eq!(proof_of(&pair), Err(CredentialsError::ProofRepeated)); // rows 1, 3, 4, 22
    }
}

#[test]
fn refuses_a_dpop_field_that_is_not_one_proof() {
    for value in [&b"a.b.c, d.e.f"[..], b"a.b.c,d.e.f", b"a.b.c,", b"", b"  \t", b"DPoP a.b.c", b"a.b.c\x80", b"a.b .c"]
    {
        assert_eq!(proof_of(&[value]), Err(CredentialsError::ProofNotText), "{value:?}"); // rows 5, 6, 8, 11, 15
    }
}

#[test]
fn reads_the_scheme_in_any_case_row_28() {
    for scheme in ["DPoP", "dpop", "DPOP", "dPOP"] {
        assert_eq!(with_authorization(format!("{scheme} to.ken").as_bytes()), Ok(("dpop", "to.ken".to_owned())));
    }
    assert_eq!(with_authorization(b"BeArEr to.ken"), Ok(("bearer", "to.ken".to_owned()))); // row 29
}

#[test]
fn takes_several_spaces_after_the_scheme_row_41() {
    assert_eq!(with_authorization(b" DPoP   to.ken \t"), Ok(("dpop", "to.ken".to_owned())));
}

#[test]
fn takes_all_of_token68() {
    let token = "AZaz09-._~+/==";
    assert_eq!(with_authorization(format!("DPoP {token}").as_bytes()), Ok(("dpop", token.to_owned()))); // row 263
}

#[test]
fn refuses_a_malformed_token() {
    let malformed = [
        &b"DPoP"[..],
        b"DPoP ",
        b"DPoP\tto.ken",
        b"DPoP \tto.ken",
        b"DPoP to.ken x",
        b"DPoP to.ken, realm=\"x\"",
        b"DPoP {token}",
        b"DPoP to,ken",
        b"DPoP ==",
        b"DPoP to=ken",
        b"DPoP to\x80ken",
        b"DPoP,to.ken",
        b"Bearer",
        b"Bearer \"to.ken\"",
    ];
    for value in malformed {
        assert_eq!(with_authorization(value), Err(CredentialsError::TokenMalformed), "{value:?}"); // rows 39, 40, 43
    }
}

#[test]
fn refuses_two_authorization_fields() {
    for second in [&b"Bearer to.ken"[..], b"DPoP to.ken", b"Basic YTpi"] {
        let headers = fields(&[(&AUTHORIZATION, b"DPoP to.ken"), (&AUTHORIZATION, second), (&DPOP, b"p.r.f")]);
        assert_eq!(read_credentials(&headers).err(), Some(CredentialsError::AuthorizationRepeated)); // rows 31, 32
    }
}

#[test]
fn other_schemes_are_no_credentials() {
    for value in [&b"Basic YTpi"[..], b"", b"DPoPx to.ken", b"\"DPoP\" to.ken", b"\xff"] {
        assert_eq!(with_authorization(value), Ok(("none", String::new())), "{value:?}");
    }
}

#[test]
fn a_proof_alone_is_no_credential_row_38() {
    for proof in [&b"p.r.f"[..], b"not, one"] {
        assert!(matches!(read_credentials(&fields(&[(&DPOP, proof)])), Ok(Credentials::None)));
    }
    assert!(matches!(read_credentials(&HeaderMap::new()), Ok(Credentials::None))); // row 37
}

#[test]
fn the_dpop_scheme_demands_a_proof_row_25() {
    let other_name = HeaderName::from_static("x-dpop");
    let headers = fields(&[(&AUTHORIZATION, b"DPoP to.ken"), (&other_name, b"p.r.f")]); // row 19
    assert_eq!(read_credentials(&headers).err(), Some(CredentialsError::ProofMissing));
    let headers = fields(&[(&AUTHORIZATION, b"DPoP to.ken"), (&DPOP, b"p.r.f"), (&DPOP, b"p.r.f")]);
    assert_eq!(read_credentials(&headers).err(), Some(CredentialsError::ProofRepeated));
}

#[test]
fn the_bearer_scheme_may_come_without_a_proof() {
    let headers = fields(&[(&AUTHORIZATION, b"Bearer to.ken")]);
    assert!(matches!(read_credentials(&headers), Ok(Credentials::Bearer { token: "to.ken", proof: None })));
}

#[test]
fn debug_output_names_the_scheme_only() {
    let headers = fields(&[(&AUTHORIZATION, b"DPoP canary"), (&DPOP, b"canary")]);
    assert_eq!(format!("{:?}", read_credentials(&headers)), "Ok(Dpop)");
}

#[test]
fn reads_the_one_nonce_of_an_answer() {
    assert_eq!(read_nonce(&HeaderMap::new()), Ok(None));
    assert_eq!(read_nonce(&fields(&[(&DPOP_NONCE, b" abc-_. ")])), Ok(Some("abc-_.")));
    let repeated = fields(&[(&DPOP_NONCE, b"a"), (&DPOP_NONCE, b"a")]);
    assert_eq!(read_nonce(&repeated), Err(NonceFieldError::Repeated));
    let longest = vec![b'n'; MAX_NONCE_LENGTH];
    assert!(read_nonce(&fields(&[(&DPOP_NONCE, &longest)])).is_ok());
    let too_long = vec![b'n'; MAX_NONCE_LENGTH + 1];
    for value in [&b""[..], b"a b", b"a\"b", b"a\\b", b"a\x80", &too_long] {
        assert_eq!(read_nonce(&fields(&[(&DPOP_NONCE, value)])), Err(NonceFieldError::NotANonce));
    }
}

#[test]
fn the_bytes_of_a_token_are_those_of_the_grammar() {
    for byte in 0..=u8::MAX {
        let by_the_grammar = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        assert_eq!(super::is_token68_byte(byte), by_the_grammar, "{byte:#04x}");
    }
}

#[test]
fn a_token_is_looked_at_when_it_is_read_and_not_again() {
    let malformed = Err(CredentialsError::TokenMalformed);
    for (bytes, read, again) in [
        (&b"a.b.c=="[..], Ok("a.b.c=="), Ok("a.b.c==")),
        (b"a b", malformed, Ok("a b")),
        (b"", malformed, Ok("")),
        (b"a\xff", malformed, malformed),
    ] {
        let token = TokenText::new(bytes);
        assert_eq!((token.as_bytes(), token.read(), token.read_again()), (bytes, read, again));
    }
    assert_eq!(format!("{:?}", TokenText::new(b"a.b.c")), "TokenText { length: 5, .. }");
}

#[test]
fn a_token_can_be_read_in_a_way_of_ones_own() {
    let name = AUTHORIZATION;
    let length = |value: &[u8]| {
        let headers = fields(&[(&name, value), (&DPOP, b"p.r.f")]);
        let read = read_credentials_by(&headers, |token| Ok(token.as_bytes().len()));
        read.map(|credentials| match credentials {
            Credentials::None => None,
            Credentials::Dpop { token, .. } | Credentials::Bearer { token, .. } => Some(token),
        })
    };
    assert_eq!(
        (length(b"DPoP a,b"), length(b"Bearer  abcd"), length(b"Basic ab")),
        (Ok(Some(3)), Ok(Some(4)), Ok(None))
    );
    assert_eq!(length(b"DPoP\tab"), Err(CredentialsError::TokenMalformed));
    let headers = fields(&[(&name, b"DPoP ab"), (&DPOP, b"p.r.f")]);
    let refused = read_credentials_by(&headers, |_| Err::<(), _>(CredentialsError::TokenMalformed));
    assert_eq!(refused.map(|_| ()), Err(CredentialsError::TokenMalformed));
}

#[test]
fn a_proof_is_looked_at_when_it_is_read() {
    let text = |scheme: &[u8], proof: &[u8]| {
        let headers = fields(&[(&AUTHORIZATION, scheme), (&DPOP, proof)]);
        read_credentials_by(&headers, TokenText::read).map(|credentials| match credentials {
            Credentials::None => None,
            Credentials::Dpop { proof, .. } => {
                assert_eq!(format!("{proof:?}"), format!("ProofText {{ length: {}, .. }}", proof.as_bytes().len()));
                Some((proof.as_bytes().to_vec(), proof.read().map(str::to_owned)))
            }
            Credentials::Bearer { proof, .. } => Some((Vec::new(), Ok(proof.unwrap_or_default().to_owned()))),
        })
    };
    let not_text = CredentialsError::ProofNotText;
    assert_eq!(text(b"DPoP ab", b" p.r.f\t"), Ok(Some((b"p.r.f".to_vec(), Ok("p.r.f".to_owned())))));
    for bad in [&b"p,r.f"[..], b"p r", b"p\xff", b""] {
        assert_eq!(text(b"DPoP ab", bad), Ok(Some((bad.to_vec(), Err(not_text)))));
        assert_eq!(text(b"Bearer ab", bad), Err(not_text), "nobody asks for it later");
    }
}
