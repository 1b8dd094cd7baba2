//! Client libraries that others wrote, against the authorization server as people start it: pushed request, PKCE, DPoP
//! with nonces, sign-in and consent, code, refresh, revocation, client credentials, device, token exchange, and the
//! upgrade of a token of a provider that cannot bind tokens.
//!
//! The libraries are installed in `tests/peers` (see the read-me there); where one is not, its test says so.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::service::{Service, free_address, trial};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let script = |name: &str| peers().join(name);
    let package = |name: &str| peers().join("node_modules").join(name).join("package.json").display().to_string();
    let python = peers().join(".venv/bin/python").display().to_string();
    let trials = vec![
        node("oauth4webapi", &package("oauth4webapi"), script("oauth4webapi.mjs")),
        node("openid-client", &package("openid-client"), script("openid-client.mjs")),
        trial("requests_oauth2client", &[&python.clone()], move || {
            run(Command::new(python).arg(script("requests_oauth2client_flow.py")))
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn node(name: &str, package: &str, script: PathBuf) -> Trial {
    trial(name, &["node", package], move || run(Command::new("node").arg(script)))
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers")
}

/// The key of RFC 7515, appendix A.3.
const X_AND_Y: [&str; 2] =
    ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"];
const D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
const PASSWORD: &str = "correct horse battery";

/// Starts a server under the strictest profile and has the script go the whole way.
fn run(script: &mut Command) -> Result<(), Failed> {
    let address = free_address()?;
    let issuer = format!("http://{address}");
    let server = Service::issuer(env!("CARGO_BIN_EXE_countersign"), address, &config(&issuer))?;
    let key = server.dir().join("client.json");
    let [x, y] = X_AND_Y;
    std::fs::write(&key, format!(r#"{{"kid":"peer","kty":"EC","crv":"P-256","x":"{x}","y":"{y}","d":"{D}"}}"#))?;
    let output = script.args([issuer.as_str(), "peer"]).arg(key).args(["ada", PASSWORD]).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    Err(format!("{said}\nthe server said:\n{}", server.output()).into())
}

fn config(issuer: &str) -> String {
    let listen = issuer.trim_start_matches("http://");
    let [x, y] = X_AND_Y;
    format!(
        r#"
issuer = "{issuer}"
listen = "{listen}"
data = "data"
profile = "fapi2"
nonce = "required"

[[resource]]
identifier = "https://api.example.com"
scopes = ["read", "write"]

[[client]]
client_id = "peer"
auth = "private_key_jwt"
jwks = {{ keys = [{{ kid = "peer", kty = "EC", crv = "P-256", x = "{x}", y = "{y}" }}] }}
redirect_uris = ["http://127.0.0.1/callback"]
grants = [
  "authorization_code", "refresh_token", "client_credentials",
  "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange",
]
scopes = ["read", "write"]

[[trusted_issuer]]
issuer = "https://idp.example.com"
audience = "https://api.example.com"
clients = ["peer"]
jwks = {{ keys = [{{ kid = "peer", kty = "EC", crv = "P-256", x = "{x}", y = "{y}" }}] }}

[[user]]
username = "ada"
password = "{PASSWORD}"
"#
    )
}
