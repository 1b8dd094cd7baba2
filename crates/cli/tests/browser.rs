//! The page of examples/browser in a real Chromium, against an authorization server and a gateway as people start them.
#![forbid(unsafe_code)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::service::{Service, free_address, trial};
use libtest_mimic::{Arguments, Failed};

/// Debian's.
const CHROMIUM: &str = "/usr/bin/chromium";

fn main() {
    let driver = root().join("tests/browser/node_modules/playwright-core/package.json").display().to_string();
    let page = trial("a_page_signs_in_calls_the_api_and_leaves_a_thief_nothing", &["node", CHROMIUM, &driver], page);
    libtest_mimic::run(&Arguments::from_args(), vec![page]).exit();
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
    let mut driver = Command::new("node");
    driver.arg(root().join("tests/browser/page.mjs")).arg(CHROMIUM);
    driver.args([format!("http://{}/", at.page), format!("http://{}", at.issuer), format!("http://{}", at.api)]);
    let output =
        driver.args(["ada", "correct horse battery"]).env("UPSTREAM", format!("http://{}", at.upstream)).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    Err(format!("{said}\nthe issuer said:\n{}\nthe gateway said:\n{}", issuer.output(), gateway.output()).into())
}

/// By the example's own file, at the addresses of this run.
fn authserver(at: &Places) -> Result<Service, Failed> {
    let example = fs::read_to_string(root().join("examples/browser/authserver.toml"))?;
    let config = [("127.0.0.1:8090", at.issuer), ("127.0.0.1:8080", at.api), ("127.0.0.1:8000", at.page)]
        .iter()
        .fold(example, |text, (written, address)| text.replace(written, &address.to_string()));
    Service::start(at.issuer, |dir| {
        let file = dir.join("authserver.toml");
        fs::write(&file, config)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["authserver", "--config"]).arg(file);
        Ok(command)
    })
    .map_err(Failed::from)
}

/// By the flags that the example's page names.
fn gateway(at: &Places) -> Result<Service, Failed> {
    let url = |address: SocketAddr| format!("http://{address}");
    Service::start(at.api, |_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
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
