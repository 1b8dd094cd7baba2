use proptest::prelude::*;

use super::{Htu, HtuDifference, HtuError, PublicOrigin, PublicOriginError};

const REQUEST: &str = "https://rs.example/a/b";

fn htu(uri: &str) -> Htu {
    Htu::parse(uri).unwrap_or_else(|error| panic!("{uri}: {error}"))
}

fn refusal(uri: &str) -> HtuError {
    Htu::parse(uri).expect_err(uri)
}

#[track_caller]
fn assert_same(expected: &str, claim: &str) {
    assert_eq!(htu(expected).difference(&htu(claim)), None, "{claim}");
    assert_eq!(htu(expected), htu(claim), "{claim}");
    assert_eq!(htu(expected).is_named_by(claim), Ok(true), "{claim}");
}

#[track_caller]
fn assert_differs(expected: &str, claim: &str, difference: HtuDifference) {
    assert_eq!(htu(expected).difference(&htu(claim)), Some(difference), "{claim}");
    assert_eq!(htu(claim).difference(&htu(expected)), Some(difference), "{claim}");
    assert_eq!(htu(expected).is_named_by(claim), Ok(false), "{claim}");
}

#[test]
fn is_shown_in_its_normal_form() {
    let htu = Htu::parse("HTTPS://Rs.Example:443/a/./b?c").expect("an htu");
    assert_eq!((htu.to_string().as_str(), htu.as_str()), ("https://rs.example/a/b", "https://rs.example/a/b"));
    assert_eq!(htu.into_string(), "https://rs.example/a/b");
}

#[test]
fn a_used_room_leaves_nothing_behind() {
    let origin = PublicOrigin::parse("https://rs.example/base").expect("an origin");
    for path in ["/a/b", "/a/../%7Eb", "/.well-known/x", "/a//b/"] {
        let fresh = origin.htu(path);
        assert_eq!(
            origin.htu_in(path, "something quite long that was there before, longer than any".to_owned()),
            fresh
        );
    }
}

#[test]
fn dot_segments_lead_out_of_what_two_paths_have_in_common() {
    assert_same("http://a/b/d", "http://a/b/c/../d");
    assert_differs("http://a/b/c/d", "http://a/b/c/../d", HtuDifference::Path);
}

#[test]
fn normalises_only_what_rfc_3986_calls_equal() {
    assert_same(REQUEST, "HTTPS://RS.Example/a/b"); // row 274
    assert_same(REQUEST, "https://rs.example/a/b?c=d#e"); // rows 277, 278
    assert_same(REQUEST, "https://rs.example/a/b?"); // row 280
    assert_same(REQUEST, "https://rs.example/a/b#");
    assert_same("https://rs.example/~a", "https://rs.example/%7Ea"); // row 283
    assert_same(REQUEST, "https://rs.example/x/../a/./b"); // row 290
    assert_same(REQUEST, "https://rs.example/%61/%62");
    assert_same("https://rs.example/a%2Fb", "https://rs.example/a%2fb");
    assert_same(REQUEST, "https://rs.example:443/a/b");
    assert_same(REQUEST, "https://rs.example:/a/b"); // row 313
    assert_same("http://localhost/", "http://localhost:80");
    assert_same("https://[2001:db8::1]/a", "https://[2001:DB8::1]:443/a"); // row 315
    assert_same("https://rs.example/", "https://rs.example");
    assert_same("https://rs.example/", "https://rs.example?a");
}

#[test]
fn takes_encoded_dots_for_dot_segments_on_both_sides_row_292() {
    for dots in ["..", "%2e%2e", ".%2E", "%2e."] {
        assert_same("https://rs.example/b", &format!("https://rs.example/a/{dots}/b"));
        assert_same("https://rs.example/a/", &format!("https://rs.example/a/b/{dots}"));
        assert_same("https://rs.example/", &format!("https://rs.example/{dots}"));
    }
    assert_same("https://rs.example/a/", "https://rs.example/a/%2e");
    assert_same("https://rs.example/a/c", "https://rs.example/a//../c");
    assert_same("https://rs.example/b", "https://rs.example/../../b");
    assert_same("https://rs.example/...", "https://rs.example/...");
}

#[test]
fn names_the_component_that_differs() {
    assert_differs(REQUEST, "https://rs.example/c", HtuDifference::Path); // row 269
    assert_differs(REQUEST, "https://evil.example/a/b", HtuDifference::Host); // row 270
    assert_differs(REQUEST, "https://rs.example:8443/a/b", HtuDifference::Port); // row 272
    assert_differs(REQUEST, "http://rs.example/a/b", HtuDifference::Scheme);
    assert_differs(REQUEST, "http://rs.example:443/a/b", HtuDifference::Scheme);
    assert_differs(REQUEST, "https://rs.example/A/b", HtuDifference::PathCase); // row 275
    assert_differs(REQUEST, "https://rs.example/a/b/", HtuDifference::TrailingSlash); // row 276
    assert_differs(REQUEST, "https://rs.example/a%2Fb", HtuDifference::PathSlashes); // row 285
    assert_differs("https://rs.example/!", "https://rs.example/%21", HtuDifference::Path); // row 287
    assert_differs("https://rs.example/a", "https://rs.example/%2561", HtuDifference::Path); // row 288
    assert_differs("https://rs.example/b", "https://rs.example/a/..%2fb", HtuDifference::Path); // row 291
    assert_differs(REQUEST, "https://rs.example/a//b", HtuDifference::PathSlashes); // row 293
    assert_differs(REQUEST, "https://rs.example/api/a/b", HtuDifference::PathPrefix);
    assert_differs(REQUEST, "https://rs.example/a", HtuDifference::Path); // row 304
    assert_differs(REQUEST, "https://rs.example/a/b/c", HtuDifference::Path); // row 304
    assert_differs(REQUEST, "https://rs.example./a/b", HtuDifference::Host); // row 305
    assert_differs("https://rs.example/a+b", "https://rs.example/a%20b", HtuDifference::Path); // row 310
    assert_differs("https://[::1]/a", "https://[0:0:0:0:0:0:0:1]/a", HtuDifference::Host); // row 316
    assert_differs("https://[::1]/a", "https://[::2]/a", HtuDifference::Host);
    assert_differs("https://[::1]/a", "https://[::1]:81/a", HtuDifference::Port);
    assert_differs(REQUEST, "https://rs.example/a/b;v=1", HtuDifference::Path); // row 319
    assert_differs("https://rs.example/", "https://rs.example//", HtuDifference::TrailingSlash);
    assert_differs("https://rs.example/a/b/", "https://rs.example/", HtuDifference::Path);
}

#[test]
fn refuses_what_is_no_absolute_http_uri() {
    assert_eq!(refusal(""), HtuError::Length); // row 268
    assert_eq!(refusal("/a/b"), HtuError::NotAbsolute); // row 300
    assert_eq!(refusal("//rs.example/a/b"), HtuError::NotAbsolute);
    assert_eq!(refusal("https:/rs.example/a/b"), HtuError::NotAbsolute); // row 297
    assert_eq!(refusal("https:rs.example/a/b"), HtuError::NotAbsolute); // row 298
    assert_eq!(refusal("https:///a/b"), HtuError::NotAbsolute);
    assert_eq!(refusal("https://"), HtuError::NotAbsolute);
    assert_eq!(refusal("rs.example"), HtuError::NotAbsolute);
    assert_eq!(refusal("1https://rs.example/"), HtuError::NotAbsolute);
    assert_eq!(refusal("ftp://rs.example/a/b"), HtuError::Scheme);
    assert_eq!(refusal("wss://rs.example/a/b"), HtuError::Scheme);
    assert_eq!(refusal("rs.example:443/a/b"), HtuError::Scheme);
}

#[test]
fn refuses_odd_authorities() {
    assert_eq!(refusal("https://user@rs.example/a/b"), HtuError::UserInfo); // row 301
    assert_eq!(refusal("https://rs.example@evil.example/a/b"), HtuError::UserInfo); // row 302
    assert_eq!(refusal("https://rs.example:0443/a/b"), HtuError::Port); // row 311
    assert_eq!(refusal("https://rs.example:+443/a/b"), HtuError::Port);
    assert_eq!(refusal("https://rs.example:65536/a/b"), HtuError::Port);
    assert_eq!(refusal("https://rs.example:99999999999999999999/"), HtuError::Port);
    assert_eq!(refusal("https://rs.example:443:443/"), HtuError::Port);
    assert_eq!(refusal("https://:443/"), HtuError::Host);
    assert_eq!(refusal("https://rs%2Eexample/"), HtuError::Host);
    assert_eq!(refusal("https://rs<example/"), HtuError::Host);
    assert_eq!(refusal("https://[::1/"), HtuError::Host);
    assert_eq!(refusal("https://[::1]x/"), HtuError::Host);
    assert_eq!(refusal("https://[]/"), HtuError::Host);
    assert_eq!(refusal("https://[v1.a]/"), HtuError::Host);
    assert_eq!(refusal("https://[fe80::1%25eth0]/"), HtuError::Host);
    assert_eq!(refusal("https://::1/"), HtuError::Host);
}

#[test]
fn refuses_characters_that_no_uri_has() {
    assert_eq!(refusal("https://rs.example/a/b\t"), HtuError::Character); // row 295
    assert_eq!(refusal("https://rs.example/a/\nb"), HtuError::Character); // row 295
    assert_eq!(refusal(" https://rs.example/a/b"), HtuError::Character);
    assert_eq!(refusal("https://rs.example\\a\\b"), HtuError::Character);
    assert_eq!(refusal("https://b\u{fc}cher.example/"), HtuError::Character); // row 307
    assert_eq!(refusal("https://rs.example/b\u{fc}cher"), HtuError::Character); // row 308
    assert_eq!(refusal("https://rs.example/a/b?c d"), HtuError::Character);
    assert_eq!(refusal("https://rs.example/a\0b"), HtuError::Character);
    for character in ['"', '<', '>', '[', ']', '^', '`', '{', '|', '}'] {
        assert_eq!(refusal(&format!("https://rs.example/{character}")), HtuError::Character, "{character}");
    }
}

#[test]
fn refuses_broken_percent_encoding_row_289() {
    for path in ["%zz", "%", "%4", "%4/1", "a%", "%+1", "%%41"] {
        assert_eq!(refusal(&format!("https://rs.example/{path}")), HtuError::PercentEncoding, "{path}");
    }
}

#[test]
fn refuses_more_than_the_limit_row_317() {
    let fits = format!("{REQUEST}{}", "c".repeat(Htu::MAX_LENGTH - REQUEST.len()));
    assert!(Htu::parse(&fits).is_ok());
    assert_eq!(refusal(&format!("{fits}c")), HtuError::Length);
}

#[test]
fn an_origin_gives_the_expected_htu() {
    let origin = PublicOrigin::parse("HTTPS://RS.Example:443").expect("an origin");
    assert_eq!(origin.as_str(), "https://rs.example");
    assert_eq!(origin.authority(), "rs.example");
    assert_eq!(origin.path(), "");
    assert_eq!(origin.htu("/a/b?c=d|e").expect("an htu").as_str(), REQUEST);
    assert_eq!(origin.htu("/").expect("an htu").as_str(), "https://rs.example/");
    assert_eq!(origin.htu("*"), Err(HtuError::NotAbsolute));
    assert_eq!(origin.htu(""), Err(HtuError::NotAbsolute));
    assert_eq!(origin.htu("?a"), Err(HtuError::NotAbsolute));
    assert_eq!(origin.htu("/a b"), Err(HtuError::Character));
    assert_eq!(origin.htu("/a#b"), Err(HtuError::Character));
    assert_eq!(origin.htu("/%4"), Err(HtuError::PercentEncoding));
    let longest = format!("/{}", "a".repeat(Htu::MAX_LENGTH - origin.as_str().len() - 1));
    assert_eq!(origin.htu(&longest).expect("an htu").as_str().len(), Htu::MAX_LENGTH);
    assert_eq!(origin.htu(&format!("{longest}a")), Err(HtuError::Length));
}

#[test]
fn an_origin_knows_its_scheme_and_shows_itself() {
    let origin = PublicOrigin::parse("HTTPS://RS.Example/base/").expect("an origin");
    assert!(origin.is_https());
    assert_eq!(origin.to_string(), "https://rs.example/base");
    assert!(!PublicOrigin::parse("http://localhost").expect("an origin").is_https());
}

#[test]
fn an_origin_may_lie_below_a_path_row_490() {
    let origin = PublicOrigin::parse("https://host.example:8443/tenant/a/").expect("an origin");
    assert_eq!(origin.as_str(), "https://host.example:8443/tenant/a");
    assert_eq!(origin.authority(), "host.example:8443");
    assert_eq!(origin.path(), "/tenant/a");
    assert_eq!(origin.htu("/token").expect("an htu").as_str(), "https://host.example:8443/tenant/a/token");
    assert_eq!(origin.htu("/../../x").expect("an htu").as_str(), "https://host.example:8443/tenant/a/x");
}

#[test]
fn plain_http_is_for_loopback_origins_only() {
    for url in
        ["http://localhost:8080", "http://127.0.0.1", "http://127.9.9.9:1/a", "http://[::1]:80", "HTTP://LOCALHOST"]
    {
        assert!(PublicOrigin::parse(url).expect(url).is_loopback(), "{url}");
    }
    for url in ["http://rs.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://[::2]"] {
        assert_eq!(PublicOrigin::parse(url), Err(PublicOriginError::PlainHttp), "{url}");
        assert!(!PublicOrigin::danger_parse_plain_http(url).expect(url).is_loopback(), "{url}");
    }
    assert!(!PublicOrigin::parse("https://rs.example").expect("an origin").is_loopback());
}

#[test]
fn an_origin_has_neither_query_nor_fragment() {
    for url in ["https://rs.example?", "https://rs.example/#", "https://rs.example/a?b"] {
        assert_eq!(PublicOrigin::parse(url), Err(PublicOriginError::QueryOrFragment), "{url}");
    }
    assert_eq!(PublicOrigin::parse("rs.example"), Err(PublicOriginError::Htu(HtuError::NotAbsolute)));
}

#[test]
fn an_origin_knows_its_authority() {
    let origin = PublicOrigin::parse("https://rs.example/base").expect("an origin");
    for authority in ["rs.example", "RS.EXAMPLE", "rs.example:443", "rs.example:"] {
        assert!(origin.is_authority(authority), "{authority}");
    }
    let others = [
        "",
        ":443",
        "rs.example:80",
        "rs.example:8443",
        "rs.example.",
        "evil.example",
        "a@rs.example",
        "rs.example/base",
    ];
    for authority in others {
        assert!(!origin.is_authority(authority), "{authority}");
    }
    let local = PublicOrigin::parse("http://[::1]:8080").expect("an origin");
    assert!(local.is_authority("[::1]:8080"));
    assert!(!local.is_authority("[::1]"));
    assert!(PublicOrigin::parse("http://localhost").expect("an origin").is_authority("localhost:80"));
}

/// URIs that parse: an authority of any form that is taken, and a path of pieces that normalisation is about.
fn uri() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["rs.example", "RS.example", "[2001:DB8::1]", "127.0.0.1", "a_b"]);
    let port = prop::sample::select(vec!["", ":", ":443", ":80", ":8443", ":0"]);
    let pieces =
        vec!["/", "//", "a", "B", ".", "..", "%2e", "%2E", "%41", "%2f", "%2F", "%7e", "~", "%21", "!", "@", ":", ";"];
    let path = prop::collection::vec(prop::sample::select(pieces), 0..12);
    let scheme = prop::sample::select(vec!["https", "http", "HTTPS"]);
    (scheme, host, port, path).prop_map(|(scheme, host, port, path)| {
        let path = path.concat();
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        format!("{scheme}://{host}{port}{slash}{path}")
    })
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC*") {
        let _ = Htu::parse(&text);
        let _ = PublicOrigin::parse(&text);
    }

    #[test]
    fn never_panics_near_the_grammar(text in "(https?://)?[a@:.\\[\\]%0-9/?#\\\\ -]{0,24}") {
        let _ = Htu::parse(&text);
        let _ = PublicOrigin::parse(&text).map(|origin| origin.htu(&text));
    }

    #[test]
    fn normalising_twice_changes_nothing(uri in uri()) {
        let normal = htu(&uri);
        prop_assert_eq!(&htu(normal.as_str()), &normal);
        prop_assert!(normal.as_str().len() <= uri.len() + 1);
        let dotted = |segment: &str| matches!(segment, "." | "..");
        prop_assert!(!normal.as_str().split('/').any(dotted), "{}", normal);
    }

    #[test]
    fn equal_means_no_difference(one in uri(), other in uri()) {
        let (one, other) = (htu(&one), htu(&other));
        prop_assert_eq!(one == other, one.difference(&other).is_none());
        prop_assert_eq!(one.difference(&other), other.difference(&one));
    }

    #[test]
    fn an_escaped_unreserved_octet_changes_nothing(before in "[a-z/]{0,8}", octet in "[A-Za-z0-9._~-]", after in "[a-z/]{0,8}") {
        let encoded = format!("%{:02x}", octet.as_bytes()[0]);
        let uri = |piece: &str| htu(&format!("https://rs.example/{before}{piece}{after}"));
        prop_assert_eq!(uri(&octet), uri(&encoded));
    }

    #[test]
    fn query_and_fragment_change_nothing(uri in uri(), query in "[?#][!-~&&[^\\\\]]{0,16}") {
        prop_assert_eq!(htu(&uri), htu(&format!("{uri}{query}")));
    }

    #[test]
    fn origin_and_path_make_what_the_whole_makes(path in "/[a-z%/.~]{0,12}") {
        let origin = PublicOrigin::parse("https://rs.example").expect("an origin");
        prop_assert_eq!(origin.htu(&path), Htu::parse(&format!("https://rs.example{path}")));
    }

    #[test]
    fn is_parsed_beside_another_as_it_is_alone(
        of in uri(),
        at in "(https?://(rs|RS).example)?(:443)?",
        rest in "[a@:.\\[\\]%0-9/?# ~\\\\-]{0,16}",
    ) {
        let beside = htu(&of);
        let from = htu(&format!("{of}/../x"));
        for uri in [format!("{at}{rest}"), format!("{at}/{rest}"), format!("{from}{rest}"), format!("{of}{rest}")] {
            prop_assert_eq!(beside.parse_beside(&uri), Htu::parse(&uri), "{}", uri);
        }
    }
}
