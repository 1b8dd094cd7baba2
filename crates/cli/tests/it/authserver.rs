//! `authserver` and `authserver init`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::http;
use crate::process::{Ended, Running};

#[test]
fn init_writes_a_private_example_that_a_server_starts_with() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("authserver.toml");
    let file = config.to_str().unwrap();
    let printed = Ended::of(["authserver", "init", "--config", file]).printed();
    assert!(printed.contains(&format!("countersign authserver --config {file}")), "{printed}");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);

    let arguments = ["authserver", "--config", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut server = Running::start(arguments, &[], directory.path());
    let (url, admin) = server.ready();
    let admin = admin.unwrap();
    let metadata = http::get(&format!("{url}/.well-known/oauth-authorization-server"), &[("Host", "127.0.0.1:8090")]);
    assert_eq!((metadata.status, metadata.json()["issuer"].as_str()), (200, Some("http://127.0.0.1:8090")));
    for path in ["healthz", "readyz"] {
        assert_eq!(http::get(&format!("{admin}/{path}"), &[]).status, 200);
    }
    assert!(directory.path().join("authserver-data").is_dir(), "paths count from the file");
    server.terminate();
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn init_leaves_what_is_there_as_it_is() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("mine.toml");
    fs::write(&config, "# mine").unwrap();
    let file = config.to_str().unwrap();
    Ended::of(["authserver", "init", "--config", file]).is_refused("what is there was left as it is");
    assert_eq!(fs::read_to_string(&config).unwrap(), "# mine");
    Ended::of(["authserver", "init", "--config", "/no/such/folder/a.toml"]).is_refused("was not written");
}

#[test]
fn the_admin_address_of_the_file_is_served() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("authserver.toml");
    let file = config.to_str().unwrap();
    Ended::of(["authserver", "init", "--config", file]).printed();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        format!(
            "admin = '127.0.0.1:0'\n{}",
            text.replace("127.0.0.1:8090\"\n\n# The data", "127.0.0.1:0\"\n\n# The data")
        ),
    )
    .unwrap();
    let mut server = Running::start(["authserver", "--config", file], &[], directory.path());
    let admin = server.ready().1.unwrap();
    assert_eq!(http::get(&format!("{admin}/healthz"), &[]).status, 200);
    server.terminate();
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn a_wrong_configuration_is_refused_with_its_key() {
    let directory = TempDir::new().unwrap();
    let example = directory.path().join("example.toml");
    Ended::of(["authserver", "init", "--config", example.to_str().unwrap()]).printed();
    let example = fs::read_to_string(example).unwrap();
    let issuer = "issuer = \"http://127.0.0.1:8090\"";
    let cases = [
        (issuer, "issuer = 'idp'", "issuer: "),
        (issuer, "issuer = 'http://idp.example'", "issuer: plain http, which is allowed for loopback hosts only"),
        (issuer, "", "missing field `issuer`"),
        (issuer, "isuer = 'http://127.0.0.1:8090'", "unknown field `isuer`"),
        ("profile = \"oauth21\"", "profile = 'lax'", "profile: unknown variant, expected "),
        ("nonce = \"optional\"", "nonce = true", "nonce: "),
        ("listen = \"127.0.0.1:8090\"", "listen = '8090'", "line "),
        ("scopes = [\"read\"]\n", "scopes = [\"none-has-it\"]\n", "no [[resource]] has the scope \"none-has-it\""),
        ("grants = [\"client_credentials\"]", "grants = [\"magic\"]", "client[0].grants: \"magic\" is not known here"),
        ("data = \"authserver-data\"", "data = '/proc/nowhere'", "/proc/nowhere"),
    ];
    for (number, (right, wrong, says)) in cases.into_iter().enumerate() {
        let file = directory.path().join(format!("{number}.toml"));
        assert!(example.contains(right), "{right}");
        fs::write(&file, example.replacen(right, wrong, 1)).unwrap();
        Ended::of(["authserver", "--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]).is_refused(says);
    }
}

#[test]
fn keys_are_listed_rotated_and_retired() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("authserver.toml");
    let file = config.to_str().unwrap();
    Ended::of(["authserver", "init", "--config", file]).printed();
    let listed = |arguments: &[&str]| -> Vec<(String, String)> {
        let all = [&["authserver", "keys"], arguments, &["--config", file, "--json"]].concat();
        let rows: serde_json::Value = serde_json::from_str(&Ended::of(all).printed()).unwrap();
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
        rows.as_array().unwrap().iter().map(|row| (text(row, "kid"), text(row, "state"))).collect()
    };
    let old = listed(&["list"])[0].0.clone();
    // Keys of one second are listed in no order that means anything.
    let states = |arguments: &[&str]| -> Vec<String> {
        let mut states: Vec<String> = listed(arguments).into_iter().map(|(_, state)| state).collect();
        states.sort();
        states
    };
    assert_eq!(states(&["rotate"]), ["active", "next"]);
    assert_eq!(states(&["rotate", "--now"]), ["active", "retiring"]);
    let left = listed(&["retire", &old]);
    assert_eq!((left.len(), left[0].1.as_str()), (1, "active"));
    let refused = Ended::of(["authserver", "keys", "retire", &left[0].0, "--config", file]);
    assert_eq!(refused.code, Some(1));
    Ended::of(["authserver", "keys", "list", "--config", "/no/such/file.toml"]).is_refused("/no/such/file.toml");
}

#[test]
fn a_client_is_added_used_switched_off_and_removed_while_the_server_serves() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("authserver.toml");
    let file = config.to_str().unwrap();
    Ended::of(["authserver", "init", "--config", file]).printed();
    let client = |arguments: &[&str]| Ended::of([&["authserver", "client"], arguments, &["--config", file]].concat());
    let add = ["add", "reports", "--auth", "client_secret_basic", "--grant", "client_credentials", "--scope", "read"];
    let added: serde_json::Value = serde_json::from_str(&client(&[&add[..], &["--json"]].concat()).printed()).unwrap();
    assert_eq!((added["client_id"].as_str(), added["client_secret"].as_str().unwrap().len()), (Some("reports"), 43));
    assert_eq!(client(&add).code, Some(1), "the name is taken");
    let wrong = ["add", "other", "--auth", "none", "--grant", "client_credentials", "--scope", "nobodys"];
    client(&wrong).is_refused("nobodys");
    let shown = client(&["show", "reports"]).printed();
    assert!(shown.contains("client_secret_basic") && !shown.contains(added["client_secret"].as_str().unwrap()));
    assert_eq!(client(&["disable", "reports"]).code, Some(0));
    assert!(client(&["list"]).printed().contains("off"));
    assert_eq!(client(&["enable", "reports"]).code, Some(0));
    assert_eq!(client(&["remove", "reports"]).code, Some(0));
    for gone in ["show", "disable", "enable", "remove"] {
        assert_eq!(client(&[gone, "reports"]).code, Some(1), "{gone}");
    }
}
