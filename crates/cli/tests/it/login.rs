//! `login`, `call`, `token`, `doctor` and `logout`, against the real authorization server and gateway.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::configuration;
use crate::http::{self, free_port};
use crate::process::{Ended, Running, countersign};
use crate::system::System;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A person's own directories.
pub(crate) struct Home(pub(crate) TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        let at = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        [("COUNTERSIGN_SESSIONS", at("sessions")), ("COUNTERSIGN_KEYS", at("keys"))]
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::run(countersign().args(arguments).envs(self.variables()))
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(arguments).printed()).unwrap()
    }
}

#[test]
fn a_client_with_a_key_logs_in_for_itself_and_out_again() {
    let (system, home) = (System::shared(), Home::new());
    let (config, orders) = (system.data.join("client.toml"), format!("{}/orders", system.gateway));
    let nobody = home.run(&["call", "GET", &orders]);
    nobody.is_refused("nobody is logged in to");
    nobody.is_refused(&format!("hint: countersign login {orders}"));

    let printed = home.run(&["login", "--config", config.to_str().unwrap(), "--client-credentials"]).printed();
    assert!(printed.contains(&format!("logged in to {}", system.gateway)), "{printed}");
    assert!(printed.contains("type next:\n  countersign call GET"), "{printed}");
    assert!(home.run(&["call", "GET", &orders]).printed().starts_with("{\"orders\":"));
    home.run(&["call", "GET", "http://127.0.0.1:1/"]).is_refused("nobody is logged in to");

    let shown = home.json(&["token", &system.gateway, "--json"]);
    assert_eq!(
        (&shown["bound"], &shown["bound_to_this_key"], &shown["usable"]),
        (&true.into(), &true.into(), &true.into())
    );
    assert_eq!(shown["claims"]["aud"], shown["resource"]);
    assert!(home.run(&["token"]).printed().contains("renewed by itself"));
    home.run(&["token", &system.gateway, "--reveal"]).is_refused("a token is shown on a terminal only");

    let found = home.json(&["doctor", "--json"]);
    assert!(found.as_array().unwrap().iter().all(|line| line["fine"] == true), "{found}");
    let out = home.run(&["logout", &system.gateway]).printed();
    assert!(out.contains("its tokens are revoked"), "{out}");
    home.run(&["call", "GET", &orders]).is_refused("nobody is logged in to");
    assert!(home.run(&["token"]).printed().contains("nobody is logged in"));
}

/// Authorization server and gateway with a person and a public client.
struct Site {
    _authserver: Running,
    _gateway: Running,
    issuer: String,
    api: String,
    _upstream: std::sync::Arc<System>,
    _directory: TempDir,
}

impl Site {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let (issuer, api) = (loopback(), loopback());
        let config = directory.path().join("authserver.toml");
        let text = format!(
            "issuer = '{issuer}'\nlisten = '{}'\ndata = 'data'\n\n[[resource]]\nidentifier = '{api}'\nscopes = ['read']\n\n\
             [[client]]\nclient_id = 'cli'\nauth = 'none'\nredirect_uris = ['http://127.0.0.1/callback']\n\
             grants = ['authorization_code', 'refresh_token']\nscopes = ['read']\n\n\
             [[user]]\nusername = 'ada'\npassword = '{PASSWORD}'\n",
            issuer.trim_start_matches("http://")
        );
        write_private(&config, &text);
        let arguments = ["authserver", "--config", config.to_str().unwrap()];
        let mut authserver = Running::start(arguments, &[], directory.path());
        authserver.ready();
        let upstream = System::shared();
        let flags = [
            ("--listen", api.trim_start_matches("http://")),
            ("--public-origin", &api),
            ("--audience", &api),
            ("--issuer", &issuer),
            ("--upstream", &upstream.gateway),
        ];
        let mut gateway = Running::start(configuration::gateway(&flags), &[], directory.path());
        gateway.ready();
        Self { _authserver: authserver, _gateway: gateway, issuer, api, _upstream: upstream, _directory: directory }
    }
}

pub(crate) fn loopback() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

pub(crate) fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A browser as far as the pages need one.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Signs in, allows access, and goes where it is sent.
    pub(crate) fn log_in(&mut self, origin: &str, url: &str) {
        let sign_in = self.send("GET", url, "");
        let typed = [("username", "ada"), ("password", PASSWORD)];
        let signed_in = self.press(origin, &sign_in, "login", &typed);
        let target = signed_in.fields("location")[0].to_owned();
        let consent = self.send("GET", &absolute(origin, &target), "");
        let allowed = self.press(origin, &consent, "approve", &[]);
        let back = allowed.fields("location")[0].to_owned();
        let page = http::get(&back, &[]);
        assert_eq!((page.status, page.body.contains("You are logged in")), (200, true), "{page:?}");
    }

    fn press(&mut self, origin: &str, page: &http::Answer, button: &str, typed: &[(&str, &str)]) -> http::Answer {
        let form = page.body.split("<form").find(|form| form.contains(&format!("value=\"{button}\""))).unwrap();
        let token = attribute(form.split("name=\"token\"").nth(1).unwrap(), "value");
        let fields = typed.iter().copied().chain([("token", token.as_str()), ("action", button)]);
        let body: Vec<_> = fields.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.send("POST", &absolute(origin, &attribute(form, "action")), &body.join("&"))
    }

    fn send(&mut self, method: &str, url: &str, body: &str) -> http::Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let origin: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let (cookies, length) = (cookies.join("; "), body.len().to_string());
        let fields = [
            ("Cookie", cookies.as_str()),
            ("Origin", &origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", &length),
        ];
        let answer = http::send(method, url, &fields, body);
        for cookie in answer.fields("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

fn absolute(origin: &str, target: &str) -> String {
    if target.starts_with("http") { target.to_owned() } else { format!("{origin}{target}") }
}

fn attribute(text: &str, name: &str) -> String {
    let value = text.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
    value.replace("&#38;", "&").replace("&amp;", "&")
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[test]
fn a_person_logs_in_in_a_browser_and_calls() {
    let (site, home) = (Site::start(), Home::new());
    let variables = home.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let orders = format!("{}/orders", site.api);
    let login = ["login", &orders, "--client-id", "cli", "--no-browser", "--json"];
    let mut waiting = Running::start(login, &variables, home.0.path());
    let url = waiting.stderr_line("  http").trim().to_owned();
    assert!(url.starts_with(&format!("{}/authorize?client_id=cli&request_uri=", site.issuer)), "{url}");
    Browser::default().log_in(&site.issuer, &url);
    let session: Value = serde_json::from_str(&waiting.end().printed()).unwrap();
    assert_eq!((session["issuer"].as_str(), session["bound"].as_bool()), (Some(site.issuer.as_str()), Some(true)));
    assert_eq!(
        (session["grant"].as_str(), session["renewed_by_itself"].as_bool()),
        (Some("authorization_code"), Some(true))
    );

    // The API behind it is another gateway, which refuses: what it says came through ours, so the token was good.
    let answered = home.run(&["call", "-i", "GET", &orders]);
    assert!(answered.stdout.starts_with("HTTP/1.1 421") || answered.stdout.starts_with("HTTP/1.1 401"), "{answered:?}");
    let shown = home.json(&["token", &site.api, "--json"]);
    assert_eq!((shown["claims"]["sub"].is_string(), &shown["bound_to_this_key"]), (true, &true.into()), "{shown}");
    let key = session["key"].as_str().unwrap().to_owned();
    assert!(home.run(&["key", "list"]).printed().contains(&key));
    home.run(&["logout", &site.api]).printed();
    assert!(home.run(&["key", "list"]).printed().contains("no keys"), "the key of the session goes with it");
}

#[test]
fn a_login_that_cannot_be_tried_says_what_to_do() {
    let (system, home) = (System::shared(), Home::new());
    for (arguments, says) in [
        (&["login"][..], "<URL>"),
        (&["login", "http://api.example/"], "plain http"),
        (&["login", &system.gateway], "does not register clients by itself"),
        (&["login", &system.gateway, "--keys", "memory"], "would be gone when this command ends"),
        (&["login", &system.gateway, "--keys", "keychain"], "a key store is memory, file:DIRECTORY"),
        (&["login", &system.gateway, "--issuer", "https://other.example"], "takes tokens of"),
        (&["login", &system.gateway, "--exchange", "/no/such/file", "--client-id", "x"], "the token in /no/such/file"),
        (&["logout"], "nobody is logged in"),
        (&["logout", "--session", "x"], "there is no session 'x'"),
    ] {
        home.run(arguments).is_refused(says);
    }
    assert!(home.run(&["logout", "--all"]).printed().contains("nobody was logged in"));
    let found = home.run(&["doctor", &format!("http://127.0.0.1:{}", free_port())]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stdout.contains("WRONG") && found.stdout.contains("to do: "), "{found:?}");
}

#[test]
fn a_key_that_waits_for_its_passphrase_is_a04_and_its_session_stays() {
    let (site, home) = (Site::start(), Home::new());
    let file = home.0.path().join("passphrase");
    write_private(&file, "canary of a passphrase\n");
    let file = file.to_str().unwrap();
    let variables = home.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let arguments = ["login", &site.api, "--client-id", "cli", "--no-browser", "--passphrase-file", file];
    let mut login = Running::start(arguments, &variables, home.0.path());
    let url = login.stderr_line("  http").trim().to_owned();
    Browser::default().log_in(&site.issuer, &url);
    assert_eq!(login.end().code, Some(0));

    let agent_directory = home.0.path().join("agent");
    let named = ["--client-id", "cli", "--no-browser", "--directory", agent_directory.to_str().unwrap()];
    let commands = [&["call", "GET", &site.api][..], &["logout", &site.api], &["token", &site.api, "--renew"]];
    for command in commands {
        let locked = home.run(command);
        locked.is_refused("A04 the session's key cannot be used: key 'session-");
        locked.is_refused("hint: unlock it: give the passphrase or PIN with --passphrase or --passphrase-file");
    }
    let mut login = Running::start(
        [&["agent", "--resource", &site.api, "--passphrase-file", file][..], &named].concat(),
        &variables,
        home.0.path(),
    );
    let url = login.stderr_line("  http").trim().to_owned();
    Browser::default().log_in(&site.issuer, &url);
    login.stderr_line("ready ");
    login.terminate();
    assert_eq!(login.end().code, Some(0));
    let locked = home.run(&[&["agent", "--resource", &site.api][..], &named].concat());
    assert!(locked.code == Some(2) && locked.stderr.contains("A04 the session's key cannot be used"), "{locked:?}");
    let out = home.run(&["logout", &site.api, "--passphrase-file", file]).printed();
    assert!(out.contains("its tokens are revoked"), "{out}");
}

#[test]
fn a_binding_of_a_configuration_logs_in_as_the_client_that_it_names() {
    let (site, home) = (Site::start(), Home::new());
    let file = home.0.path().join("agent.toml");
    let variables = home.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let arguments = ["agent", "--config", file.to_str().unwrap(), "--no-browser"];
    let text = format!(
        "directory = 'state'\n[[binding]]\nname = 'reader'\nresource = '{}'\nlisten = '127.0.0.1:0'\n",
        site.api
    );
    write_private(&file, &text);
    let unknown = home.run(&arguments);
    unknown.is_refused("does not register clients by itself");
    unknown.is_refused("hint: --client-id ID, or client_id in the binding's table");

    write_private(&file, &format!("{text}client_id = 'cli'\nissuer = '{}'\n", site.issuer));
    let mut agent = Running::start(arguments, &variables, home.0.path());
    let url = agent.stderr_line("  http").trim().to_owned();
    Browser::default().log_in(&site.issuer, &url);
    let line = agent.stderr_line("binding reader http://127.0.0.1:");
    agent.stderr_line("ready ");
    // The API behind it is another gateway, which refuses: what it says came of a token that was good.
    let status = http::get(&format!("{}/orders", line.split(' ').nth(2).unwrap()), &[]).status;
    assert!(matches!(status, 421 | 502), "{status}");
    let journal = fs::read_to_string(home.0.path().join("state/journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":"signed""#), "{journal}");
}

#[test]
fn a_key_that_is_lost_is_a04_with_what_to_do() {
    let (system, home) = (System::shared(), Home::new());
    let copy = home.0.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let keys = copy.join("keys");
    fs::create_dir(&keys).unwrap();
    for entry in fs::read_dir(system.data.join("keys")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), keys.join(entry.file_name())).unwrap();
    }
    let text = fs::read_to_string(system.data.join("client.toml")).unwrap();
    let old = system.data.join("keys").to_str().unwrap().to_owned();
    write_private(&copy.join("client.toml"), &text.replace(&old, keys.to_str().unwrap()));
    let config = copy.join("client.toml");
    home.run(&["login", "--config", config.to_str().unwrap(), "--client-credentials"]).printed();
    fs::remove_file(keys.join("dpop.key")).unwrap();
    let orders = format!("{}/orders", system.gateway);
    let lost = home.run(&["call", "GET", &orders]);
    lost.is_refused("A04 the session's key cannot be used: there is no key 'dpop'");
    lost.is_refused("hint: a key that is lost cannot be had back: log in again");
}
