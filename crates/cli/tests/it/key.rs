//! `key`: made, taken, shown, damaged, deleted; the private half never leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, countersign};

/// The private key of RFC 7515 appendix A.3 in three forms, its thumbprint, and what must never be seen of it.
const JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
const PKCS8: &str = "-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n\
H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n\
7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n\
-----END PRIVATE KEY-----\n";
const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----\n\
MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n\
AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n\
focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n\
-----END EC PRIVATE KEY-----\n";
const JKT: &str = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";
const NEVER_SEEN: [&str; 4] = ["jpsQnnGQ", "MIGHAgEA", "MHcCAQEE", "\"d\""];

/// A directory of keys.
struct Keys {
    directory: TempDir,
}

impl Keys {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.store().join(format!("{name}.key"))
    }

    fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = countersign();
        command.arg("key").args(arguments).arg("--keys").arg(self.store());
        command
    }

    /// Runs `countersign key`; no part of a private key may be seen, whatever it is.
    fn run(&self, arguments: &[&str]) -> Ended {
        let ended = Ended::run(&mut self.command(arguments));
        for secret in NEVER_SEEN {
            assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{arguments:?}: {ended:?}");
        }
        ended
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(arguments).printed()).unwrap()
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_key_is_kept_private_and_never_made_twice() {
    let keys = Keys::new();
    let made = keys.json(&["new", "laptop", "--json"]);
    assert_eq!((&made["name"], &made["alg"]), (&"laptop".into(), &"ES256".into()));
    assert_eq!((mode(&keys.store()), mode(&keys.file("laptop"))), (0o700, 0o600));
    let before = fs::read(keys.file("laptop")).unwrap();
    keys.run(&["new", "laptop"]).is_refused("there is a key 'laptop' already; it was left as it is");
    let pem = keys.write("key.pem", PKCS8);
    keys.run(&["import", "laptop", "--from", &pem]).is_refused("there is a key 'laptop' already");
    assert_eq!(fs::read(keys.file("laptop")).unwrap(), before);
    assert_eq!(keys.json(&["show", "laptop", "--json"])["jkt"], made["jkt"]);
    let said = keys.run(&["new", "other", "--alg", "Ed25519"]).printed();
    assert!(said.starts_with("key other made: Ed25519, kept as ") && said.contains("\njkt "), "{said}");
}

#[test]
fn keys_of_every_form_are_taken_and_are_the_same_key() {
    let keys = Keys::new();
    for (name, text) in [("pkcs8", PKCS8), ("sec1", SEC1), ("jwk", JWK)] {
        let file = keys.write(name, text);
        let taken = keys.json(&["import", name, "--from", &file, "--json"]);
        assert_eq!((&taken["jkt"], &taken["alg"]), (&JKT.into(), &"ES256".into()), "{name}");
        assert_eq!(mode(&keys.file(name)), 0o600);
        let sealed = fs::read(keys.file(name)).unwrap();
        let sealed = String::from_utf8_lossy(&sealed);
        assert!(NEVER_SEEN[..3].iter().all(|secret| !sealed.contains(secret)), "{name} is not sealed");
    }
    let ended = Ended::run(keys.command(&["import", "stdin", "--from", "-"]).write_stdin(JWK));
    assert!(ended.printed().contains(JKT));
    let listed = keys.json(&["list", "--json"]);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["jwk", "pkcs8", "sec1", "stdin"]);
}

#[test]
fn the_public_half_is_shown_and_exported_and_nothing_else() {
    let keys = Keys::new();
    let file = keys.write("jwk", JWK);
    keys.run(&["import", "work", "--from", &file]).printed();
    let public = keys.json(&["export", "--public", "work"]);
    let expected: Value = serde_json::from_str(JWK).unwrap();
    assert_eq!((&public["x"], &public["y"]), (&expected["x"], &expected["y"]));
    assert!(public.get("d").is_none());
    let shown = keys.run(&["show", "work"]).printed();
    assert!(shown.contains(&format!("jkt      {JKT}\n")), "{shown}");
    let listed = keys.run(&["list"]).printed();
    assert!(listed.lines().any(|line| line.starts_with("work ") && line.contains(JKT)), "{listed}");
    keys.run(&["export", "work"]).is_refused("private keys do not leave the store");
    keys.run(&["show", "nobody"]).is_refused("hint: countersign key list shows the keys there are");
}

#[test]
fn what_is_no_usable_key_is_refused_and_nothing_is_written() {
    let keys = Keys::new();
    let cases = [
        ("garbage", "canary".as_bytes().to_vec()),
        ("empty", Vec::new()),
        ("bytes", vec![0xff; 64]),
        ("cut-off", PKCS8.as_bytes()[..90].to_vec()),
        ("public", JWK.replace(r#","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI""#, "").into_bytes()),
        ("off-curve", JWK.replace("f83O", "f83P").into_bytes()),
        ("large", vec![b'x'; 1024 * 1024 + 1]),
    ];
    for (name, contents) in cases {
        let file = keys.write(name, contents);
        let ended = keys.run(&["import", "work", "--from", &file]);
        ended.is_refused(&file);
        assert!(!ended.stderr.contains("canary"), "{ended:?}");
    }
    let folder = keys.directory.path().to_str().unwrap().to_owned();
    keys.run(&["import", "work", "--from", &folder]).is_refused("hint: name a file in it");
    keys.run(&["import", "work", "--from", "/no/such/file"]).is_refused("hint: check the path");
    let pem = keys.write("pem", PKCS8);
    keys.run(&["import", "work", "--from", &pem, "--alg", "Ed25519"]).is_refused("no key was taken from");
    keys.run(&["new", "work", "--alg", "HS256"]).is_refused("'--alg <ALG>'");
    for name in ["../work", "a/b", "", ".hidden"] {
        keys.run(&["new", name]).is_refused("'<NAME>'");
    }
    assert!(!keys.file("work").exists());
    assert_eq!(keys.run(&["list"]).printed(), "no keys; countersign key new NAME makes one\n");
}

#[test]
fn damaged_and_truncated_files_are_listed_with_their_fault_and_left_as_they_are() {
    let keys = Keys::new();
    let names = ["damaged", "empty", "good", "truncated"];
    for name in names {
        keys.run(&["new", name]).printed();
    }
    let whole = fs::read(keys.file("good")).unwrap();
    let mut damaged = fs::read(keys.file("damaged")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(keys.file("damaged"), &damaged).unwrap();
    fs::write(keys.file("truncated"), &whole[..whole.len() / 2]).unwrap();
    fs::write(keys.file("empty"), "").unwrap();
    let before: Vec<_> = names.iter().map(|name| fs::read(keys.file(name)).unwrap()).collect();

    let ended = keys.run(&["list"]);
    assert_eq!(ended.code, Some(1));
    let line = |name: &str| ended.stdout.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("damaged").contains("restore it from a copy"), "{ended:?}");
    assert!(line("truncated").contains("cut off"), "{ended:?}");
    assert!(line("empty").contains("the file of key 'empty' is "), "{ended:?}");
    assert!(line("good").contains("ES256"), "{ended:?}");
    let ended = keys.run(&["list", "--json"]);
    let listed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let faulty = listed.as_array().unwrap().iter().filter(|key| key["fault"].is_string()).count();
    assert_eq!((ended.code, faulty), (Some(1), 3));

    for name in ["damaged", "empty", "truncated"] {
        keys.run(&["show", name]).is_refused(&format!("the file of key '{name}' is "));
        keys.run(&["export", "--public", name]).is_refused(&format!("the file of key '{name}' is "));
        keys.run(&["new", name]).is_refused(&format!("there is a key '{name}' already"));
    }
    let after: Vec<_> = names.iter().map(|name| fs::read(keys.file(name)).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_passphrase_comes_from_file_or_variable_and_is_never_seen() {
    let keys = Keys::new();
    let file = keys.write("passphrase", "canary of a passphrase\n");
    let pem = keys.write("pem", PKCS8);
    let ended = keys.run(&["import", "sealed", "--from", &pem, "--passphrase-file", &file]);
    assert!(!ended.stdout.contains("canary") && !ended.stderr.contains("canary"), "{ended:?}");
    assert!(ended.printed().contains("passphrase"));
    let ended = Ended::run(keys.command(&["new", "other"]).env("COUNTERSIGN_PASSPHRASE", "canary"));
    assert!(!ended.stdout.contains("canary") && !ended.stderr.contains("canary"), "{ended:?}");
    assert!(ended.printed().contains("passphrase"));
    // The public half needs none.
    assert_eq!(keys.json(&["show", "sealed", "--json"])["jkt"], JKT);

    keys.run(&["new", "third", "--passphrase-file", "/no/such/file"]).is_refused("the passphrase in /no/such/file");
    let empty = keys.write("empty", "\n");
    keys.run(&["new", "third", "--passphrase-file", &empty]).is_refused("an empty passphrase protects nothing");
    keys.run(&["new", "third", "--passphrase", "--passphrase-file", &file]).is_refused("cannot be used with");
    assert!(!keys.file("third").exists());
}

#[test]
fn deleting_wants_a_yes() {
    let keys = Keys::new();
    keys.run(&["new", "old"]).printed();
    keys.run(&["delete", "old"]).is_refused("there is no terminal to ask on; nothing was deleted");
    assert!(keys.file("old").exists());
    assert!(keys.run(&["delete", "old", "--yes"]).printed().starts_with("key old deleted"));
    assert!(!keys.file("old").exists());
    keys.run(&["delete", "old", "--yes"]).is_refused("there is no key 'old'");
}

#[test]
fn a_store_that_is_open_to_others_or_no_folder_is_refused() {
    let keys = Keys::new();
    keys.run(&["new", "mine"]).printed();
    fs::set_permissions(keys.file("mine"), fs::Permissions::from_mode(0o644)).unwrap();
    keys.run(&["show", "mine"]).is_refused("`chmod 600` it");
    let file = keys.write("file", "");
    Ended::of(["key", "new", "mine", "--keys", &file]).is_refused(&file);
}
