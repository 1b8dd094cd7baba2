//! `countersign authserver grants`: what users have approved.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign_authserver::ApprovalState;
use serde_json::json;

use crate::error::CommandError;
use crate::render;

/// List what users have approved, and take it back
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign authserver grants list --config authserver.toml")]
pub(crate) struct GrantsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List approvals, the latest first: who, for which client, what, until when, bound to which key
    #[command(after_help = "Example:\n  countersign authserver grants list --user ada --json")]
    List(List),
    /// End an approval, and with it every code and token that came of it
    #[command(after_help = "Example:\n  countersign authserver grants revoke 2sVhb0lYQ5Cq0yPkMPnSkA")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct List {
    /// Those of one user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// TOML file of the authorization server
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", default_value = "authserver.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The approval, as the list names it
    id: String,
    /// TOML file of the authorization server
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", default_value = "authserver.toml")]
    config: PathBuf,
}

impl GrantsCommand {
    pub(crate) async fn run(&self) -> Result<ExitCode, CommandError> {
        match &self.action {
            Action::List(list) => show(list).await,
            Action::Revoke(revoke) => end(revoke).await,
        }
    }
}

async fn show(list: &List) -> Result<ExitCode, CommandError> {
    let approvals = super::open(&list.config).await?.approvals();
    let approvals = approvals.list(list.user.as_deref()).await.map_err(CommandError::configuration)?;
    if list.json {
        let approvals: Vec<_> = approvals.iter().map(describe).collect();
        render::json(&approvals)?;
        return Ok(ExitCode::SUCCESS);
    }
    for approval in &approvals {
        render::line(format_args!("{}  {}  {}", approval.id, approval.subject, approval.client_id));
        render::line(format_args!("    {} at {}", words(&approval.scope), approval.resources.join(", ")));
        render::line(format_args!("    {}", times(approval)));
        if let Some(jkt) = &approval.jkt {
            render::line(format_args!("    bound to the key {jkt}"));
        }
    }
    if approvals.is_empty() {
        render::status("nothing has been approved");
    }
    Ok(ExitCode::SUCCESS)
}

fn words(scope: &str) -> &str {
    if scope.is_empty() { "no scope" } else { scope }
}

fn times(approval: &ApprovalState) -> String {
    match approval.ended {
        Some((at, by)) => format!("since {}, ended {} by {by}", super::date(approval.approved_at), super::date(at)),
        None => format!("since {}, until {} at most", super::date(approval.approved_at), super::date(approval.until)),
    }
}

fn describe(approval: &ApprovalState) -> serde_json::Value {
    json!({
        "id": approval.id,
        "subject": approval.subject,
        "client_id": approval.client_id,
        "scope": approval.scope,
        "resources": approval.resources,
        "jkt": approval.jkt,
        "approved_at": approval.approved_at.seconds(),
        "until": approval.until.seconds(),
        "ended_at": approval.ended.map(|(at, _)| at.seconds()),
        "ended_by": approval.ended.map(|(_, by)| by),
    })
}

async fn end(revoke: &Revoke) -> Result<ExitCode, CommandError> {
    let approvals = super::open(&revoke.config).await?.approvals();
    if approvals.revoke(&revoke.id).await.map_err(CommandError::configuration)? {
        render::line(format_args!("{} has ended, and its codes and tokens with it", revoke.id));
        return Ok(ExitCode::SUCCESS);
    }
    render::error_line("refused", "there is no approval of that name that lives");
    Ok(ExitCode::from(1))
}
