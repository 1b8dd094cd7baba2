//! Ordinary programs behind the agent: the examples, run as they are; and a Redis server that is measured.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use countersign_testkit::service::{Service, find, free_address, trial};
use libtest_mimic::{Arguments, Failed, Trial};

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn main() {
    let arguments = Arguments::from_args();
    let trials = vec![
        trial("curl_over_the_socket", &["curl"], || example(&["--socket"], &["sh", "curl.sh"], "tea")),
        python("requests", "requests_client.py"),
        python("httpx", "httpx_client.py"),
        trial("fetch_of_node", &["node"], || example(&[], &["node", "fetch.mjs"], "tea")),
        trial("round_trips_to_redis_are_measured", &["redis-server"], round_trips_to_redis),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn round_trips_to_redis() -> Result<(), Failed> {
    let address = free_address()?;
    let _server = Service::start(address, |directory| {
        let mut command = Command::new(find("redis-server").ok_or(std::io::ErrorKind::NotFound)?);
        let port = address.port().to_string();
        command.current_dir(directory).args(["--bind", "127.0.0.1", "--save", "", "--port", &port]);
        Ok(command)
    })?;
    let url = format!("redis://{address}");
    let arguments = ["bench", "replay", "--entries", "10000", "--rounds", "1", "--json", "--redis", &url];
    let output = Command::new(BINARY).args(arguments).output()?;
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)?;
    for name in ["redis-1-at-a-time", "redis-32-at-a-time"] {
        let row = rows.iter().find(|row| row["name"] == name).ok_or(format!("no {name} in {rows:?}"))?;
        if row["us_wall_median"].as_f64().is_none_or(|microseconds| microseconds <= 0.0) {
            return Err(format!("{row}").into());
        }
    }
    Ok(())
}

/// A Python program that needs a package, by the first interpreter that has it.
fn python(package: &'static str, script: &'static str) -> Trial {
    let has = |python: &&str| {
        let asked = Command::new(python).args(["-c", &format!("import {package}")]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let name = format!("{package}_of_python");
    match ["python3", "/usr/bin/python3"].into_iter().find(has) {
        Some(python) => Trial::test(name, move || example(&[], &[python, script], "tea")),
        // Reported as missing, under the name of the Debian package.
        None if package == "requests" => trial(name, &["python3-requests"], || Ok(())),
        None => trial(name, &["python3-httpx"], || Ok(())),
    }
}

/// Authorization server, gateway and API, ended when dropped.
struct Up {
    child: Child,
    gateway: String,
    data: tempfile::TempDir,
}

impl Up {
    fn start() -> Result<Self, Failed> {
        let data = tempfile::tempdir()?;
        let log = data.path().join("log");
        let child = Command::new(BINARY)
            .args(["up", "--listen", "127.0.0.1:0", "--authserver-listen", "127.0.0.1:0", "--data"])
            .arg(data.path().join("up"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let mut up = Self { child, gateway: String::new(), data };
        let limit = Instant::now() + Duration::from_mins(1);
        while up.gateway.is_empty() {
            let said = std::fs::read_to_string(&log)?;
            // A line that is not at its end yet is none.
            let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let ready =
                whole.lines().find_map(|line| line.strip_prefix("ready ")?.split(' ').next().map(str::to_owned));
            up.gateway = ready.unwrap_or_default();
            if Instant::now() > limit || up.child.try_wait()?.is_some() {
                return Err(said.into());
            }
            std::thread::yield_now();
        }
        Ok(up)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs an example behind `countersign run` and wants `expected` in what it prints.
fn example(more: &[&str], command: &[&str], expected: &str) -> Result<(), Failed> {
    let up = Up::start()?;
    let output = Command::new(BINARY)
        .args(["run", "--resource", &up.gateway, "--client"])
        .arg(up.data.path().join("up/client.toml"))
        .arg("--directory")
        .arg(up.data.path().join("agent"))
        .args(more)
        .arg("--")
        .args(command)
        .current_dir(PathBuf::from(ROOT).join("examples/agent"))
        .output()?;
    wants(&output, expected)
}

fn wants(output: &Output, expected: &str) -> Result<(), Failed> {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() && out.contains(expected) {
        return Ok(());
    }
    Err(format!("{}: {out}{err}", output.status).into())
}
