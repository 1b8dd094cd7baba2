//! `authserver backup` of a server that is serving, and what the copy is good for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::http;
use crate::process::{Ended, Running};

const CONFIG: &str = r#"
issuer = "http://127.0.0.1:8090"
listen = "127.0.0.1:0"
data = "data"

[[resource]]
identifier = "https://api.example.com"
scopes = ["read"]

[[client]]
client_id = "app"
auth = "client_secret_post"
secret = "correct horse battery"
grants = ["client_credentials"]
scopes = ["read"]
"#;

#[test]
fn a_copy_of_a_running_server_serves_in_its_place() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("as.toml");
    fs::write(&config, CONFIG).unwrap();
    let mut server = serve(directory.path(), "as.toml");
    let (url, _) = server.ready();
    let before = token_key(&url);

    let copy = directory.path().join("copy");
    let backup = |to: &Path| Ended::of(["authserver", "backup", "--config", path(&config), "--to", path(to)]);
    assert!(backup(&copy).printed().contains("holds the database and the key"));
    assert_eq!(token_key(&url), before, "the server goes on");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
    for file in ["authserver.db", "sealing.key"] {
        assert_eq!(fs::metadata(copy.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    backup(&copy).is_refused("is there already");
    server.terminate();
    assert_eq!(server.end().code, Some(0));

    fs::write(directory.path().join("restored.toml"), CONFIG.replace("data = \"data\"", "data = \"copy\"")).unwrap();
    let mut restored = serve(directory.path(), "restored.toml");
    let (url, _) = restored.ready();
    assert_eq!(token_key(&url), before, "tokens are signed by the key that they were signed by");
}

#[test]
fn a_copy_that_cannot_be_made_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("as.toml");
    fs::write(&config, CONFIG).unwrap();
    let copy = directory.path().join("copy");
    let backup = |to: &Path| Ended::of(["authserver", "backup", "--config", path(&config), "--to", path(to)]);
    backup(&copy).is_refused("authserver.db");
    assert!(!copy.exists(), "no server has made a database yet");
    backup(Path::new("/no/such/folder/copy")).is_refused("cannot be made");
}

fn serve(directory: &Path, config: &str) -> Running {
    Running::start(["authserver", "--config", config], &[], directory)
}

/// The header of an access token, which names the key.
fn token_key(url: &str) -> String {
    let form = "grant_type=client_credentials&client_id=app&client_secret=correct+horse+battery";
    let length = form.len().to_string();
    let fields = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", &length)];
    let answer = http::send("POST", &format!("{url}/token"), &fields, form);
    assert_eq!(answer.status, 200);
    answer.json()["access_token"].as_str().unwrap().split('.').next().unwrap().to_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
