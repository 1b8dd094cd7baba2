//! One file or folder per command.

mod agent;
mod authserver;
mod bench;
mod call;
pub(crate) mod demo;
mod diagnose;
mod doctor;
pub(crate) mod gateway;
mod key;
mod login;
mod logout;
mod mcp;
mod run;
mod token;
mod up;

use std::process::ExitCode;

use clap::Subcommand;

use crate::error::CommandError;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Signs for programs of this machine that get an address, and never a token, a proof or a key
    Agent(Box<agent::AgentCommand>),
    /// Issues access tokens that are bound to the client's key
    #[command(name = "authserver")]
    AuthServer(authserver::AuthServerCommand),
    /// Measures, and compares with one bare signature verification of the cryptographic library
    Bench(bench::BenchCommand),
    /// Calls an API with a bound token and a fresh proof, and prints the answer
    Call(call::CallCommand),
    /// Shows the whole chain at work on this machine, then a thief with a stolen token trying every trick
    Demo(demo::DemoCommand),
    /// Explains why a request with a DPoP proof fails; nothing secret is shown
    Diagnose(diagnose::DiagnoseCommand),
    /// Looks at clock, keys, sessions, issuers and APIs, and says what to do about what is wrong
    Doctor(doctor::DoctorCommand),
    /// Guards an API: checks token, proof and binding of every request, and forwards what is right
    Gateway(Box<gateway::GatewayCommand>),
    /// Makes, keeps and shows keys; a private key is never printed
    Key(key::KeyCommand),
    /// Speaks MCP over standard input and output with a server that wants bound tokens
    Mcp(Box<mcp::McpCommand>),
    /// Runs a program that reaches an API by a local address, and keeps every secret from it
    Run(Box<run::RunCommand>),
    /// Logs in to an API: finds its issuer, opens the browser, and keeps tokens that are bound to a key
    Login(Box<login::LoginCommand>),
    /// Logs out: revokes the tokens at the issuer, and forgets session and key
    Logout(logout::LogoutCommand),
    /// Shows claims and state of a session's token, or lists the sessions; never the token itself
    Token(token::TokenCommand),
    /// Runs an authorization server and a gateway for development, and makes a client for them
    Up(up::UpCommand),
}

impl Command {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Agent(command) => command.run().await,
            Self::AuthServer(command) => command.run().await,
            Self::Bench(command) => command.run(),
            Self::Call(command) => command.run().await,
            Self::Demo(command) => command.run().await,
            Self::Diagnose(command) => command.run(),
            Self::Doctor(command) => command.run().await,
            Self::Gateway(command) => command.run().await,
            Self::Key(command) => command.run(),
            Self::Mcp(command) => command.run().await,
            Self::Run(command) => command.run().await,
            Self::Login(command) => command.run().await,
            Self::Logout(command) => command.run().await,
            Self::Token(command) => command.run().await,
            Self::Up(command) => command.run().await,
        }
    }
}
