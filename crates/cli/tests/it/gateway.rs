//! A gateway from its ready line to its end.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use tempfile::TempDir;

use crate::configuration::gateway;
use crate::http::{self, Api};
use crate::process::{LIMIT, Running};

const HOST: (&str, &str) = ("Host", "127.0.0.1:8080");

#[test]
fn stdout_holds_one_decision_line_for_every_request_and_nothing_secret() {
    let directory = TempDir::new().unwrap();
    let mut gateway = Running::start(gateway(&[("--algs", "ES256,Ed25519")]), &[], directory.path());
    let (url, admin) = gateway.ready();
    assert_eq!(admin, None);
    let orders = format!("{url}/orders?canary-query=1");
    let token = ("Authorization", "DPoP eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOjF9.canary-token");
    let proof = ("DPoP", "eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOjF9.canary-proof");

    let none = http::get(&orders, &[HOST]);
    assert_eq!(none.status, 401);
    assert!(none.fields("WWW-Authenticate")[0].starts_with("DPoP algs=\"ES256 Ed25519\""), "{none:?}");
    assert_eq!(http::get(&orders, &[HOST, token]).status, 401);
    assert_eq!(http::get(&orders, &[HOST, token, proof]).status, 401);
    assert_eq!(http::get(&orders, &[HOST, token, proof, proof]).status, 401);
    assert_eq!(http::get(&orders, &[("Host", "elsewhere.example")]).status, 421);

    let lines = gateway.stdout_lines(5);
    let decisions: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<_> = decisions.iter().map(|decision| decision["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 421]);
    for decision in &decisions {
        assert_eq!((&decision["version"], &decision["outcome"]), (&Value::from(1), &Value::from("refused")));
        assert!(decision["time"].as_i64().unwrap() > 1_700_000_000);
    }
    gateway.terminate();
    let ended = gateway.end();
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 5));
    assert!(!ended.stdout.contains("canary") && !ended.stderr.contains("canary"), "{ended:?}");
}

#[test]
fn sigterm_lets_a_request_under_way_finish_and_ends_with_0() {
    let directory = TempDir::new().unwrap();
    let api = Api::start(0);
    let arguments = gateway(&[("--stage", "observe"), ("--upstream", &api.url), ("--admin", "127.0.0.1:0")]);
    let mut gateway = Running::start(arguments, &[], directory.path());
    let (url, admin) = gateway.ready();
    let admin = admin.unwrap();
    let client = std::thread::spawn(move || http::get(&format!("{url}/slow"), &[HOST]));
    assert!(api.arrival().starts_with("GET /slow HTTP/1.1"));

    gateway.terminate();
    gateway.stderr_line("stopping: no new requests are taken; running ones are finished");
    let readiness = http::get(&format!("{admin}/readyz"), &[]);
    assert_eq!((readiness.status, &readiness.json()["ready"]), (503, &Value::from(false)), "draining is seen");
    api.let_go(1);
    let answer = client.join().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, Api::SAYS));
    assert_eq!(gateway.end().code, Some(0));
}

#[test]
fn a_refusal_before_the_body_came_says_that_the_connection_ends() {
    let directory = TempDir::new().unwrap();
    let mut gateway = Running::start(gateway(&[]), &[], directory.path());
    let (url, _) = gateway.ready();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = "POST /orders HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let directory = TempDir::new().unwrap();
    let api = Api::start(0);
    let arguments = gateway(&[("--stage", "observe"), ("--upstream", &api.url)]);
    let mut gateway = Running::start(arguments, &[], directory.path());
    let (url, _) = gateway.ready();
    let client = std::thread::spawn(move || std::panic::catch_unwind(|| http::get(&format!("{url}/never"), &[HOST])));
    api.arrival();
    gateway.terminate();
    gateway.stderr_line("stopping:");
    gateway.terminate();
    assert_eq!(gateway.end().code, Some(1));
    assert!(client.join().unwrap().is_err(), "there was never an answer");
}

#[test]
fn log_lines_can_be_json() {
    let directory = TempDir::new().unwrap();
    let arguments = gateway(&[("--stage", "observe"), ("--log-format", "json")]);
    let mut gateway = Running::start(arguments, &[], directory.path());
    let (url, _) = gateway.ready();
    assert_eq!(http::get(&format!("{url}/orders"), &[HOST]).status, 502);
    let line: Value = serde_json::from_str(&gateway.stderr_line("{")).unwrap();
    assert_eq!((&line["level"], &line["code"]), (&Value::from("WARN"), &Value::from("upstream_unreachable")));
}
