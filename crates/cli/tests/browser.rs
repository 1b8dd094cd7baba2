//! Pages in a real Chromium, against an authorization server and a gateway as people start them: that of
//! examples/browser, and the issuer's own, by keyboard.
#![forbid(unsafe_code)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::service::{Service, free_address, trial};
use libtest_mimic::{Arguments, Failed};

const COUNTERSIGN: &str = env!("CARGO_BIN_EXE_countersign");
/// Debian's.
const CHROMIUM: &str = "/usr/bin/chromium";

fn main() {
    let driver = root().join("tests/browser/node_modules/playwright-core/package.json").display().to_string();
    let needs = ["node", CHROMIUM, &driver];
    let page = trial("a_page_signs_in_calls_the_api_and_leaves_a_thief_nothing", &needs, page);
    let keyboard = trial("the_issuers_pages_need_nothing_but_a_keyboard", &needs, keyboard);
    libtest_mimic::run(&Arguments::from_args(), vec![page, keyboard]).exit();
}

/// The addresses of one run.
struct Places {
    page: SocketAddr,
    issuer: SocketAddr,
    api: SocketAddr,
    upstream: SocketAddr,
}

fn page() -> Result<(), Failed> {
    let at = Places { page: free_address()?, issuer: free_address()?, api: free_address()?, upstream: free_address()? };
    let issuer = authserver(&at)?;
    let gateway = gateway(&at)?;
    let mut driver = driver("page.mjs");
    driver.args([format!("http://{}/", at.page), format!("http://{}", at.issuer), format!("http://{}", at.api)]);
    driver.args([USER, PASSWORD]).env("UPSTREAM", format!("http://{}", at.upstream));
    drive(driver).map_err(|said| {
        format!("{said}\nthe issuer said:\n{}\nthe gateway said:\n{}", issuer.output(), gateway.output()).into()
    })
}

const USER: &str = "ada";
const PASSWORD: &str = "correct horse battery";

fn driver(script: &str) -> Command {
    let mut driver = Command::new("node");
    driver.arg(root().join("tests/browser").join(script)).arg(CHROMIUM);
    driver
}

/// Fails with what the driver said.
fn drive(mut driver: Command) -> Result<(), String> {
    let output = driver.output().map_err(|fault| fault.to_string())?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// `COUNTERSIGN_PICTURES` names a directory for pictures of every page.
fn keyboard() -> Result<(), Failed> {
    let (address, callback) = (free_address()?, format!("http://{}/back", free_address()?));
    let issuer = Service::issuer(COUNTERSIGN, address, &issuer_config(address, &callback))?;
    let mut driver = driver("keyboard.mjs");
    driver.args([&format!("http://{address}"), "weather", &callback, USER, PASSWORD]);
    driver.args(std::env::var_os("COUNTERSIGN_PICTURES"));
    drive(driver).map_err(|said| format!("{said}\nthe issuer said:\n{}", issuer.output()).into())
}

fn issuer_config(address: SocketAddr, callback: &str) -> String {
    format!(
        r#"
issuer = "http://{address}"
listen = "{address}"
data = "data"

[[resource]]
identifier = "https://api.example.com/weather"
scopes = ["read", "write"]

[[client]]
client_id = "weather"
auth = "none"
redirect_uris = ["{callback}"]
grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
scopes = ["read", "write"]

[[user]]
username = "{USER}"
password = "{PASSWORD}"
"#
    )
}

/// By the example's own file, at the addresses of this run.
fn authserver(at: &Places) -> Result<Service, Failed> {
    let example = fs::read_to_string(root().join("examples/browser/authserver.toml"))?;
    let config = [("127.0.0.1:8090", at.issuer), ("127.0.0.1:8080", at.api), ("127.0.0.1:8000", at.page)]
        .iter()
        .fold(example, |text, (written, address)| text.replace(written, &address.to_string()));
    Service::issuer(COUNTERSIGN, at.issuer, &config).map_err(Failed::from)
}

/// By the flags that the example's page names.
fn gateway(at: &Places) -> Result<Service, Failed> {
    let url = |address: SocketAddr| format!("http://{address}");
    Service::start(at.api, |_| {
        let mut command = Command::new(COUNTERSIGN);
        command.args(["gateway", "--listen", &at.api.to_string(), "--public-origin", &url(at.api)]);
        command.args(["--audience", &url(at.api), "--issuer", &url(at.issuer), "--upstream", &url(at.upstream)]);
        command.args(["--nonce", "required", "--cors-origin", &url(at.page)]);
        Ok(command)
    })
    .map_err(Failed::from)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
