//! `countersign diagnose` as a program: what it reads, prints and returns.

use std::io::Write;

use assert_cmd::Command;
use countersign_dpop::Ath;
use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use serde_json::Value;
use tempfile::NamedTempFile;

const NOW: i64 = 1_700_000_000;
const TOKEN: &str = "canary-access-token";

fn proof(htu: &str) -> String {
    let key = SoftwareKey::generate(Algorithm::Es256).expect("a key");
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, key.public_jwk().to_json());
    let ath = Ath::of(TOKEN);
    let claims = format!(r#"{{"jti":"canary-jti","htm":"GET","htu":"{htu}","iat":{NOW},"ath":"{ath}"}}"#);
    let input = format!("{}.{}", encode_base64url(header), encode_base64url(claims));
    let signature = key.sign_now(input.as_bytes()).expect("a signature");
    format!("{input}.{}", encode_base64url(signature))
}

fn request(proof: &str) -> String {
    format!(
        "GET /orders?canary-query HTTP/1.1\r\nHost: api.example\r\nAuthorization: DPoP {TOKEN}\r\nDPoP: {proof}\r\n\
         Cookie: s=canary-cookie\r\n\r\nHTTP/1.1 401 Unauthorized\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
         WWW-Authenticate: DPoP error=\"invalid_dpop_proof\"\r\nDPoP-Nonce: canary-nonce\r\n\r\n"
    )
}

/// What came of a run.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(arguments: &[&str], input: impl Into<Vec<u8>>) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.arg("diagnose").args(arguments).write_stdin(input).output().expect("a run");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn file(content: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(content.as_bytes()).expect("written");
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("a plain path")
}

/// Neither canaries nor the proof are in the output.
fn is_clean(ran: &Ran, proof: &str) {
    let shown = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!shown.contains("canary"), "{shown}");
    for part in proof.split('.').filter(|part| part.len() > 8) {
        assert!(!shown.contains(part), "{shown}");
    }
}

#[test]
fn explains_a_finding_and_ends_with_1() {
    let proof = proof("http://api.example/orders");
    let ran = run(&[], request(&proof));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    assert!(ran.stdout.starts_with("P09-scheme  htu and request differ in the scheme\n"), "{}", ran.stdout);
    for wanted in ["evidence", "https://api.example/orders", "cause", "fix", "ruled out", "not checked", "left out"] {
        assert!(ran.stdout.contains(wanted), "{wanted} in {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'));
    is_clean(&ran, &proof);
}

#[test]
fn ends_with_0_when_nothing_is_wrong() {
    let proof = proof("https://api.example/orders");
    let token = file(TOKEN);
    let arguments = ["--now", "1700000000", "--token-file", path(&token), "--method", "GET", "--url"];
    let ran = run(&[&arguments[..], &["https://api.example/orders?canary"]].concat(), format!("{proof}\n"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.starts_with("nothing wrong was found\n13 checks passed\n"), "{}", ran.stdout);
    is_clean(&ran, &proof);
}

#[test]
fn reads_a_file_and_the_token_from_standard_input() {
    let proof = proof("https://api.example/orders");
    let capture = file(&format!("DPoP: {proof}\n"));
    let arguments = ["--now", "1700000000", "--token-file", "-", path(&capture)];
    assert_eq!(run(&arguments, TOKEN).code, Some(0));
    let ran = run(&arguments, "canary-another-token");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.starts_with("P11  "), "{}", ran.stdout);
    is_clean(&ran, &proof);
}

#[test]
fn writes_a_versioned_object() {
    let proof = proof("http://api.example/orders");
    let ran = run(&["--json", "-"], request(&proof));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    is_clean(&ran, &proof);
    let json: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&json["version"], &json["input"]), (&Value::from(1), &Value::from("http")));
    assert_eq!(json["findings"][0]["code"], "P09-scheme");
    assert_eq!(json["findings"][0]["difference"], "scheme");
    assert_eq!(json["clock"]["server"], NOW);
    assert_eq!(json["response"]["error"], "invalid_dpop_proof");
    let removed: Vec<&str> =
        json["removed"].as_array().expect("a list").iter().filter_map(|one| one["what"].as_str()).collect();
    assert_eq!(removed, ["proof", "access-token", "nonce", "cookie", "query"]);
}

#[test]
fn heeds_its_flags() {
    let proof = proof("https://api.example/orders");
    let first = |arguments: &[&str]| {
        let ran = run(&[&["--json"], arguments].concat(), request(&proof));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
        let json: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        json["findings"][0]["code"].as_str().map(str::to_owned)
    };
    assert_eq!(first(&[]).as_deref(), Some("T01"));
    assert_eq!(first(&["--method", "POST"]).as_deref(), Some("P08"));
    assert_eq!(first(&["--url", "https://api.example:8443/orders"]).as_deref(), Some("P09-port"));
    assert_eq!(first(&["--algs", "Ed25519,RS256"]).as_deref(), Some("P03"));
    assert_eq!(first(&["--now", "1700000200"]).as_deref(), Some("P10-old"));
    assert_eq!(first(&["--now", "1700000200", "--window", "mcp"]).as_deref(), Some("T01"));
}

#[test]
fn ends_with_2_when_the_input_is_no_capture() {
    let ran = run(&[], "canary: hello\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("a bare proof, a raw HTTP request"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("canary"));
    assert_eq!(run(&[], "").code, Some(2));
    let idle = run(&["--json"], "curl https://api.example/canary");
    assert_eq!((idle.code, idle.stdout.as_str()), (Some(2), ""));
    assert!(idle.stderr.contains("nothing can be judged"), "{}", idle.stderr);
    assert_eq!(run(&[], vec![0xff; 100]).code, Some(2));
    let long = run(&[], vec![b'e'; 2 * 1024 * 1024]);
    assert_eq!(long.code, Some(2));
    assert!(long.stderr.len() < 1_000);
}

#[test]
fn ends_with_2_for_wrong_use_and_repeats_no_secret() {
    let proof = proof("https://api.example/orders");
    for arguments in
        [&[proof.as_str()][..], &["DPoP:", &proof], &["--token-file", "canary-token"], &["--token-file", "-"]]
    {
        let ran = run(arguments, "DPoP: x\nAuthorization: DPoP y\n");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        is_clean(&ran, &proof);
    }
    for arguments in [["--window", "wide"], ["--algs", "none"], ["--now", "soon"], ["--method", "G E T"]] {
        assert_eq!(run(&arguments, request(&proof)).code, Some(2), "{arguments:?}");
    }
}
