//! What is only away stops no start: readiness names it, requests get no OAuth error for it, and it heals.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_dpop::jose::{SoftwareKey, sign_compact};
use countersign_dpop::time::{Clock, SystemClock};
use countersign_dpop::{ProofMaker, ProofRequest};
use futures_util::FutureExt;
use serde_json::Value;
use tempfile::TempDir;

use crate::configuration::gateway;
use crate::http::{self, Answer, Api, free_port};
use crate::process::{Ended, LIMIT, Running, countersign};
use crate::system::System;

/// The private key of RFC 7515 appendix A.3.
const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
const SECRET: &str = "canary-of-the-client-secret-0123456789";

/// What `/readyz` says is missing, as (what, name).
fn missing(admin: &str) -> Vec<(String, String)> {
    let answer = http::get(&format!("{admin}/readyz"), &[]);
    let body = answer.json();
    let missing = body["missing"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let missing: Vec<_> = missing.map(|one| (text(&one["what"]), text(&one["name"]))).collect();
    let expected = if missing.is_empty() { (200, Some(true)) } else { (503, Some(false)) };
    assert_eq!((answer.status, body["ready"].as_bool()), expected);
    missing
}

/// A request with a token of `issuer` and a proof for it; once more with a nonce when one is asked for.
fn request(origin: &str, issuer: &str) -> Answer {
    let key = Arc::new(SoftwareKey::from_text(KEY.as_bytes(), None).unwrap());
    let maker = ProofMaker::new(Arc::clone(&key) as _);
    let (now, jkt) = (SystemClock.now(), maker.jkt().to_string());
    let claims = serde_json::json!({
        "iss": issuer, "aud": origin, "sub": "s", "client_id": "c", "jti": "t",
        "iat": now.seconds(), "exp": now.plus(300).seconds(), "cnf": { "jkt": jkt },
    });
    let header = r#"{"typ":"at+jwt","alg":"ES256","kid":"k"}"#;
    let token = sign_compact(key.as_ref(), header, &claims.to_string()).now_or_never().unwrap().unwrap();
    let url = format!("{origin}/orders");
    let send = |nonce: Option<&str>| {
        let proof =
            maker.make_now(&ProofRequest { method: "GET", url: &url, token: Some(&token), nonce }, now).unwrap();
        http::get(&url, &[("Authorization", &format!("DPoP {token}")), ("DPoP", &proof)])
    };
    let answer = send(None);
    match answer.fields("DPoP-Nonce").first() {
        Some(nonce) if answer.status == 401 => send(Some(nonce)),
        _ => answer,
    }
}

fn write_private(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// The configuration of an authorization server at `issuer` and of a client for `resource`.
fn write_configurations(directory: &Path, issuer: &str, resource: &str) {
    let listen = issuer.strip_prefix("http://").unwrap();
    let authserver = format!(
        "issuer = '{issuer}'\nlisten = '{listen}'\ndata = 'state'\n\
         [[resource]]\nidentifier = '{resource}'\nscopes = ['read']\n\
         [[client]]\nclient_id = 'c'\nauth = 'client_secret_basic'\nsecret = '{SECRET}'\n\
         grants = ['client_credentials']\nscopes = ['read']\n"
    );
    write_private(&directory.join("authserver.toml"), &authserver);
    let client = format!(
        "issuer = '{issuer}'\nclient_id = 'c'\nresource = '{resource}'\n\
         [auth]\nmethod = 'client_secret_basic'\nsecret = '{SECRET}'\n[keys]\ndirectory = 'keys'\ndpop = 'dpop'\n"
    );
    write_private(&directory.join("client.toml"), &client);
}

#[test]
fn an_issuer_and_an_upstream_that_are_away_are_named_and_come_back() {
    let directory = TempDir::new().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (front, back, api) = (free_port(), free_port(), free_port());
    let (origin, issuer) = (format!("http://127.0.0.1:{front}"), format!("http://127.0.0.1:{back}"));
    let upstream = format!("http://127.0.0.1:{api}");
    let listen = origin.strip_prefix("http://").unwrap();
    let arguments = gateway(&[
        ("--listen", listen),
        ("--public-origin", &origin),
        ("--audience", &origin),
        ("--issuer", &issuer),
        ("--upstream", &upstream),
        ("--admin", "127.0.0.1:0"),
        ("--nonce", "required"),
    ]);
    let mut gateway = Running::start(arguments, &[], directory.path());
    let admin = gateway.ready().1.unwrap();
    assert_eq!(http::get(&format!("{admin}/healthz"), &[]).status, 200);
    let both = [("issuer".to_owned(), issuer.clone()), ("upstream".to_owned(), upstream.clone())];
    assert_eq!(missing(&admin), both);

    let answer = request(&origin, &issuer);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.fields("WWW-Authenticate").is_empty() && !answer.body.contains("\"error\""), "{answer:?}");

    write_configurations(directory.path(), &issuer, &origin);
    let mut authserver = Running::start(["authserver", "--config", &place("authserver.toml")], &[], directory.path());
    assert_eq!(authserver.ready(), (issuer, None));
    let api = Api::start(api);
    let limit = Instant::now() + LIMIT;
    while !missing(&admin).is_empty() {
        assert!(Instant::now() < limit, "it does not heal: {:?}", missing(&admin));
        gateway.runs_on_for(Duration::from_millis(200));
    }
    api.let_go(1);
    Ended::of(["key", "new", "dpop", "--keys", &place("keys")]).printed();
    let url = format!("{origin}/orders");
    let ended = Ended::of(["call", "-v", "--config", &place("client.toml"), "GET", &url]);
    assert!(!ended.stderr.contains("canary"), "{ended:?}");
    assert_eq!(ended.printed(), Api::SAYS);
    api.arrival();

    // Every proof needs a nonce here, so what comes from standard input has to be sent twice.
    let call = |stdin: Vec<u8>| {
        let arguments = ["call", "--config", &place("client.toml"), "POST", &url, "--data", "@-"];
        Ended::run(countersign().args(arguments).write_stdin(stdin))
    };
    api.let_go(1);
    assert_eq!(call(b"short".to_vec()).printed(), Api::SAYS);
    assert!(api.arrival().ends_with("\r\n\r\nshort"));
    let ended = call(vec![b'x'; 3 * 1024 * 1024]);
    ended.is_refused("the server asks for a nonce, and so long a standard input is gone by then");
    ended.is_refused("hint: put the data into a file and use --data @FILE, which can be sent again");

    for running in [gateway, authserver] {
        running.terminate();
        let ended = running.end();
        assert_eq!(ended.code, Some(0));
        assert!(!ended.stdout.contains("canary") && !ended.stderr.contains("canary"), "{ended:?}");
    }
}

#[test]
fn an_upstream_that_is_away_is_a_502_for_who_may_pass() {
    let directory = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let system = System::start(&directory.path().join("data"), &["--upstream", &upstream]);
    drop(listener);
    assert_eq!(http::get(&format!("{}/", system.gateway), &[]).status, 401);
    let ended = Ended::run(system.call().args(["-i", "GET", &format!("{}/", system.gateway)]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("HTTP/1.1 502 Bad Gateway\n"), "{ended:?}");
    assert!(ended.stdout.contains("the API cannot be reached"), "{ended:?}");
    assert!(!ended.stdout.to_lowercase().contains("www-authenticate"), "{ended:?}");
    // The issuer's keys were fetched for that request, so nothing else is missing any more.
    assert_eq!(missing(&system.admin), [("upstream".to_owned(), upstream)]);
}
