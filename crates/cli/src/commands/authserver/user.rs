//! `countersign authserver user`: who may sign in.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign_authserver::{UserError, UserState, Users};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use crate::error::CommandError;
use crate::render;

/// Add, change and list users; those of the configuration file are changed there
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign authserver user add ada --config authserver.toml")]
pub(crate) struct UserCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a user; asks for the password, or reads it from standard input
    #[command(after_help = "Example:\n  countersign authserver user add ada --config authserver.toml")]
    Add(Named),
    /// Give a user another password, which ends the user's sessions
    #[command(after_help = "Example:\n  countersign authserver user passwd ada --config authserver.toml")]
    Passwd(Named),
    /// Let a user no longer sign in, which ends the user's sessions
    #[command(after_help = "Example:\n  countersign authserver user disable ada --config authserver.toml")]
    Disable(Named),
    /// Let a user sign in again
    #[command(after_help = "Example:\n  countersign authserver user enable ada --config authserver.toml")]
    Enable(Named),
    /// List the users
    #[command(after_help = "Example:\n  countersign authserver user list --config authserver.toml --json")]
    List(List),
    /// Print the hash of a password, for password_hash in the configuration
    #[command(after_help = "Example:\n  countersign authserver user hash")]
    Hash,
}

#[derive(Debug, Args)]
struct Named {
    /// The name to sign in with
    username: String,
    /// TOML file of the authorization server
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", default_value = "authserver.toml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct List {
    /// TOML file of the authorization server
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", default_value = "authserver.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl UserCommand {
    pub(crate) async fn run(&self) -> Result<ExitCode, CommandError> {
        match &self.action {
            Action::Add(named) => {
                let users = open(named).await?;
                let password = read_password(&named.username)?;
                outcome(users.add(&named.username, password.expose_secret()).await, &named.username, "added")
            }
            Action::Passwd(named) => {
                let users = open(named).await?;
                let password = read_password(&named.username)?;
                let set = users.set_password(&named.username, password.expose_secret()).await;
                outcome(set, &named.username, "has another password")
            }
            Action::Disable(named) => {
                let set = open(named).await?.set_disabled(&named.username, true).await;
                outcome(set, &named.username, "may no longer sign in")
            }
            Action::Enable(named) => {
                let set = open(named).await?.set_disabled(&named.username, false).await;
                outcome(set, &named.username, "may sign in")
            }
            Action::List(list) => show(list).await,
            Action::Hash => {
                let password = read_password("password_hash")?;
                let hash = countersign_authserver::hash_password(password.expose_secret());
                render::line(hash.map_err(CommandError::configuration)?.as_str());
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

async fn open(named: &Named) -> Result<Users, CommandError> {
    Ok(super::open(&named.config).await?.users())
}

fn outcome(result: Result<(), UserError>, username: &str, done: &str) -> Result<ExitCode, CommandError> {
    match result {
        Ok(()) => {
            render::line(format_args!("{username} {done}"));
            Ok(ExitCode::SUCCESS)
        }
        Err(UserError::Storage(fault)) => Err(CommandError::configuration(fault)),
        Err(refused) => {
            render::error_line("refused", &refused.to_string());
            Ok(ExitCode::from(1))
        }
    }
}

async fn show(list: &List) -> Result<ExitCode, CommandError> {
    let users = super::open(&list.config).await?.users().list().await.map_err(CommandError::configuration)?;
    if list.json {
        let users: Vec<_> = users.iter().map(describe).collect();
        render::json(&users)?;
        return Ok(ExitCode::SUCCESS);
    }
    for user in &users {
        let state = if user.disabled { "disabled" } else { "enabled" };
        let from = if user.configured { "configuration" } else { "database" };
        render::line(format_args!("{:<32} {state:<9} {from}", user.username));
    }
    if users.is_empty() {
        render::status("no users; add one with countersign authserver user add NAME");
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(user: &UserState) -> serde_json::Value {
    json!({
        "username": user.username,
        "configured": user.configured,
        "disabled": user.disabled,
        "changed_at": user.changed_at.map(countersign_dpop::time::Timestamp::seconds),
    })
}

/// Asks twice at a terminal; otherwise takes the first line of standard input. Never from an argument: everybody sees
/// those.
fn read_password(of: &str) -> Result<SecretString, CommandError> {
    if !std::io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        let mut input = std::io::Read::take(std::io::stdin().lock(), 4_096);
        input.read_line(&mut line).map_err(CommandError::configuration)?;
        return Ok(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt).map(SecretString::from).map_err(CommandError::configuration)
    };
    let first = ask(format!("Password for {of}: "))?;
    let second = ask("The same again: ".to_owned())?;
    if first.expose_secret() != second.expose_secret() {
        return Err(CommandError::configuration("the two passwords are not the same"));
    }
    Ok(first)
}
