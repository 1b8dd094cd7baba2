use super::{Challenge, ChallengeError, Scheme};
use crate::error::ErrorCode;

fn dpop() -> Challenge {
    Challenge::new(Scheme::Dpop)
}

#[test]
fn writes_the_scheme_alone_when_there_is_nothing_else() {
    assert_eq!(dpop().to_string(), "DPoP");
    assert_eq!(Challenge::new(Scheme::Bearer).to_string(), "Bearer");
}

#[test]
fn writes_parameters_in_a_fixed_order() {
    let challenge = Challenge {
        error: Some(ErrorCode::InvalidDpopProof),
        error_description: Some("the DPoP proof is too old".into()),
        algs: vec!["ES256".into(), "Ed25519".into()],
        scope: Some("read write".to_owned()),
        resource_metadata: Some("https://rs.example/.well-known/oauth-protected-resource".to_owned()),
        ..dpop()
    };
    assert_eq!(
        challenge.to_string(),
        "DPoP error=\"invalid_dpop_proof\", error_description=\"the DPoP proof is too old\", algs=\"ES256 Ed25519\", \
         scope=\"read write\", resource_metadata=\"https://rs.example/.well-known/oauth-protected-resource\""
    );
    assert_eq!(Challenge::parse_field(&challenge.to_string()), Ok(vec![challenge]));
}

#[test]
fn leaves_out_what_could_split_the_field_row_457() {
    let challenge = Challenge { scope: Some("a\"b\\c\r\nSet-Cookie: d\u{e9}".to_owned()), ..dpop() };
    assert_eq!(challenge.to_string(), "DPoP scope=\"abcSet-Cookie: d\"");
}

#[test]
fn reads_scheme_and_names_in_any_case_row_495() {
    let parsed = Challenge::parse_field("dPoP ERROR=use_dpop_nonce,Algs=\"ES256\"").expect("a challenge");
    let expected = Challenge { error: Some(ErrorCode::UseDpopNonce), algs: vec!["ES256".into()], ..dpop() };
    assert_eq!(parsed, [expected]);
}

#[test]
fn reads_several_challenges_and_skips_other_schemes() {
    let field = "Negotiate abc==, ,Basic realm=\"a, DPoP error=\\\"x\\\"\", DPoP algs=\"ES256 PS256\" , Bearer, \
                 Digest qop=auth, nonce=\"1\", Bearer scope = \"read\"";
    let parsed = Challenge::parse_field(field).expect("challenges");
    let expected = [
        Challenge { algs: vec!["ES256".into(), "PS256".into()], ..dpop() },
        Challenge::new(Scheme::Bearer),
        Challenge { scope: Some("read".to_owned()), ..Challenge::new(Scheme::Bearer) },
    ];
    assert_eq!(parsed, expected);
}

#[test]
fn reads_token68_of_every_length_of_padding() {
    for padding in ["", "=", "==", "==="] {
        let parsed = Challenge::parse_field(&format!("Negotiate a/b+c{padding}, DPoP"));
        assert_eq!(parsed, Ok(vec![dpop()]), "{padding}");
    }
}

#[test]
fn undoes_quoted_pairs() {
    let parsed = Challenge::parse_field(r#"DPoP error_description="a \"b\" c", scope="r\ead""#).expect("a challenge");
    assert_eq!(parsed[0].error_description.as_deref(), Some("a b c"));
    assert_eq!(parsed[0].scope.as_deref(), Some("read"));
}

#[test]
fn keeps_an_error_that_is_not_known_here() {
    let parsed = Challenge::parse_field("DPoP error=\"insufficient_user_authentication\"").expect("a challenge");
    assert_eq!(parsed[0].error, None);
    assert_eq!(parsed[0].other_error.as_deref(), Some("insufficient_user_authentication"));
    assert!(parsed[0].has_error());
    assert_eq!(parsed[0].to_string(), "DPoP error=\"insufficient_user_authentication\"");
}

#[test]
fn an_unknown_error_never_turns_into_a_known_one() {
    let parsed = Challenge::parse_field("DPoP error=\"invalid_\u{e9}token\\\"\"").expect("a challenge");
    assert_eq!(parsed[0].other_error.as_deref(), Some("invalid_?token?"));
    assert_eq!(Challenge::parse_field(&parsed[0].to_string()), Ok(parsed));
}

#[test]
fn drops_values_that_their_definition_does_not_allow() {
    let field = "DPoP scope=\"a\\\"b\", resource_metadata=\"https://\u{202e}\", algs=\"ES256 <x>\"";
    assert_eq!(Challenge::parse_field(field), Ok(vec![Challenge { algs: vec!["ES256".into()], ..dpop() }]));
}

#[test]
fn refuses_what_is_no_list_of_challenges() {
    let too_long = format!("DPoP scope=\"{}\"", "a".repeat(8_192));
    let many: Vec<String> = (0..100).map(|index| format!("p{index}=1")).collect();
    let many = format!("DPoP {}", many.join(","));
    let bad = [
        "\"DPoP\"",
        "=",
        "DPoP error=\"open",
        "DPoP error=\"open\\",
        "DPoP error=\"a\" algs=\"b\"",
        "DPoP error=\"a\"b",
        "DPoP error=\"a\u{7}\"",
        "DPoP error=a, error=b",
        "DPoP error=a, ERROR=b",
        "DPoP a b",
        "DPoP/abc",
        "DPoP {}",
        &too_long,
        &many,
    ];
    for field in bad {
        assert_eq!(Challenge::parse_field(field), Err(ChallengeError), "{field}");
    }
}

#[test]
fn reads_as_much_as_the_limit_and_no_more() {
    let field = |length: usize| format!("DPoP{}", ",".repeat(length - 4));
    assert_eq!(Challenge::parse_field(&field(8_192)), Ok(vec![dpop()]));
    assert_eq!(Challenge::parse_field(&field(8_193)), Err(ChallengeError));
}

#[test]
fn an_empty_field_holds_no_challenge() {
    assert_eq!(Challenge::parse_field(""), Ok(Vec::new()));
    assert_eq!(Challenge::parse_field(" , ,\t"), Ok(Vec::new()));
}

proptest::proptest! {
    #[test]
    fn never_panics_and_stays_bounded(field in "(DPoP|Bearer|x|[ -~]{0,3}|,|=|\"|\\\\|[a-z]{1,4}=|\\PC){0,40}") {
        if let Ok(challenges) = Challenge::parse_field(&field) {
            proptest::prop_assert!(challenges.len() <= field.len());
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        code in proptest::option::of(proptest::sample::select(vec![ErrorCode::InvalidToken, ErrorCode::UseDpopNonce])),
        description in proptest::option::of("[ !#-\\[\\]-~]{0,60}"),
        scope in proptest::option::of("[a-z]{1,8}( [a-z]{1,8}){0,3}"),
        algs in proptest::collection::vec("[A-Za-z0-9-]{1,10}", 0..5),
    ) {
        let (error_description, algs) = (description.map(Into::into), algs.into_iter().map(Into::into).collect());
        let challenge = Challenge { error: code, error_description, algs, scope, ..dpop() };
        proptest::prop_assert_eq!(Challenge::parse_field(&challenge.to_string()), Ok(vec![challenge]));
    }
}

#[test]
fn has_an_error_when_one_is_named_known_or_not() {
    assert!(!dpop().has_error());
    assert!(Challenge { error: Some(ErrorCode::InvalidToken), ..dpop() }.has_error());
    assert!(Challenge { other_error: Some("teapot".to_owned()), ..dpop() }.has_error());
}
