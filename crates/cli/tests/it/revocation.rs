//! Tokens of the real authorization server that are exchanged, copied, revoked; a gateway that asks about each says
//! whether they live.

use std::fs;
use std::path::Path;

use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use countersign_dpop::time::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::login::{Browser, Home, PASSWORD, loopback, write_private};
use crate::played::Played;
use crate::process::{Ended, Running, countersign};

const SECRET: &str = "canary-secret-0123456789abcdef0123456789";
const IDP: &str = "https://idp.example";

/// Authorization server and gateway; the gateway asks the one about each token at each request.
struct Site {
    _authserver: Running,
    _gateway: Running,
    issuer: String,
    api: String,
    idp_key: SoftwareKey,
    directory: TempDir,
    /// What is behind the gateway: a server that has nothing at the paths it is asked for.
    _upstream: Played,
}

impl Site {
    fn start() -> Self {
        let (directory, upstream) = (TempDir::new().unwrap(), Played::start());
        let (issuer, api) = (loopback(), loopback());
        let idp_key = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let at = |name: &str| directory.path().join(name);
        write_private(&at("authserver.toml"), &authserver(&issuer, &api, &idp_key));
        write_private(&at("secret"), SECRET);
        write_private(&at("gateway.toml"), &gateway(&issuer, &api, &upstream.origin));
        let start = |role: &str| {
            let file = at(&format!("{role}.toml"));
            let mut running = Running::start([role, "--config", file.to_str().unwrap()], &[], directory.path());
            running.ready();
            running
        };
        let (authserver, gateway) = (start("authserver"), start("gateway"));
        Self { _authserver: authserver, _gateway: gateway, issuer, api, idp_key, directory, _upstream: upstream }
    }

    /// A token of the identity provider, which cannot bind: whoever has it can use it.
    fn idp_token(&self, id: &str) -> String {
        let now = SystemClock.now().seconds();
        let claims = json!({ "iss": IDP, "sub": "alice", "aud": self.api, "iat": now, "exp": now + 600, "jti": id,
                             "scope": "read" });
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "idp-1" });
        let input = format!("{}.{}", encode_base64url(header.to_string()), encode_base64url(claims.to_string()));
        let signature = encode_base64url(self.idp_key.sign_now(input.as_bytes()).unwrap());
        format!("{input}.{signature}")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        write_private(&path, text);
        path.to_str().unwrap().to_owned()
    }

    /// True when the token of that home was good enough for the gateway: the request came to what is behind it.
    fn lets_in(&self, home: &Home) -> bool {
        let called = home.run(&["call", "-i", "GET", &format!("{}/orders", self.api)]);
        let status = called.stdout.split_whitespace().nth(1).unwrap_or_default().to_owned();
        assert!(matches!(status.as_str(), "404" | "401" | ""), "{called:?}");
        // It is not the gateway that has nothing there.
        status == "404"
    }
}

fn authserver(issuer: &str, api: &str, idp_key: &SoftwareKey) -> String {
    let mut key: Value = serde_json::from_str(&idp_key.public_jwk().to_json()).unwrap();
    key["kid"] = "idp-1".into();
    let member = |name: &str| key[name].as_str().unwrap().to_owned();
    let jwk = format!("{{ kty = 'EC', crv = 'P-256', kid = 'idp-1', x = '{}', y = '{}' }}", member("x"), member("y"));
    let secret = format!("auth = 'client_secret_basic'\nsecret = '{SECRET}'\n");
    format!(
        "issuer = '{issuer}'\nlisten = '{}'\ndata = 'data'\n\n\
         [[resource]]\nidentifier = '{api}'\nscopes = ['read']\nintrospected_by = ['gateway']\n\n\
         [[client]]\nclient_id = 'gateway'\n{secret}\n\
         [[client]]\nclient_id = 'robot'\n{secret}scopes = ['read']\n\
         grants = ['urn:ietf:params:oauth:grant-type:token-exchange']\n\n\
         [[client]]\nclient_id = 'cli'\nauth = 'none'\nredirect_uris = ['http://127.0.0.1/callback']\n\
         grants = ['authorization_code', 'refresh_token']\nscopes = ['read']\n\n\
         [[trusted_issuer]]\nissuer = '{IDP}'\naudience = '{api}'\nclients = ['robot']\njwks = {{ keys = [{jwk}] }}\n\n\
         [[user]]\nusername = 'ada'\npassword = '{PASSWORD}'\n",
        issuer.trim_start_matches("http://")
    )
}

fn gateway(issuer: &str, api: &str, upstream: &str) -> String {
    format!(
        "listen = '{}'\npublic_origin = '{api}'\naudience = '{api}'\nupstream = '{upstream}'\n\n\
         [[issuers]]\nissuer = '{issuer}'\n[issuers.introspection]\nclient_id = 'gateway'\nsecret_file = 'secret'\n\
         cache_seconds = 0\n",
        api.trim_start_matches("http://")
    )
}

/// Session and key of another home, as a thief copies them.
fn stolen(home: &Home) -> Home {
    let copy = Home::new();
    for name in ["sessions", "keys"] {
        let (from, to) = (home.0.path().join(name), copy.0.path().join(name));
        copy_private(&from, &to);
    }
    copy
}

/// A session names the directory of its key: what was copied lies there again after a logout has deleted it.
fn put_key_back(copy: &Home, home: &Home) {
    copy_private(&copy.0.path().join("keys"), &home.0.path().join("keys"));
}

fn copy_private(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn an_unbound_token_becomes_a_bound_one_and_dies_with_its_session() {
    let (site, home) = (Site::start(), Home::new());
    let keys = home.0.path().join("keys");
    let client = site.file(
        "client.toml",
        &format!(
            "issuer = '{}'\nclient_id = 'robot'\nresource = '{}'\n[auth]\nmethod = 'client_secret_basic'\nsecret = '{SECRET}'\n\
             [keys]\ndirectory = '{}'\ndpop = 'robot'\n",
            site.issuer,
            site.api,
            keys.display()
        ),
    );
    home.run(&["key", "new", "robot"]).printed();
    let token = site.file("token", &site.idp_token("first"));
    let session = home.json(&["login", "--config", &client, "--exchange", &token, "--json"]);
    assert_eq!((&session["grant"], &session["bound"]), (&"token_exchange".into(), &true.into()), "{session}");
    let shown = home.json(&["token", &site.api, "--json"]);
    assert_eq!(
        (&shown["claims"]["client_id"], &shown["bound_to_this_key"]),
        (&"robot".into(), &true.into()),
        "{shown}"
    );
    assert!(site.lets_in(&home), "the bound token is good");

    let thief = stolen(&home);
    assert!(site.lets_in(&thief), "and so is a copy of token and key, as yet");
    assert!(home.run(&["logout", &site.api]).printed().contains("its tokens are revoked"));
    assert!(!site.lets_in(&thief), "the token is dead at once");
    home.run(&["call", "GET", &site.api]).is_refused("nobody is logged in to");
}

#[test]
fn a_refresh_token_is_dead_after_a_logout() {
    let (site, home) = (Site::start(), Home::new());
    let variables = home.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let login = ["login", &site.api, "--client-id", "cli", "--no-browser", "--json"];
    let mut waiting = Running::start(login, &variables, home.0.path());
    let url = waiting.stderr_line("  http").trim().to_owned();
    Browser::default().log_in(&site.issuer, &url);
    waiting.end().printed();
    assert!(site.lets_in(&home));

    let (thief, other) = (stolen(&home), stolen(&home));
    assert!(home.run(&["logout", "--all"]).printed().contains("its tokens are revoked"));
    put_key_back(&thief, &home);
    // The access token is refused, so the refresh token is tried: the issuer knows neither any more.
    let tried = thief.run(&["call", "GET", &format!("{}/orders", site.api)]);
    assert_eq!(tried.code, Some(2), "{tried:?}");
    assert!(tried.stderr.contains("invalid_grant") && tried.stderr.contains("countersign login"), "{tried:?}");
    // A second revocation is no error (RFC 7009 §2.2).
    assert!(other.run(&["logout", "--all"]).printed().contains("its tokens are revoked"));
}

#[test]
fn a_revoked_binding_of_a_running_agent_leaves_no_token_that_lives() {
    let (site, home) = (Site::start(), Home::new());
    let directory = home.0.path().join("agent");
    let variables = home.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let arguments = ["agent", "--resource", &site.api, "--client-id", "cli", "--no-browser", "--name", "reader"];
    let places = ["--directory", directory.to_str().unwrap()];
    let start = || Running::start([&arguments[..], &places].concat(), &variables, home.0.path());
    let mut agent = start();
    let url = agent.stderr_line("  http").trim().to_owned();
    Browser::default().log_in(&site.issuer, &url);
    let address = agent.stderr_line("ready ").trim_start_matches("ready ").to_owned();
    let ask = || crate::http::get(&format!("{address}/orders"), &[]).status;
    assert_eq!(ask(), 404, "signed, and let in");

    // A restart keeps session, key and address: nobody is asked to log in.
    agent.terminate();
    assert_eq!(agent.end().code, Some(0));
    let mut agent = start();
    assert_eq!(agent.stderr_line("ready "), format!("ready {address}"));
    assert_eq!(ask(), 404, "signed, and let in");

    // A session of an agent has a label, so the thief names it.
    let thief = stolen(&home);
    let steer =
        |arguments: &[&str]| Ended::run(countersign().arg("agent").args(arguments).arg("--directory").arg(&directory));
    assert_eq!(steer(&["revoke", "--all"]).printed(), "reader revoked\n");
    assert_eq!(ask(), 410, "it signs nothing more");
    put_key_back(&thief, &home);
    let tried = thief.run(&["call", "--session", "agent reader", "GET", &format!("{}/orders", site.api)]);
    assert!(tried.code == Some(2) && tried.stderr.contains("invalid_grant"), "{tried:?}");
    assert!(home.run(&["token"]).printed().contains("nobody is logged in"));
}
