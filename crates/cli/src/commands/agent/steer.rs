//! `countersign agent status`, `lock`, `unlock`, `revoke`.

use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_agent::control::{Address, BindingStatus, ControlClient, ControlError};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::home::{CONTROL, base_directory};
use crate::error::CommandError;
use crate::render;

/// Which running agent.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// Directory of the agent; not needed while only one runs
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_AGENT_DIRECTORY")]
    pub(crate) directory: Option<PathBuf>,
}

impl Which {
    /// The agent that is meant.
    pub(crate) async fn agent(&self) -> Result<(ControlClient, PathBuf), CommandError> {
        if let Some(directory) = &self.directory {
            return Ok((ControlClient::new(&directory.join(CONTROL)), directory.clone()));
        }
        let base = base_directory()?;
        let mut running = Vec::new();
        for directory in directories(&base) {
            let client = ControlClient::new(&directory.join(CONTROL));
            if client.status().await.is_ok() {
                running.push((client, directory));
            }
        }
        match (running.pop(), running.is_empty()) {
            (Some(one), true) => Ok(one),
            (None, _) => Err(CommandError::configuration(format!("no agent runs in {}", base.display()))
                .with_hint("countersign agent --resource URL starts one; --directory DIR says where another is")),
            (Some(_), false) => Err(CommandError::configuration("more than one agent runs")
                .with_hint(format!("say which with --directory; they are in {}", base.display()))),
        }
    }
}

/// The directories of agents, in the order of their names.
pub(crate) fn directories(base: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(base).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut directories: Vec<PathBuf> = listed.filter(|path| path.is_dir()).collect();
    directories.sort();
    directories
}

/// Says what an agent said.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn control_error(fault: ControlError) -> CommandError {
    match &fault {
        ControlError::NoAgent { .. } => CommandError::configuration(&fault).with_hint("is it running?"),
        ControlError::Answer(_) => CommandError::internal(&fault),
        ControlError::Refused { .. } => CommandError::configuration(&fault),
    }
}

/// Shows the bindings of a running agent
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  countersign agent status\n  countersign agent status --reveal\n  countersign \
agent status --json\n\nA port is reached by a path that cannot be guessed. --reveal shows it, and is written into the \
journal.")]
pub(crate) struct Status {
    #[command(flatten)]
    which: Which,
    /// Show the paths of ports, too; on a terminal only, so that they end up in no file and no pipe
    #[arg(long, conflicts_with = "json")]
    reveal: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        if self.reveal && !stdout().is_terminal() {
            return Err(CommandError::configuration("the path of a port is shown on a terminal only")
                .with_hint("countersign run hands a program the address; a socket has no secret in its address"));
        }
        let (agent, directory) = self.which.agent().await?;
        let status = agent.status().await.map_err(control_error)?;
        if self.json {
            render::json(&status)?;
            return Ok(ExitCode::SUCCESS);
        }
        render::line(format_args!("agent {} in {}", status.pid, directory.display()));
        render::line(if status.locked { "locked: nothing is signed" } else { "not locked" });
        render::line(format_args!("journal: {} lines, head {}", status.journal_lines, status.journal_head));
        let revealed = if self.reveal { agent.addresses().await.map_err(control_error)? } else { Vec::new() };
        for binding in &status.bindings {
            let state = if binding.revoked { "  revoked" } else { "" };
            render::line(format_args!("\n{}  {}{state}", binding.name, binding.resource));
            render::line(format_args!("  at {}", address(binding, &revealed)));
            render::line(format_args!("  approval {}, key {}", binding.approval, binding.jkt));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How programs reach a binding.
fn address(binding: &BindingStatus, revealed: &[Address]) -> String {
    let url = revealed.iter().find(|address| address.binding == binding.name).and_then(|address| address.url.as_ref());
    match (&binding.socket, binding.address, url) {
        (Some(socket), ..) => format!("unix:{}", socket.display()),
        (None, Some(_), Some(url)) => url.clone(),
        (None, Some(address), None) => format!("http://{address}/… (the path is secret: --reveal shows it)"),
        (None, None, _) => "no address: this process alone uses it".to_owned(),
    }
}

/// Stops signing until it is unlocked
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign agent lock --password\n\nAnswers under way are cut off, and approvals \
are forgotten. With a password only that password unlocks."
)]
pub(crate) struct Lock {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    password: Password,
}

/// Signs again
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign agent unlock --password")]
pub(crate) struct Unlock {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    password: Password,
}

#[derive(Debug, Args)]
struct Password {
    /// Ask for a password
    #[arg(long)]
    password: bool,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
}

impl Password {
    fn read(&self) -> Result<Option<Zeroizing<String>>, CommandError> {
        if let Some(file) = &self.password_file {
            let secret = crate::keys::passphrase_in(file)?;
            return Ok(Some(Zeroizing::new(secret.expose_secret().to_owned())));
        }
        if !self.password {
            return Ok(None);
        }
        let typed = rpassword::prompt_password("password: ");
        typed.map(|typed| Some(Zeroizing::new(typed))).map_err(|fault| {
            CommandError::configuration(format!("no password could be read: {fault}"))
                .with_hint("without a terminal use --password-file FILE")
        })
    }
}

impl Lock {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let password = self.password.read()?;
        self.which.agent().await?.0.lock(password).await.map_err(control_error)?;
        render::status("locked: nothing is signed until countersign agent unlock");
        Ok(ExitCode::SUCCESS)
    }
}

impl Unlock {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let password = self.password.read()?;
        self.which.agent().await?.0.unlock(password).await.map_err(control_error)?;
        render::status("unlocked");
        Ok(ExitCode::SUCCESS)
    }
}

/// Ends bindings, revokes their tokens and deletes their keys
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign agent revoke reader\n  countersign agent revoke --all\n\nExit code 1 \
when an issuer could not be told: the bindings have ended and their keys are deleted all the same."
)]
pub(crate) struct Revoke {
    /// Binding to revoke
    #[arg(value_name = "BINDING", required_unless_present = "all", conflicts_with = "all")]
    binding: Option<String>,
    /// Revoke every binding
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
}

impl Revoke {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let revoked = self.which.agent().await?.0.revoke(self.binding).await.map_err(control_error)?;
        let mut code = ExitCode::SUCCESS;
        for one in revoked {
            match one.fault {
                None => render::line(format_args!("{} revoked", one.binding)),
                Some(fault) => {
                    render::line(format_args!("{} has ended; {fault}", one.binding));
                    code = ExitCode::from(1);
                }
            }
        }
        Ok(code)
    }
}
