//! A flag over a variable over the file, seen by how the gateway answers a request without credentials.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::configuration::gateway;
use crate::http;
use crate::process::Running;

/// Status, and whether a Bearer challenge stands beside that for DPoP: `observe` lets through to an API that is not
/// there, `accept` offers both, `require` one.
fn answer(arguments: &[(&str, &str)], variables: &[(&str, &str)], directory: &Path) -> (u16, bool) {
    let mut gateway = Running::start(gateway(arguments), variables, directory);
    let (url, _) = gateway.ready();
    let answer = http::get(&format!("{url}/orders"), &[("Host", "127.0.0.1:8080")]);
    (answer.status, answer.fields("WWW-Authenticate").iter().any(|challenge| challenge.starts_with("Bearer")))
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.toml");
    fs::write(&file, "stage = 'observe'\n").unwrap();
    let config = ("--config", file.to_str().unwrap());
    let variable = ("COUNTERSIGN_STAGE", "accept");

    assert_eq!(answer(&[], &[], directory.path()), (401, false), "the default is require");
    assert_eq!(answer(&[config], &[], directory.path()), (502, false), "the file says observe");
    assert_eq!(answer(&[config], &[variable], directory.path()), (401, true), "the variable says accept");
    let flag = ("--stage", "require");
    assert_eq!(answer(&[config, flag], &[variable], directory.path()), (401, false), "the flag says require");
}

#[test]
fn what_is_overruled_is_not_even_judged() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.toml");
    fs::write(&file, "stage = 'nonsense'\n").unwrap();
    let config = ("--config", file.to_str().unwrap());
    assert_eq!(answer(&[config], &[("COUNTERSIGN_STAGE", "accept")], directory.path()), (401, true));
    let variables = [("COUNTERSIGN_STAGE", "nonsense"), ("COUNTERSIGN_CONFIG", config.1)];
    assert_eq!(answer(&[("--stage", "accept")], &variables, directory.path()), (401, true));
}

#[test]
fn a_gateway_can_be_told_everything_by_its_file_or_by_variables() {
    let directory = TempDir::new().unwrap();
    let settings = [
        ("listen", "127.0.0.1:0"),
        ("public_origin", "http://127.0.0.1:8080"),
        ("upstream", "http://127.0.0.1:9"),
        ("issuer", "http://127.0.0.1:9"),
        ("audience", "http://127.0.0.1:8080"),
    ];
    let file = directory.path().join("gateway.toml");
    let lines: Vec<_> = settings.iter().map(|(key, value)| format!("{key} = '{value}'")).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let mut by_file = Running::start(["gateway", "--config", file.to_str().unwrap()], &[], directory.path());
    by_file.ready();

    let names: Vec<_> = settings.iter().map(|(key, _)| format!("COUNTERSIGN_{}", key.to_uppercase())).collect();
    let variables: Vec<_> = names.iter().map(String::as_str).zip(settings.iter().map(|(_, value)| *value)).collect();
    let mut by_variables = Running::start(["gateway"], &variables, directory.path());
    by_variables.ready();
    for running in [by_file, by_variables] {
        running.terminate();
        assert_eq!(running.end().code, Some(0));
    }
}
