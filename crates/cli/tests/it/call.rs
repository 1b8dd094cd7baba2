//! `call`: one request, printed as curl does, and never a secret.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::http::{Api, free_port};
use crate::process::Ended;
use crate::system::System;

#[test]
fn a_call_prints_the_body_and_nothing_else() {
    let system = System::shared();
    let ended = system.get("/orders");
    assert_eq!(ended.stderr, "");
    let body: serde_json::Value = serde_json::from_str(&ended.printed()).unwrap();
    assert_eq!(body["orders"][0]["item"], "tea");
}

#[test]
fn i_prints_the_head_before_the_body() {
    let system = System::shared();
    let ended = Ended::run(system.call().args(["-i", "GET", &format!("{}/whoami", system.gateway)]));
    let printed = ended.printed();
    let (head, body) = printed.split_once("\n\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\n") && head.contains("content-type: application/json"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["client"], &body["token_seen"]), (&"demo".into(), &false.into()));
}

#[test]
fn v_tells_every_step_on_stderr_without_token_proof_or_nonce() {
    let system = System::shared();
    let ended = Ended::run(system.call().args(["-v", "GET", &format!("{}/orders", system.gateway)]));
    let (authserver, gateway) = (&system.authserver, &system.gateway);
    for step in [
        format!("* metadata from {authserver}/.well-known/oauth-authorization-server"),
        format!("> POST {authserver}/token to the authorization server"),
        "> DPoP: [a proof by ES256, key ".to_owned(),
        "* token received, bound to the key, scope read write".to_owned(),
        format!("> GET {gateway}/orders to the resource server"),
        "< 200 from the resource server".to_owned(),
    ] {
        assert!(ended.stderr.contains(&step), "expected {step:?}, found {}", ended.stderr);
    }
    assert!(ended.printed().starts_with("{\"orders\":"));
}

#[test]
fn data_and_fields_are_sent() {
    let system = System::shared();
    let url = format!("{}/orders", system.gateway);
    let file = TempDir::new().unwrap();
    let file = file.path().join("order.json");
    fs::write(&file, r#"{"item":"of a file"}"#).unwrap();
    let at_file = format!("@{}", file.display());
    let json = "Content-Type: application/json";
    let cases: [(&[&str], &str, &str); 5] = [
        (&["--data", r#"{"item":"inline"}"#], "", r#"{"item":"inline"}"#),
        (&["-d", r#"["short flag"]"#], "", r#"["short flag"]"#),
        (&["--data", "\"text\"", "-H", json], "", "\"text\""),
        (&["--data", &at_file, "-H", json], "", r#"{"item":"of a file"}"#),
        (&["--data", "@-", "--header", json], r#"{"item":"of stdin"}"#, r#"{"item":"of stdin"}"#),
    ];
    for (arguments, stdin, expected) in cases {
        let ended = Ended::run(system.call().args(["POST", &url]).args(arguments).write_stdin(stdin));
        assert_eq!(ended.printed(), expected);
    }
    // Without its type the API wants none of it.
    assert_eq!(Ended::run(system.call().args(["POST", &url, "--data", &at_file])).code, Some(1));
}

#[test]
fn a_field_reaches_the_api_and_credentials_do_not() {
    let directory = TempDir::new().unwrap();
    let api = Api::start(0);
    let system = System::start(&directory.path().join("data"), &["--upstream", &api.url]);
    api.let_go(1);
    let forged = "Countersign-Subject: somebody else";
    let url = format!("{}/a?b=c", system.gateway);
    let ended = Ended::run(system.call().args(["GET", &url, "-H", "X-One: 1", "-H", "X-Two: 2", "-H", forged]));
    assert_eq!(ended.printed(), Api::SAYS);
    let head = api.arrival().to_lowercase();
    assert!(head.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
    assert!(head.contains("x-one: 1\r\n") && head.contains("x-two: 2\r\n"), "{head}");
    assert!(!head.contains("authorization:") && !head.contains("\r\ndpop:"), "{head}");
    assert!(!head.contains("somebody"), "{head}");
    assert_eq!(head.matches("countersign-client: demo\r\n").count(), 1, "{head}");
}

#[test]
fn a_refusal_of_the_api_is_exit_code_1_with_its_body() {
    let system = System::shared();
    let ended = Ended::run(system.call().args(["-i", "GET", &format!("{}/nothing", system.gateway)]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("HTTP/1.1 404 Not Found\n"), "{ended:?}");

    // A gateway for another resource does not take this client's token.
    let directory = TempDir::new().unwrap();
    let mut other = crate::process::Running::start(
        crate::configuration::gateway(&[("--issuer", &system.authserver), ("--public-origin", "http://127.0.0.1:1")]),
        &[],
        directory.path(),
    );
    let (url, _) = other.ready();
    Ended::run(system.call().args(["-i", "GET", &url])).is_refused("it gets no token");
    let file = directory.path().join("client.toml");
    let right = fs::read_to_string(system.data.join("client.toml")).unwrap();
    fs::write(&file, format!("base_url = \"{url}\"\n{right}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ended = Ended::of(["call", "--config", file.to_str().unwrap(), "-i", "GET", &url]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.starts_with("HTTP/1.1 4"), "{ended:?}");
}

#[test]
fn what_cannot_be_asked_for_is_refused_before_anything_is_sent() {
    let system = System::shared();
    let orders = format!("{}/orders", system.gateway);
    let folder = format!("@{}", system.data.display());
    let cases: [(&[&str], &str); 14] = [
        (&["GET", &orders, "-H", "Authorization: Bearer canary"], "the authorization field is made here"),
        (&["GET", &orders, "-H", "dpop: canary"], "the dpop field is made here and cannot be given"),
        (&["GET", &orders, "-H", "X-Key canary"], "-H: there is no colon in it\nhint: a header field is written"),
        (&["GET", &orders, "-H", "X Key: canary"], "\"X Key\" is no name of a header field"),
        (&["GET", &orders, "-H", "X-Key: can\u{1}ary"], "the value of x-key has a character"),
        (&["GET", "http://api.example/"], "plain http, which is allowed for loopback hosts only; use https"),
        (&["GET", "orders"], "the URL cannot be called: not an absolute URL"),
        (&["GET", "/orders"], "write it whole, like https://api.example.com/orders"),
        (&["GET", "ftp://127.0.0.1/"], "the URL cannot be called: "),
        (&["GET", "http://[::"], "'<URL>'"),
        (&["G T", &orders], "'<METHOD>'"),
        (&["GET"], "<URL>"),
        (&["POST", &orders, "--data", "@/no/such/file"], "cannot read /no/such/file"),
        (&["POST", &orders, "--data", &folder], "not a plain file"),
    ];
    for (arguments, says) in cases {
        let ended = Ended::run(system.call().args(arguments));
        ended.is_refused(says);
        assert!(!ended.stderr.contains("canary"), "{ended:?}");
    }
}

#[test]
fn no_answer_is_exit_code_2() {
    let system = System::shared();
    let (url, directory) = (format!("http://127.0.0.1:{}", free_port()), TempDir::new().unwrap());
    let file = directory.path().join("client.toml");
    let right = fs::read_to_string(system.data.join("client.toml")).unwrap();
    fs::write(&file, format!("base_url = \"{url}\"\n{right}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ended = Ended::of(["call", "--config", file.to_str().unwrap(), "GET", &format!("{url}/orders")]);
    ended.is_refused("no connection: Connection refused");
    ended.is_refused("hint: -v shows every step up to here");
}

#[test]
fn a_client_file_that_is_open_to_others_is_refused() {
    let system = System::shared();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("client.toml");
    fs::copy(system.data.join("client.toml"), &file).unwrap();
    let url = format!("{}/orders", system.gateway);
    let arguments = ["call", "--config", file.to_str().unwrap(), "GET", &url];
    for mode in [0o644, 0o640, 0o604, 0o620] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let ended = Ended::of(arguments);
        ended.is_refused(&format!("is open to other users (mode {mode:03o})"));
        ended.is_refused(&format!("hint: chmod 600 {}", file.display()));
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Ended::of(arguments).printed().starts_with("{\"orders\":"));
}

#[test]
fn a_wrong_client_file_is_refused_with_its_line() {
    let system = System::shared();
    let directory = TempDir::new().unwrap();
    let right = fs::read_to_string(system.data.join("client.toml")).unwrap();
    let issuer = format!("issuer = \"{}\"", system.authserver);
    let cases = [
        (issuer.as_str(), "issuer = 'idp'", "line 1: `issuer`: "),
        (&issuer, "issuer = 'http://idp.example'", "line 1: `issuer`: plain http"),
        ("client_id", "client", "line 2: unknown field `client`"),
        ("private_key_jwt", "magic", "`method` is not one of"),
        ("dpop = \"dpop\"", "dpop = \"other\"", "there is no key 'other'"),
    ];
    for (number, (from, to, says)) in cases.into_iter().enumerate() {
        let file = directory.path().join(format!("{number}.toml"));
        assert!(right.contains(from), "{from}");
        fs::write(&file, right.replacen(from, to, 1)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Ended::of(["call", "--config", file.to_str().unwrap(), "GET", "http://127.0.0.1:9/"]).is_refused(says);
    }
}
