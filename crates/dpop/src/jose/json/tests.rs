use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value as Tree;

use super::{JsonError, JsonLimits, Reader, Value, from_strict_json};

fn read(text: &str) -> Result<Tree, JsonError> {
    from_strict_json(text.as_bytes(), JsonLimits::PROOF)
}

fn string(text: &str) -> Result<Cow<'_, str>, JsonError> {
    let mut reader = Reader::new(text.as_bytes(), JsonLimits::PROOF)?;
    let value = reader.value()?;
    reader.finish()?;
    match value {
        Value::Text(text) => Ok(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_a_member_twice_at_any_depth() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":3}"#,
        r#"{"x":{"a":1,"a":2}}"#,
        r#"[{"x":[{"a":1,"a":2}]}]"#,
        r#"{"htu":1,"\u0068tu":2}"#,
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(read(text), Err(JsonError::MemberRepeated), "{text}");
    }
}

#[test]
fn takes_one_name_in_several_objects() {
    assert!(read(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}"#).is_ok());
}

#[test]
fn finds_a_repeated_member_among_many() {
    let members: Vec<_> = (0..100).map(|n| format!(r#""m{n}":0"#)).collect();
    assert!(read(&format!("{{{}}}", members.join(","))).is_ok());
    assert_eq!(read(&format!(r#"{{{},"m57":1}}"#, members.join(","))), Err(JsonError::MemberRepeated));
}

#[test]
fn bounds_depth_and_members() {
    assert!(read("[[[[[[[[]]]]]]]]").is_ok());
    assert!(read("[[],[],[],[],[],[],[],[],[],[],{},{},{},{},{},{},{}]").is_ok(), "what is closed counts no more");
    assert_eq!(read("[[[[[[[[[]]]]]]]]]"), Err(JsonError::TooDeep { limit: 8 }));
    assert_eq!(read(&"[".repeat(100_000)), Err(JsonError::TooDeep { limit: 8 }));
    let elements = |count| format!("[{}]", vec!["0"; count].join(","));
    assert!(read(&elements(128)).is_ok());
    assert_eq!(read(&elements(129)), Err(JsonError::TooManyMembers { limit: 128 }));
}

#[test]
fn refuses_what_is_not_json() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "{}x",
        "{} {}",
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a"}"#,
        r#"{"a" 1}"#,
        "{a:1}",
        "{'a':1}",
        r#"{"a":1 "b":2}"#,
        "[1,]",
        "[1 2]",
        "NaN",
        "Infinity",
        "-Infinity",
        r#"{"iat":NaN}"#,
        "// comment\n{}",
        "{}/**/",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "-",
        "0x10",
        "tru",
        "True",
        "nul",
        "\"a",
        "\"a\nb\"",
        "\"a\u{0}b\"",
        r#""\x41""#,
        r#""\u12""#,
        r#""\u12g4""#,
        "\u{feff}{}",
        "{\u{a0}}",
    ] {
        assert!(matches!(read(text), Err(JsonError::Syntax { .. })), "{text:?}");
    }
}

#[test]
fn refuses_lone_surrogates_and_broken_utf8() {
    for text in
        [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800x""#, r#""\udc00\ud800""#, r#""\ud800\n""#]
    {
        assert!(matches!(string(text), Err(JsonError::Syntax { .. })), "{text}");
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xc0\x80\"", b"\"\xed\xa0\x80\"", b"{\"a\":\"\xf8\"}"] {
        assert!(matches!(Reader::check(bytes, JsonLimits::PROOF), Err(JsonError::Syntax { .. })), "{bytes:?}");
    }
}

#[test]
fn borrows_text_without_escapes_and_unescapes_the_rest() {
    assert!(matches!(string(r#""plain ü""#), Ok(Cow::Borrowed("plain ü"))));
    assert_eq!(string(r#""\"\\\/\b\f\n\r\t\u0041\ud83d\ude00\u0000z""#).unwrap(), "\"\\/\u{8}\u{c}\n\r\tA😀\0z");
}

#[test]
fn says_where_reading_stopped_and_nothing_of_the_text() {
    let fault = read(r#"{"secret":?}"#).unwrap_err();
    assert_eq!(fault, JsonError::Syntax { offset: 10 });
    assert!(!fault.to_string().contains("secret"));
}

#[test]
fn tells_another_shape_from_broken_json() {
    assert_eq!(from_strict_json::<Vec<u8>>(b"{}", JsonLimits::PROOF), Err(JsonError::Shape));
    assert_eq!(from_strict_json::<u8>(b"300", JsonLimits::PROOF), Err(JsonError::Shape));
}

/// JSON with the liberties that a hostile writer takes.
fn near_json() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\":",
        "{\"a\":1}",
        "1",
        "-0",
        "1.5e3",
        "1e",
        "true",
        "null",
        "\\",
        "\\u00",
        "\\ud83d",
        " ",
        "\t",
        "\u{e4}",
        "\u{0}",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<i32>().prop_map(|n| Tree::from(f64::from(n) / 16.0)),
        ".{0,8}".prop_map(Tree::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::from),
            prop::collection::hash_map(".{0,4}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    /// However much names have in common, and whether few or many: a name that is there twice is found.
    #[test]
    fn finds_a_repeated_member_and_no_other(names in prop::collection::vec("a{0,3}[ab]{6,8}|[ab]{0,2}|ä{0,9}", 0..24)) {
        let members: Vec<_> = names.iter().map(|name| format!("\"{name}\":0")).collect();
        let different: std::collections::HashSet<_> = names.iter().collect();
        let expected = if different.len() == names.len() { Ok(()) } else { Err(JsonError::MemberRepeated) };
        let text = format!("{{{}}}", members.join(","));
        prop_assert_eq!(Reader::check(text.as_bytes(), JsonLimits::PROOF), expected);
    }

    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Reader::check(&bytes, JsonLimits::PROOF);
    }

    #[test]
    fn finds_the_end_of_a_string_wherever_it_stands(text in "[ !#\\[\\]-a~\u{7f}ä€😀]{0,40}", end in 0_u8..0x23, rest in ".{0,20}") {
        let end = if end == 0x20 || end == 0x21 { b'\\' } else { end };
        let json = format!("\"{text}{}{rest}", char::from(end));
        let mut reader = Reader::new(json.as_bytes(), JsonLimits::PROOF).unwrap();
        match (end, reader.value()) {
            (b'"', value) => prop_assert_eq!(value, Ok(Value::Text(Cow::Borrowed(text.as_str())))),
            (b'\\', Ok(Value::Text(read))) => prop_assert!(read.starts_with(&text)),
            (b'\\', _) => {}
            (_, value) => prop_assert_eq!(value, Err(JsonError::Syntax { offset: text.len() + 1 })),
        }
    }

    #[test]
    fn takes_nothing_that_another_parser_refuses(text in near_json()) {
        let other: Result<Tree, _> = serde_json::from_str(&text);
        match Reader::check(text.as_bytes(), JsonLimits::PROOF) {
            Ok(()) => prop_assert!(other.is_ok(), "{text:?}"),
            Err(JsonError::Syntax { .. }) => prop_assert!(other.is_err(), "{text:?}"),
            Err(_) => {}
        }
    }

    #[test]
    fn reads_back_what_another_writer_wrote(tree in tree()) {
        let limits = JsonLimits { depth: 16, members: 4_096 };
        let text = serde_json::to_string_pretty(&tree).unwrap();
        prop_assert_eq!(from_strict_json::<Tree>(text.as_bytes(), limits), Ok(tree));
    }
}
