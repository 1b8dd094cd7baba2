//! No error repeats a secret of a configuration, whatever is wrong with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::configuration::gateway;
use crate::process::{Ended, countersign};

#[test]
fn a_secret_that_is_no_toml_string_is_not_repeated() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("authserver.toml");
    let start = "issuer = 'http://127.0.0.1:1'\n";
    let client = format!("{start}[[client]]\nclient_id = 'c'\nauth = 'client_secret_basic'\n");
    let cases = [
        (format!("{client}secret = 471100815\n"), "line 5, column 10: client.secret: invalid type: integer"),
        (format!("{client}secret = 'canary\n"), "line 5, column 17: invalid literal string"),
        (format!("{client}secret = \"canary\\q\"\n"), "line 5, column "),
        (format!("{client}secret = canary\n"), "line 5, column "),
        (format!("{client}secret = \"canary\" canary\n"), "line 5, column "),
        (format!("{client}secret = ['canary']\n"), "client.secret: invalid type: sequence, expected a string"),
        (format!("{client}secret = '''canary\ncanary\n"), "line "),
        (format!("{start}database = 471100815\n"), "line 2, column 12: database: invalid type: integer"),
        (format!("{start}profile = 'canary'\n"), "line 2, column 11: profile: unknown variant, expected "),
        (format!("{start}listen = 'canary'\n"), "line 2, column 10: listen: "),
        (format!("{start}[[user]]\nusername = 'u'\npassword = 471100815\n"), "user.password: invalid type: integer"),
        (format!("{client}scopes = 'canary'\n"), "client.scopes: invalid type: string, expected a sequence"),
        (format!("{client}dpop_bound_access_tokens = 'canary'\n"), "invalid type: string, expected a boolean"),
    ];
    for (text, says) in cases {
        fs::write(&file, &text).unwrap();
        let ended = Ended::of(["authserver", "--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
        ended.is_refused(says);
        assert!(!ended.stderr.contains("canary") && !ended.stderr.contains("471100815"), "{text}: {ended:?}");
    }
}

#[test]
fn a_secret_in_a_client_file_is_not_repeated() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("client.toml");
    let start = "issuer = 'http://127.0.0.1:1'\nclient_id = 'c'\n[keys]\ndirectory = 'k'\ndpop = 'd'\n[auth]\n";
    for (method, secret) in [
        ("client_secret_basic", "471100815"),
        ("client_secret_basic", "'canary"),
        ("client_secret_basic", "['canary']"),
        ("client_secret_basic", "{ a = 'canary' }"),
        ("private_key_jwt", "'canary'"),
        ("none", "'canary'"),
        ("canary", "'canary'"),
    ] {
        fs::write(&file, format!("{start}method = '{method}'\nsecret = {secret}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let ended = Ended::of(["call", "--config", file.to_str().unwrap(), "GET", "http://127.0.0.1:1/"]);
        ended.is_refused("line ");
        assert!(!ended.stderr.contains("canary") && !ended.stderr.contains("471100815"), "{ended:?}");
    }
}

#[test]
fn passwords_in_urls_are_shown_neither_by_errors_nor_by_help() {
    let store = "redis://:canary@127.0.0.1:6379";
    let upstream = "http://user:canary@127.0.0.1:9";
    let ended = Ended::of(gateway(&[("--replay", store)]));
    ended.is_refused("the URL of the replay store has a password in it");
    ended.is_refused("--replay-password-file");
    assert!(!ended.stderr.contains("canary"), "{ended:?}");
    let ended = Ended::of(gateway(&[("--replay", "canary"), ("--upstream", upstream)]));
    ended.is_refused("replay: not a replay store of this program");
    ended.is_refused("upstream: not usable: ");
    assert!(!ended.stderr.contains("canary"), "{ended:?}");
    for command in ["gateway", "up"] {
        let help = Ended::run(
            countersign()
                .args([command, "--help"])
                .env("COUNTERSIGN_REPLAY", store)
                .env("COUNTERSIGN_UPSTREAM", upstream)
                .env("COUNTERSIGN_PASSPHRASE", "canary"),
        );
        assert!(!help.printed().contains("canary"));
    }
}
