//! The servers under test: processes of their own, all on one core, one measured at a time.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use countersign_resource::es256::Engine;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::load;
use super::nginx;
use super::traffic::{ISSUER, RESOURCE, Traffic};
use crate::error::CommandError;

/// The upstream itself, asked without anything in between.
pub(super) const DIRECT: &str = "direct";
pub(super) const GATEWAY: &str = "gateway";
pub(super) const GATEWAY_DECISION_LOG: &str = "gateway-decision-log";
pub(super) const GATEWAY_LIBRARY: &str = "gateway-library";
pub(super) const NGINX: &str = "nginx";
pub(super) const NGINX_AUTH_REQUEST: &str = "nginx-auth-request";

/// All rows of servers.
pub(super) const NAMES: [&str; 6] = [DIRECT, GATEWAY, GATEWAY_DECISION_LOG, GATEWAY_LIBRARY, NGINX, NGINX_AUTH_REQUEST];

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// A server under test. Ends with this value.
pub(super) struct Party {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    processes: Vec<Process>,
}

/// A child process; killed when dropped.
pub(super) struct Process(Child);

/// Which core the load runs on, and which the servers.
pub(super) struct Cores {
    load: usize,
    servers: usize,
}

impl Cores {
    /// The first two cores that this process may use.
    pub(super) fn find() -> Result<Self, CommandError> {
        let allowed = sched_getaffinity(None).map_err(CommandError::internal)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let load = cores.next().ok_or_else(|| CommandError::internal("no core may be used"))?;
        Ok(Self { load, servers: cores.next().unwrap_or(load) })
    }

    pub(super) fn notes(&self) -> Vec<String> {
        if self.load == self.servers {
            return vec!["one core only: load and servers share it, so requests a second say little".to_owned()];
        }
        Vec::new()
    }

    /// Keeps the calling thread on the load's core.
    pub(super) fn take_load(&self) -> Result<(), CommandError> {
        stay_on(self.load)
    }

    /// Starts a process on the servers' core: it is where the thread is that starts it.
    pub(super) fn spawn(&self, command: &mut Command) -> Result<Process, CommandError> {
        let started = std::thread::scope(|scope| {
            let starting = scope.spawn(|| {
                stay_on(self.servers)?;
                command.spawn().map_err(CommandError::internal)
            });
            starting.join().map_err(|_| CommandError::internal("a process did not start"))?
        });
        started.map(Process)
    }
}

fn stay_on(core: usize) -> Result<(), CommandError> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).map_err(CommandError::internal)
}

impl Process {
    /// CPU time of all of its threads; `None` where the system does not say.
    fn cpu_nanoseconds(&self) -> Option<u64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).ok()?;
        let spent = tasks.filter_map(|task| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Some(spent.sum())
    }

    /// Memory that it occupies, in bytes.
    pub(super) fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
    }

    /// Waits for the line that says where it listens.
    pub(super) async fn ready(&mut self) -> Result<SocketAddr, CommandError> {
        let stderr = self.0.stderr.take().ok_or_else(|| CommandError::internal("a process without output"))?;
        let waiting = tokio::task::spawn_blocking(move || ready_line(stderr));
        let found = tokio::time::timeout(START, waiting)
            .await
            .map_err(|_| CommandError::internal("a server does not start"))?;
        found.map_err(CommandError::internal)?.ok_or_else(|| CommandError::internal("a server ended at its start"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads up to the ready line, and goes on reading so that the process can go on writing.
fn ready_line(stderr: ChildStderr) -> Option<SocketAddr> {
    let mut lines = BufReader::new(stderr).lines();
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ready http://")?.split(' ').next()?.parse().ok())?;
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(address)
}

impl Party {
    /// CPU time of its processes so far; `None` for the upstream itself, which is part of the load.
    pub(super) fn cpu_nanoseconds(&self) -> Result<Option<u64>, CommandError> {
        if self.processes.is_empty() {
            return Ok(None);
        }
        let spent = self.processes.iter().map(Process::cpu_nanoseconds).sum::<Option<u64>>();
        spent.map(Some).ok_or_else(|| CommandError::internal("the system does not say what CPU time a process took"))
    }

    pub(super) fn refused(&self, number: usize) -> CommandError {
        CommandError::internal(format!("{} refused {number} right requests; the figures mean nothing", self.name))
    }
}

/// Starts what is compared, as far as it is wanted. What is not installed is said in `notes`.
pub(super) async fn start(
    traffic: &Traffic,
    cores: &Cores,
    upstream: SocketAddr,
    engine: Engine,
    is_wanted: impl Fn(&str) -> bool,
    notes: &mut Vec<String>,
) -> Result<Vec<Party>, CommandError> {
    let direct = Party { name: DIRECT, address: upstream, processes: Vec::new() };
    let mut parties: Vec<Party> = is_wanted(DIRECT).then_some(direct).into_iter().collect();
    let decisions = traffic.file("decisions.jsonl");
    for (name, engine, log) in [
        (GATEWAY, engine, "none"),
        (GATEWAY_DECISION_LOG, engine, decisions.to_str().unwrap_or("none")),
        (GATEWAY_LIBRARY, Engine::Library, "none"),
    ]
    .into_iter()
    .filter(|(name, _, _)| is_wanted(name))
    {
        let config = traffic.write(&format!("{name}.toml"), &gateway_config(upstream, log, 2_000_000))?;
        let (process, address) = gateway(cores, &config, engine).await?;
        parties.push(Party { name, address, processes: vec![process] });
    }
    match nginx::find() {
        Some(program) => parties.extend(start_nginx(&program, traffic, cores, upstream, is_wanted).await?),
        None => notes.push("nginx is not installed: no rows of it, and no ratios".to_owned()),
    }
    Ok(parties)
}

/// Starts this very program as a gateway.
pub(super) async fn gateway(
    cores: &Cores,
    config: &Path,
    engine: Engine,
) -> Result<(Process, SocketAddr), CommandError> {
    let mut command = ourselves()?;
    command.arg("gateway").arg("--config").arg(config);
    command.env("COUNTERSIGN_ES256_ENGINE", engine.name());
    let mut process = cores.spawn(&mut command)?;
    let address = process.ready().await?;
    Ok((process, address))
}

/// This very program, without what its environment says of other gateways.
pub(super) fn ourselves() -> Result<Command, CommandError> {
    let mut command = Command::new(std::env::current_exe().map_err(CommandError::internal)?);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"COUNTERSIGN_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

pub(super) fn gateway_config(upstream: SocketAddr, log: &str, replay_capacity: u32) -> String {
    format!(
        "listen = \"127.0.0.1:0\"
public_origin = \"{RESOURCE}\"
upstream = \"http://{upstream}\"
issuer = \"{ISSUER}\"
jwks = \"keys.json\"
audience = \"{RESOURCE}\"
replay_capacity = {replay_capacity}
[log]
decisions = \"{log}\"
[limits]
connections = 100000
idle_seconds = 3600
"
    )
}

async fn start_nginx(
    program: &Path,
    traffic: &Traffic,
    cores: &Cores,
    upstream: SocketAddr,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Party>, CommandError> {
    let mut parties = Vec::new();
    for name in [NGINX, NGINX_AUTH_REQUEST].into_iter().filter(|name| is_wanted(name)) {
        let (asked, also) = if name == NGINX_AUTH_REQUEST {
            let (checker, asked) = start_checker(traffic, cores).await?;
            (Some(asked), Some(checker))
        } else {
            (None, None)
        };
        let address = free_address()?;
        let config = traffic.write(&format!("{name}.conf"), &nginx::config(address, upstream, asked))?;
        let directory = traffic.file(name);
        std::fs::create_dir(&directory).map_err(CommandError::internal)?;
        let mut command = nginx::command(program, &config, &directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = cores.spawn(&mut command)?;
        listening(address).await?;
        parties.push(Party { name, address, processes: std::iter::once(process).chain(also).collect() });
    }
    Ok(parties)
}

/// Starts what nginx asks about requests.
async fn start_checker(traffic: &Traffic, cores: &Cores) -> Result<(Process, SocketAddr), CommandError> {
    let mut command = ourselves()?;
    command.args(["bench", "gateway-checker", "--keys"]).arg(traffic.file("keys.json"));
    let mut checker = cores.spawn(&mut command)?;
    let asked = checker.ready().await?;
    Ok((checker, asked))
}

/// An address that nobody listens on at this moment.
fn free_address() -> Result<SocketAddr, CommandError> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(CommandError::internal)?;
    listener.local_addr().map_err(CommandError::internal)
}

/// Waits until somebody listens there.
async fn listening(address: SocketAddr) -> Result<(), CommandError> {
    let trying = async {
        while load::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START, trying).await.map_err(|_| CommandError::internal("nginx does not start"))
}
