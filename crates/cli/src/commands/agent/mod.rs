//! `countersign agent`: the local signing proxy, and how a person sees and steers it.

mod approve;
pub(crate) mod health;
pub(crate) mod home;
pub(crate) mod identity;
mod journal;
pub(crate) mod quick;
mod serve;
mod steer;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::CommandError;

/// Signs for programs of this machine that get an address, and never a token, a proof or a key
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:\n  countersign agent --resource https://mcp.example.com/mcp\n  countersign agent \
--resource https://api.example.com --socket ~/.countersign/api.sock\n  countersign agent --config agent.toml\n  \
countersign agent approve\n  countersign agent journal verify\n\nOne line on stderr says `ready` and the address that \
stands for the resource's URL, its path included: what is appended to it is appended to the resource. docs/agent.md \
says what a policy can be, and what the agent does not stop.")]
pub(crate) struct AgentCommand {
    #[command(subcommand)]
    what: Option<AgentWhat>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum AgentWhat {
    /// Shows what waits for a person, and takes the decision
    Approve(approve::Approve),
    /// Reads the journal: shows it, sums it up, makes sure that it is whole
    Journal(journal::JournalCommand),
    /// Stops signing until it is unlocked
    Lock(steer::Lock),
    /// Ends bindings, revokes their tokens and deletes their keys
    Revoke(steer::Revoke),
    /// Shows the bindings of a running agent
    Status(steer::Status),
    /// Signs again
    Unlock(steer::Unlock),
}

impl AgentCommand {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        match self.what {
            None => self.serve.run().await,
            Some(AgentWhat::Approve(command)) => command.run().await,
            Some(AgentWhat::Journal(command)) => command.run().await,
            Some(AgentWhat::Lock(command)) => command.run().await,
            Some(AgentWhat::Revoke(command)) => command.run().await,
            Some(AgentWhat::Status(command)) => command.run().await,
            Some(AgentWhat::Unlock(command)) => command.run().await,
        }
    }
}
