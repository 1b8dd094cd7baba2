//! `countersign run`: a program that reaches the API by a local address, and gets no secret at all.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use countersign_agent::journal::{Entry, Event};
use countersign_agent::{AgentSettings, BindingName, LaterSecrets, Listen, OutputFilter, Running};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use zeroize::Zeroizing;

use super::agent::home::Home;
use super::agent::quick::{self, Quick};
use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::{input, render};

/// Runs a program that reaches an API by a local address, and keeps every secret from it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign run --resource https://api.example.com -- python3 job.py\n  countersign \
run --resource https://llm.example.com/v1 --env OPENAI_BASE_URL -- my-agent\n\nThe program finds the address in \
COUNTERSIGN_URL (and where --socket is given the socket in COUNTERSIGN_SOCKET) and in every variable that --env names. \
Variables that look like secrets are taken away. Its output goes through a filter that keeps tokens and proofs back \
and reports them. The exit code is the program's; 1 where it is 0 and a secret was found."
)]
pub(crate) struct RunCommand {
    /// URL that the local address stands for
    #[arg(long, value_name = "URL")]
    resource: String,
    /// Give the program a Unix socket instead of a port
    #[arg(long)]
    socket: bool,
    /// Variable that the address is put into; may be given more than once
    #[arg(long = "env", value_name = "NAME")]
    variables: Vec<String>,
    /// Variable that is not taken away though it looks like a secret; may be given more than once
    #[arg(long = "keep", value_name = "NAME")]
    keep: Vec<String>,
    /// File of further secrets that the output must not hold, one a line
    #[arg(long, value_name = "FILE")]
    canaries: Option<PathBuf>,
    /// Do not look through the output: the program has the terminal to itself
    #[arg(long, conflicts_with = "canaries")]
    no_filter: bool,
    #[command(flatten)]
    quick: Quick,
    #[command(flatten)]
    log: LogFlags,
    /// Program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl RunCommand {
    /// Runs the program to its end.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        logging::start(&self.log, LevelFilter::WARN);
        let signals = Signals::listen()?;
        let listen = |directory: &Path, _: &BindingName| {
            if self.socket { Listen::Socket(directory.join("run.sock")) } else { quick::listen(None, None) }
        };
        let (home, running) = self.quick.open(&self.resource, listen, AgentSettings::default()).await?;
        let filter = if self.no_filter { None } else { Some(self.filter(&home, &running).await?) };
        let child = self.spawn(&running, filter.is_some())?;
        let (status, found) = watch(child, signals, filter.unwrap_or_default()).await?;
        if found > 0 {
            report(&home, &running, found)?;
        }
        home.agent.stop().await;
        Ok(exit_code(status, found))
    }

    /// What the output must not hold: what a person says, and every token that the binding has or gets.
    async fn filter(&self, home: &Home, running: &Running) -> Result<Forbidden, CommandError> {
        let mut forbidden = Forbidden::default();
        if let Some(client) = home.client(running) {
            let later = forbidden.tokens.clone();
            client.watch_tokens(move |token| later.add(token));
            // Where there is none, the program is told so when it asks for something.
            let _ = client.token().await;
        }
        if let Some(file) = &self.canaries {
            let bytes = input::read_secret(file, "file of canaries")?;
            let text = String::from_utf8_lossy(&bytes);
            forbidden.canaries = text.lines().map(|line| Zeroizing::new(line.to_owned())).collect();
        }
        Ok(forbidden)
    }

    fn spawn(&self, running: &Running, filtered: bool) -> Result<Child, CommandError> {
        let (program, arguments) =
            self.command.split_first().ok_or_else(|| CommandError::configuration("no command"))?;
        let mut command = Command::new(program);
        command.args(arguments);
        let secret = |name: &String| looks_secret(name) && !self.keep.contains(name);
        for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(secret) {
            command.env_remove(name);
        }
        let url = running.url.clone().unwrap_or_default();
        command.env("COUNTERSIGN_URL", &url);
        for name in &self.variables {
            command.env(name, &url);
        }
        if let Some(socket) = &running.socket {
            command.env("COUNTERSIGN_SOCKET", socket);
        }
        if filtered {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let named = program.to_string_lossy().into_owned();
        command.spawn().map_err(|fault| CommandError::configuration(format!("cannot run {named}: {fault}")))
    }
}

/// What the output of a program must not hold.
#[derive(Default)]
struct Forbidden {
    canaries: Vec<Zeroizing<String>>,
    tokens: LaterSecrets,
}

/// Waits for the program's end. The second is how often its output held something forbidden.
async fn watch(mut child: Child, signals: Signals, forbidden: Forbidden) -> Result<(ExitStatus, usize), CommandError> {
    let found = Arc::new(Mutex::new(0_usize));
    let out = pass(child.stdout.take(), std::io::stdout(), &forbidden, &found);
    let err = pass(child.stderr.take(), std::io::stderr(), &forbidden, &found);
    let ended = signals.until_end(&mut child);
    // Together: a program that writes much waits until it is read.
    let (status, (), ()) = tokio::join!(ended, out, err);
    let found = *found.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((status?, found))
}

/// What must not end this process before the program ends. Listened for before there is a program.
struct Signals {
    /// Reaches the program by itself, from the terminal, and is its to deal with.
    _interrupt: Signal,
    /// Reaches nobody but this process, and is passed on.
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CommandError> {
        let deaf = |fault| CommandError::internal(format!("cannot listen for signals: {fault}"));
        Ok(Self {
            _interrupt: signal(SignalKind::interrupt()).map_err(deaf)?,
            terminate: signal(SignalKind::terminate()).map_err(deaf)?,
        })
    }

    async fn until_end(mut self, child: &mut Child) -> Result<ExitStatus, CommandError> {
        loop {
            let status = tokio::select! {
                status = child.wait() => status,
                _ = self.terminate.recv() => {
                    terminate(child);
                    continue;
                }
            };
            return status.map_err(|fault| CommandError::internal(format!("the program was lost: {fault}")));
        }
    }
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Passes output on, without the secrets in it.
async fn pass(from: Option<impl AsyncRead + Unpin>, mut to: impl Write, forbidden: &Forbidden, found: &Mutex<usize>) {
    let Some(mut from) = from else { return };
    let mut filter = OutputFilter::new(&forbidden.canaries, forbidden.tokens.clone());
    let mut buffer = vec![0; 16_384];
    while let Ok(read) = from.read(&mut buffer).await {
        let shown = match read {
            0 => filter.finish(),
            read => filter.push(buffer.get(..read).unwrap_or_default()),
        };
        // Whoever read our output may have gone away: the program goes on.
        let _ = to.write_all(&shown).and_then(|()| to.flush());
        if read == 0 {
            break;
        }
    }
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    *found = found.saturating_add(filter.found());
}

fn report(home: &Home, running: &Running, found: usize) -> Result<(), CommandError> {
    let note = format!("{found} times in the output of a program; it was kept back");
    render::status(format_args!("countersign: a token, a proof or a canary {note}"));
    let name = running.binding.name().to_string();
    home.agent.record(&Entry::new(Event::Leaked).of(&name).saying(note)).map_err(CommandError::internal)
}

/// The program's own; a signal as shells say it.
fn exit_code(status: ExitStatus, found: usize) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| signal.saturating_add(128))).unwrap_or(1);
    let code = if code == 0 && found > 0 { 1 } else { code };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Names of variables that hold secrets, by what they are called.
fn looks_secret(name: &str) -> bool {
    const WHOLE: [&str; 6] =
        ["COUNTERSIGN_CLIENT", "COUNTERSIGN_AGENT", "AUTHORIZATION", "DATABASE_URL", "REDIS_URL", "NETRC"];
    const PARTS: [&str; 12] = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "APIKEY",
        "API_KEY",
        "ACCESS_KEY",
        "PRIVATE_KEY",
        "CREDENTIAL",
        "BEARER",
        "COOKIE",
    ];
    let name = name.to_ascii_uppercase();
    WHOLE.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part)) || name.ends_with("_PAT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_secret_by_its_name() {
        for name in [
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "OPENAI_API_KEY",
            "COUNTERSIGN_PASSPHRASE",
            "PGPASSWORD",
            "http_authorization_token",
            "GITLAB_PAT",
            "DATABASE_URL",
            "AWS_SESSION_TOKEN",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["PATH", "HOME", "LANG", "OPENAI_BASE_URL", "COUNTERSIGN_URL", "COUNTERSIGN_SOCKET", "KEYBOARD"] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
