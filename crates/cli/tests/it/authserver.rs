//! `authserver` and `authserver init`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::http;
use crate::process::{Ended, Running, countersign};

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
    let listen = |port: u16| format!("listen = \"127.0.0.1:{port}\"");
    assert!(text.contains(&listen(8090)));
    fs::write(&config, format!("admin = '127.0.0.1:0'\n{}", text.replace(&listen(8090), &listen(0)))).unwrap();
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

/// A right configuration in which every kind of table stands. A case changes one line of it.
const WHOLE: &str = r#"issuer = "https://as.example"
listen = "127.0.0.1:0"
data = "data"
profile = "oauth21"
nonce = "optional"
cors_origins = [
  "https://app.example",
]
trusted_proxies = ["10.0.0.0/8"]

[limits]
requests_per_source = 10
drain_seconds = 10

[[resource]]
identifier = "https://api.example"
scopes = ["read", "write"]

[[client]]
client_id = "app"
auth = "private_key_jwt"
jwks = { keys = [{ kty = "OKP", crv = "Ed25519", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }
grants = ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"]
redirect_uris = [
  "https://app.example/callback",
]
scopes = ["read"]

[[client]]
client_id = "basic"
auth = "client_secret_basic"
secret = "canary-of-a-secret"
grants = ["client_credentials"]

[[user]]
username = "ada"
password = "canary-password"

[[trusted_issuer]]
issuer = "https://idp.example"
audience = "https://api.example"
clients = ["app"]
max_uses = 3

[registration]
initial_access_token = "canary-token"
scopes = ["read"]
"#;

/// What is wrong, the line that is shown for it, and what is said.
const MISTAKES: [(&str, &str, &str, &str); 41] = [
    (r#""https://as.example""#, r#""http://as.example""#, r#"issuer = "http://as.example""#, "issuer: plain http"),
    (r#""https://as.example""#, r#""idp""#, r#"issuer = "idp""#, "issuer: not a usable URL"),
    (r#"listen = "127.0.0.1:0""#, r#"listen = "8090""#, "listen = …", "listen: invalid socket address"),
    (r#"profile = "oauth21""#, r#"profile = "lax""#, "profile = …", "profile: unknown variant"),
    (r#"nonce = "optional""#, "nonce = true", "nonce = …", "nonce: "),
    (r#"nonce = "optional""#, r#"nonc = "optional""#, "nonc = …", "unknown field `nonc`"),
    (r#"nonce = "optional""#, r#"nonce = "optional"#, "nonce = …", "invalid basic string"),
    (r#""https://app.example","#, r#""https://app.example/","#, r#""https://app.example/","#, "cors_origins: "),
    ("10.0.0.0/8", "10.0.0.0/33", r#"trusted_proxies = ["10.0.0.0/33"]"#, "trusted_proxies: "),
    (
        "drain_seconds = 10",
        "drain_seconds = 0",
        "drain_seconds = 0",
        "limits.drain_seconds: write a number from 1 to 600",
    ),
    ("drain_seconds = 10", "drain_seconds = -1", "drain_seconds = …", "invalid value: integer"),
    ("drain_seconds", "drain", "drain = …", "unknown field `drain`"),
    (r#"data = "data""#, r#"database = "mysql://canary""#, "database = …", "database: write postgres://"),
    (r#"data = "data""#, "database_file = \"no-such-file\"", "database_file = \"no-such-file\"", "cannot be read"),
    (
        r#""https://api.example"
scopes"#,
        "\"/api\"\nscopes",
        r#"identifier = "/api""#,
        "resource[0].identifier: ",
    ),
    (r#"["read", "write"]"#, r#"["read", "two words"]"#, r#"scopes = ["read", "two words"]"#, "resource[0].scopes: "),
    (r#"client_id = "app""#, r#"client_id = """#, r#"client_id = """#, "client[0].client_id: "),
    (
        r#"client_id = "basic""#,
        r#"client_id = "app""#,
        r#"client_id = "app""#,
        "client[1].client_id: \"app\" stands twice",
    ),
    (r#"auth = "private_key_jwt""#, r#"auth = "magic""#, "auth = …", "client.auth: unknown variant"),
    (
        r#"auth = "private_key_jwt""#,
        r#"auth = "none""#,
        "jwks = { keys = [",
        "client[0].jwks: has no meaning with auth",
    ),
    (r#"x = "11qY"#, r#"x = "!"#, "jwks = { keys = [", "client[0].jwks: "),
    (
        r#""authorization_code", "#,
        r#""magic", "#,
        r#"grants = ["magic", "#,
        "client[0].grants: \"magic\" is not known here",
    ),
    (
        r#"  "https://app.example/callback","#,
        r#"  "https://app.example/#x","#,
        r#""https://app.example/#x","#,
        "client[0].redirect_uris: ",
    ),
    (r#"  "https://app.example/callback","#, "", "redirect_uris = [", "client[0].redirect_uris: missing"),
    (
        r#"scopes = ["read"]"#,
        r#"scopes = ["nobodys"]"#,
        r#"scopes = ["nobodys"]"#,
        "client[0].scopes: no [[resource]] has",
    ),
    (r#"secret = "canary-of-a-secret""#, "", "[[client]]", "client[1].secret: missing"),
    (r#""canary-of-a-secret""#, "\"\"", "secret = …", "client[1].secret: an empty secret"),
    (r#""canary-of-a-secret""#, "471100815", "secret = …", "client.secret: invalid type: integer"),
    (
        r#"secret = "canary"#,
        "secret_file = \"x\"\nsecret = \"canary",
        r#"secret_file = "x""#,
        "client[1].secret_file: stands beside secret",
    ),
    (r#"secret = "canary"#, "scret = \"canary", "scret = …", "unknown field `scret`"),
    (r#"["client_credentials"]"#, "[]", "grants = []", "client[1].grants: missing"),
    (
        r#"["client_credentials"]"#,
        r#"["client_credentials", "client_credentials"]"#,
        "grants = [",
        "client[1].grants: ",
    ),
    (r#"username = "ada""#, r#"username = "a b""#, r#"username = "a b""#, "user[0].username: "),
    (
        r#"username = "ada""#,
        r#"username = "app""#,
        r#"username = "app""#,
        "user[0].username: a client is called so too",
    ),
    (r#""canary-password""#, r#""canary""#, "password = …", "user[0].password: a password of fewer than 8"),
    (
        r#"password = "canary"#,
        "password_hash = \"canary",
        "password_hash = …",
        "user[0].password_hash: not an argon2id hash",
    ),
    (r#"clients = ["app"]"#, r#"clients = ["nobody"]"#, r#"clients = ["nobody"]"#, "trusted_issuer[0].clients: "),
    (r#"clients = ["app"]"#, r#"clients = ["basic"]"#, r#"clients = ["basic"]"#, "trusted_issuer[0].clients: "),
    ("max_uses = 3", "max_uses = 0", "max_uses = 0", "trusted_issuer[0].max_uses: write a number from 1 to 1000"),
    (r#""canary-token""#, "\"\"", "initial_access_token = …", "registration.initial_access_token: an empty secret"),
    (r#"initial_access_token = "canary-token""#, "", "[registration]", "registration.initial_access_token: missing"),
];

#[test]
fn every_mistake_is_shown_with_its_line_and_no_secret() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("as.toml");
    for (right, wrong, line, says) in MISTAKES {
        assert!(WHOLE.contains(right), "{right}");
        let text = WHOLE.replacen(right, wrong, 1);
        fs::write(&file, &text).unwrap();
        let ended = Ended::of(["authserver", "--config", file.to_str().unwrap()]);
        ended.is_refused(says);
        let shown = ended.stderr.lines().find_map(|line| line.split_once(" | "));
        let (number, shown) = shown.unwrap_or_else(|| panic!("no line for {wrong}: {}", ended.stderr));
        assert!(shown.starts_with(line), "{wrong}: {}", ended.stderr);
        let number: usize = number.trim().parse().unwrap();
        let start = line.trim_end_matches('…');
        assert!(text.lines().nth(number - 1).unwrap().trim().starts_with(start), "{wrong}: line {number}");
        assert!(ended.stderr.contains(&format!("line {number}")), "{wrong}: {}", ended.stderr);
        for secret in ["canary", "471100815"] {
            assert!(!ended.stderr.contains(secret), "{wrong}: {}", ended.stderr);
        }
    }
}

#[test]
fn several_mistakes_are_shown_at_once_and_the_variable_is_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("as.toml");
    let text = WHOLE.replace("https://as.example", "idp").replace("max_uses = 3", "max_uses = 0");
    fs::write(&file, text).unwrap();
    let arguments = ["authserver", "--config", file.to_str().unwrap()];
    let ended = Ended::run(countersign().args(arguments).env("COUNTERSIGN_DATABASE", "mysql://canary"));
    for says in
        ["line 1: issuer: ", "    1 | issuer = \"idp\"", "max_uses = 0", "COUNTERSIGN_DATABASE: write postgres://"]
    {
        ended.is_refused(says);
    }
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    // What can only be found out by trying is shown with its line, too.
    fs::write(&file, WHOLE.replace("\"data\"", "\"/proc/nowhere\"")).unwrap();
    let ended = Ended::of(arguments);
    ended.is_refused("/proc/nowhere cannot be used");
    ended.is_refused("    3 | data = \"/proc/nowhere\"");
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
