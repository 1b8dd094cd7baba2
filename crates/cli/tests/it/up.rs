//! `up`: a whole system for development, and its state.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::process::Ended;
use crate::system::System;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_it_keeps_is_its_owners_only() {
    let system = System::shared();
    assert_eq!(mode(&system.data), 0o700);
    assert_eq!(mode(&system.data.join("client.toml")), 0o600);
    assert_eq!(mode(&system.data.join("keys")), 0o700);
    assert_eq!(mode(&system.data.join("authserver")), 0o700);
    for file in fs::read_dir(system.data.join("keys")).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn the_line_that_it_prints_works_as_it_stands() {
    let system = System::shared();
    assert!(system.call_line.contains('\''), "the directory has a blank in its name: {}", system.call_line);
    let output = Command::new("sh").arg("-c").arg(&system.call_line).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["orders"][1]["item"], "paper");
}

#[test]
fn it_is_ready_and_says_so() {
    let system = System::shared();
    // Whoever is served has made the gateway fetch the issuer's keys.
    system.get("/orders").printed();
    for path in ["healthz", "readyz", "metrics"] {
        assert_eq!(http::get(&format!("{}/{path}", system.admin), &[]).status, 200);
    }
    assert_eq!(http::get(&format!("{}/orders", system.gateway), &[]).status, 401);
}

#[test]
fn a_second_start_goes_on_with_the_same_key() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut system = System::start(&data, &["--decisions"]);
        let who: Value = serde_json::from_str(&system.get("/whoami").printed()).unwrap();
        keys.push(who["jkt"].as_str().unwrap().to_owned());
        let decision = system.running.stdout_lines(9).pop().unwrap();
        let decision: Value = serde_json::from_str(&decision).unwrap();
        assert_eq!((&decision["outcome"], &decision["jkt"]), (&"granted".into(), &who["jkt"]));
        system.running.terminate();
        assert_eq!(system.running.end().code, Some(0));
    }
    assert_eq!(keys[0], keys[1]);
    let shown = Ended::of(["key", "show", "dpop", "--json", "--keys", data.join("keys").to_str().unwrap()]).printed();
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["jkt"], keys[0].as_str());
}

#[test]
fn what_cannot_be_used_is_refused() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let ports = ["--listen", "127.0.0.1:0", "--authserver-listen", "127.0.0.1:0"];
    let run = |arguments: &[&str]| Ended::of(["up"].iter().chain(&ports).chain(arguments));
    run(&["--data", file]).is_refused(&format!("cannot make {file}: "));
    run(&["--data", "/proc/nowhere"]).is_refused("cannot make /proc/nowhere: ");
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    run(&["--data", data, "--upstream", "api"]).is_refused("upstream: not usable: not a URL like");
    run(&["--data", data, "--admin", "here"]).is_refused("'--admin <ADDR>'");
}
