use countersign_dpop::Scheme;
use proptest::prelude::*;

use super::{Capture, Exchange, Form, MAX_LENGTH, Note, Unreadable, public_url, text, words};
use crate::examine::Known;
use countersign_dpop::time::Timestamp;

fn read(text: &str) -> Capture {
    Capture::read(text.as_bytes()).expect("a capture")
}

fn url(capture: &Capture) -> Option<String> {
    public_url(&capture.exchange).map(|(url, _)| url)
}

fn request<'a>(exchange: &'a Exchange, name: &'static str) -> Option<&'a str> {
    exchange.request.only(name)
}

const RAW: &str = "POST /orders?x=1 HTTP/1.1\r\nHost: api.example\r\nAuthorization: DPoP t\r\nDPoP: p\r\n\r\n{\"a\":1}\r\n\
    HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP\r\nDPoP-Nonce: n\r\n\r\n{\"error\":\"invalid_token\"}\r\n";

#[test]
fn reads_a_raw_request_and_its_answer() {
    let capture = read(RAW);
    let exchange = &capture.exchange;
    assert_eq!(capture.form(), Form::Http);
    assert_eq!((exchange.method.as_deref(), exchange.status), (Some("POST"), Some(401)));
    assert_eq!(url(&capture).as_deref(), Some("https://api.example/orders?x=1"));
    assert_eq!((request(exchange, "authorization"), request(exchange, "dpop")), (Some("DPoP t"), Some("p")));
    assert_eq!(exchange.response.only("dpop-nonce"), Some("n"));
    assert_eq!(exchange.request.body.trim(), "{\"a\":1}");
    assert_eq!(exchange.response.body.trim(), "{\"error\":\"invalid_token\"}");
}

#[test]
fn reads_the_same_whatever_the_line_ends_and_the_indentation() {
    let wanted = read(RAW);
    let unix = RAW.replace("\r\n", "\n");
    let indented = format!("    {}", unix.replace('\n', "\n    "));
    for text in [unix, indented, format!("\n\n{RAW}"), format!("\u{feff}{RAW}")] {
        let capture = read(&text);
        assert_eq!(capture.exchange.method, wanted.exchange.method);
        assert_eq!(capture.exchange.request.fields, wanted.exchange.request.fields);
        assert_eq!(capture.exchange.response.fields, wanted.exchange.response.fields);
        assert_eq!(capture.exchange.response.body.trim(), wanted.exchange.response.body.trim());
    }
}

#[test]
fn reads_utf_16_as_windows_shells_write_it() {
    let little: Vec<u8> = std::iter::once(0xfeff).chain(RAW.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = std::iter::once(0xfeff).chain(RAW.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        let capture = Capture::read(&bytes).expect("a capture");
        assert_eq!(capture.exchange.request.fields, read(RAW).exchange.request.fields);
    }
}

#[test]
fn reads_what_curl_prints_with_v() {
    let text = "* Host api.example:443 was resolved.\n* Connected to api.example (192.0.2.1) port 443\n\
        * SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384\n* [HTTP/2] [1] [:scheme: https]\n\
        > GET /orders HTTP/2\n> Host: api.example\n> Authorization: DPoP t\n> DPoP: p\n>\n{ [5 bytes data]\n\
        < HTTP/2 401\n< www-authenticate: DPoP error=\"use_dpop_nonce\"\n< dpop-nonce: n\n<\n{ [27 bytes data]\n\
        {\"error\":\"use_dpop_nonce\"}\n* Connection #0 to host api.example left intact\n";
    let capture = read(text);
    let exchange = &capture.exchange;
    assert_eq!((capture.form(), exchange.status), (Form::Http, Some(401)));
    assert_eq!(public_url(exchange), Some(("https://api.example/orders".to_owned(), None)));
    assert_eq!(request(exchange, "dpop"), Some("p"));
    assert_eq!(exchange.response.only("dpop-nonce"), Some("n"));
    assert_eq!(exchange.response.body, "{\"error\":\"use_dpop_nonce\"}\n");
    assert_eq!(capture.notes, []);
    let plain = text.replace("443", "8080").replace("* SSL", "* Not").replace("[:scheme: https]", "");
    assert_eq!(url(&read(&plain)).as_deref(), Some("http://api.example/orders"));
}

#[test]
fn keeps_the_last_request_and_the_final_answer() {
    let first = "GET /a HTTP/1.1\nHost: h.example\nDPoP: p1\n\nHTTP/1.1 401 Unauthorized\nDPoP-Nonce: n\n\n";
    let second =
        "GET /b HTTP/1.1\nHost: h.example\nDPoP: p2\n\nHTTP/1.1 103 Early Hints\nLink: x\n\nHTTP/1.1 200 OK\n\n";
    let capture = read(&format!("{first}{second}"));
    assert_eq!(capture.exchange.target.as_deref(), Some("/b"));
    assert_eq!(request(&capture.exchange, "dpop"), Some("p2"));
    assert_eq!(capture.exchange.status, Some(200));
    assert!(capture.exchange.response.fields.is_empty());
    assert_eq!(capture.notes, [Note::EarlierRequests(1)]);
}

#[test]
fn reads_an_answer_alone_and_a_request_without_version() {
    let answer = read("HTTP/2 403\nWWW-Authenticate: DPoP error=\"insufficient_scope\"\n");
    assert_eq!((answer.exchange.status, url(&answer)), (Some(403), None));
    let request = read("DELETE https://api.example/orders/7\nDPoP: p\n");
    assert_eq!(url(&request).as_deref(), Some("https://api.example/orders/7"));
    assert_eq!(request.exchange.method.as_deref(), Some("DELETE"));
}

#[test]
fn takes_the_scheme_from_where_it_is_said() {
    let of = |fields: &str| public_url(&read(&format!("GET /a HTTP/1.1\n{fields}\nDPoP: p\n")).exchange);
    let wanted = |url: &str, note| Some((url.to_owned(), Some(note)));
    assert_eq!(of("Host: api.example"), wanted("https://api.example/a", Note::SchemeAssumed));
    assert_eq!(of("Host: localhost:8080"), wanted("http://localhost:8080/a", Note::SchemeLoopback));
    assert_eq!(of("Host: [::1]:8080"), wanted("http://[::1]:8080/a", Note::SchemeLoopback));
    assert_eq!(of("Host: 127.0.0.2"), wanted("http://127.0.0.2/a", Note::SchemeLoopback));
    let forwarded = "Host: api.example\nX-Forwarded-Proto: HTTP";
    assert_eq!(of(forwarded), wanted("http://api.example/a", Note::SchemeForwarded));
    assert_eq!(of("Host: a.example\nHost: b.example"), None);
    assert_eq!(of("Accept: */*"), None);
    let pseudo = read(":method: GET\n:scheme: https\n:authority: api.example\n:path: /a\ndpop: p\n");
    assert_eq!(public_url(&pseudo.exchange), Some(("https://api.example/a".to_owned(), None)));
}

#[test]
fn reads_header_lines() {
    let capture = read("DPoP: p\nAuthorization: DPoP t\n");
    assert_eq!(capture.form(), Form::Fields);
    assert_eq!(request(&capture.exchange, "authorization"), Some("DPoP t"));
    let twice = read("> dpop: p\n> dpop: q\n< DPoP-Nonce: n\n");
    assert_eq!(twice.exchange.request.fields.get_all("dpop").iter().count(), 2);
    assert_eq!(twice.exchange.response.only("dpop-nonce"), Some("n"));
    let folded = read("Authorization: DPoP\n  t\n");
    assert_eq!(request(&folded.exchange, "authorization"), Some("DPoP t"));
}

#[test]
fn reads_a_proof_alone_whole_or_damaged() {
    for text in ["eyJhIjoxfQ.eyJhIjoxfQ.c2ln", "  eyJhIjoxfQ.eyJhIjoxfQ\n", "eyJhIjoxfQ==.x.y", "eyJhIjoxfQ"] {
        let capture = read(text);
        assert_eq!((capture.form(), capture.notes.len()), (Form::Proof, 0), "{text}");
        assert_eq!(capture.bare_proof.as_deref(), Some(text.trim()));
    }
    let wrapped = read("eyJhIjox\nfQ.eyJhI\n  joxfQ.c2ln");
    assert_eq!(wrapped.bare_proof.as_deref(), Some("eyJhIjoxfQ.eyJhIjoxfQ.c2ln"));
    assert_eq!(wrapped.notes, [Note::BreaksDropped]);
    let json = read("{\"payload\":\"e30\",\n\"protected\":\"e30\",\"signature\":\"c2ln\"}");
    assert_eq!((json.form(), json.notes.len()), (Form::Proof, 0));
}

#[test]
fn reads_a_curl_command() {
    let text = "$ curl -sSX PUT 'https://user:pw@api.example/a?x=1' \\\n  -H 'DPoP: p' --header \"Authorization: DPoP t\" \
        -H$'Accept: a\\u0041' -d a=1 --max-time 3 -o out -k # no comment\n";
    let capture = read(text);
    let exchange = &capture.exchange;
    assert_eq!((capture.form(), exchange.method.as_deref()), (Form::Curl, Some("PUT")));
    assert_eq!(url(&capture).as_deref(), Some("https://api.example/a?x=1"));
    assert_eq!(request(exchange, "dpop"), Some("p"));
    assert_eq!(request(exchange, "authorization"), Some("DPoP t"));
    assert_eq!(request(exchange, "accept"), Some("aA"));
    assert_eq!(exchange.request.body, "a=1");
}

#[test]
fn knows_curls_defaults() {
    let method = |rest: &str| read(&format!("curl https://a.example {rest}")).exchange.method;
    assert_eq!(method("").as_deref(), Some("GET"));
    assert_eq!(method("-d x").as_deref(), Some("POST"));
    assert_eq!(method("--json '{}'").as_deref(), Some("POST"));
    assert_eq!(method("-F a=b").as_deref(), Some("POST"));
    assert_eq!(method("-G -d x").as_deref(), Some("GET"));
    assert_eq!(method("-I").as_deref(), Some("HEAD"));
    assert_eq!(method("-T file").as_deref(), Some("PUT"));
    assert_eq!(method("-d x --request PATCH").as_deref(), Some("PATCH"));
    assert_eq!(method("-d x --next -X PUT https://b.example").as_deref(), Some("POST"));
    let at = |text: &str| url(&read(text));
    assert_eq!(at("curl api.example/a").as_deref(), Some("http://api.example/a"));
    assert_eq!(at("curl -x proxy.example:1 --url https://a.example").as_deref(), Some("https://a.example"));
    assert_eq!(at("/usr/bin/curl --unknown value https://a.example/").as_deref(), Some("https://a.example/"));
    let bearer = read("curl https://a.example --oauth2-bearer t");
    assert_eq!(request(&bearer.exchange, "authorization"), Some("Bearer t"));
}

#[test]
fn reads_the_output_behind_a_curl_command() {
    let answered = read("curl -i https://a.example -H 'DPoP: p'\nHTTP/2 401\ndpop-nonce: n\n\n");
    assert_eq!((answered.form(), answered.exchange.status), (Form::Curl, Some(401)));
    assert_eq!(request(&answered.exchange, "dpop"), Some("p"));
    let verbose =
        read("$ curl -v https://a.example -H \"DPoP: $P\"\n> GET / HTTP/2\n> Host: a.example\n> DPoP: p\n>\n");
    assert_eq!((verbose.form(), request(&verbose.exchange, "dpop")), (Form::Http, Some("p")));
}

#[test]
fn takes_no_placeholder_for_a_proof_or_token() {
    for value in
        ["$PROOF", "${PROOF}", "$(make-proof)", "<proof>", "[hidden]", "{{proof}}", "eyJ...", "REDACTED", "***"]
    {
        let capture = read(&format!("curl https://a.example -H 'DPoP: {value}' -H 'Authorization: DPoP {value}'"));
        assert_eq!(capture.notes, [Note::Placeholder], "{value}");
        assert!(capture.exchange.request.fields.is_empty());
        assert_eq!(capture.exchange.request.scheme, Some(Scheme::Dpop));
    }
}

#[test]
fn refuses_what_is_no_capture() {
    let read = |text: &[u8]| Capture::read(text).expect_err("a refusal");
    assert_eq!(read(b""), Unreadable::Empty);
    assert_eq!(read(b" \n\t\r\n"), Unreadable::Empty);
    assert_eq!(read(&vec![b'e'; MAX_LENGTH + 1]), Unreadable::TooLong);
    let none = [
        "hello",
        "www.example.com",
        "{\"access_token\":\"x\"}",
        "Host: a.example\nAccept: b",
        "wget https://a.example",
        "key: value",
        "GET",
        "GET nothing",
        "HTTP/1.1",
        "HTTP/1.1 20",
        "\u{0}",
        "a: b\nnot a field\nDPoP: p",
    ];
    for text in none {
        assert_eq!(read(text.as_bytes()), Unreadable::Unrecognised, "{text}");
    }
    assert!(!Unreadable::Unrecognised.to_string().contains('\n'));
}

#[test]
fn bounds_what_is_kept() {
    let fields: Vec<String> = (0..40_000).map(|n| format!("x-{n}: v")).collect();
    let capture = read(&format!("GET / HTTP/1.1\nDPoP: p\n{}", fields.join("\n")));
    assert_eq!(capture.exchange.request.fields.len(), 512);
    assert_eq!(capture.notes, [Note::LinesSkipped(39_489)]);
    let words: String = "w ".repeat(100_000);
    assert_eq!(words::first_command(&words).0.len(), 4_096);
    let long = "eyJ".to_owned() + &"x".repeat(MAX_LENGTH - 3);
    assert_eq!(read(&long).form(), Form::Proof);
}

#[test]
fn shows_nothing_of_the_capture_in_debug() {
    let shown = format!("{:?}", read(&RAW.replace("DPoP t", "DPoP canary").replace("DPoP: p", "DPoP: canary")));
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("Http"));
}

#[test]
fn takes_off_only_what_all_lines_share() {
    assert_eq!(text::dedent("\n  a\n    b\n\n  c"), "a\n  b\n\nc");
    assert_eq!(text::dedent("a\n  b"), "a\n  b");
}

/// Whatever is read is examined, explained and written too.
fn survives(input: &[u8]) {
    if let Ok(capture) = Capture::read(input) {
        let report = capture.examine(&Known::default(), Timestamp::from_seconds(1_700_000_000));
        assert!(serde_json::to_string(&report).is_ok());
        assert!(!report.explain().headline.title.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn never_panics_on_bytes(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        survives(&input);
    }

    #[test]
    fn never_panics_on_captures(start in START, lines in proptest::collection::vec(LINE, 0..16), wild in "\\PC{0,40}") {
        survives(format!("{start}\n{}\n{wild}", lines.join("\n")).as_bytes());
        survives(format!("{start}{wild}\n{}", lines.join("\r\n> ")).as_bytes());
    }

    #[test]
    fn never_panics_on_commands(words in proptest::collection::vec(WORD, 0..16), wild in "\\PC{0,40}") {
        survives(format!("curl {} {wild}", words.join(" ")).as_bytes());
        survives(format!("curl {wild} {}", words.concat()).as_bytes());
    }
}

const START: &str = "(> )?(GET / HTTP/1\\.1|POST https://a\\.example|HTTP/2 401|DPoP: p|curl a|eyJ|\\* x|:path: /)";
const LINE: &str = "([<>*] )?([A-Za-z:-]{0,12}: ?[ -~]{0,30}|Host: [ -~]{0,12}|Authorization: DPoP [ -~]{0,12}|DPoP: [ -~]{0,12}\
    |WWW-Authenticate: [ -~]{0,30}|HTTP/1.1 [0-9]{3}|\\{\"error\": ?[ -~]{0,8}|)";
const WORD: &str =
    "(-[A-Za-z]{1,3}|--[a-z-]{1,14}|-H|'[ -~]{0,20}|\"[ -~]{0,20}\"|\\$'\\\\u[0-9a-f]{0,5}'|\\\\|[!-~]{0,12}|é)";
