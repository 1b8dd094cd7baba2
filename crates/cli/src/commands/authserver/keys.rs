//! `countersign authserver keys`: the keys that sign tokens.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign_authserver::{KeyListing, PUBLISHED_BEFORE, RetireRefusal};
use serde::Serialize;

use crate::error::CommandError;
use crate::render::{self, NAME, styled};

/// List, rotate and retire the keys that sign tokens
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign authserver keys rotate --config authserver.toml")]
pub(crate) struct KeysCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the keys and where they stand
    #[command(after_help = "Example:\n  countersign authserver keys list --config authserver.toml --json")]
    List(Common),
    /// Publish a new key, which signs ten minutes later, when everybody has fetched it
    #[command(after_help = "Example:\n  countersign authserver keys rotate --config authserver.toml")]
    Rotate {
        #[command(flatten)]
        common: Common,
        /// Sign with it at once, for a key that was stolen: APIs that have not fetched it refuse tokens until they do
        #[arg(long)]
        now: bool,
    },
    /// Forget a key that does not sign: what it signed is refused from now on
    #[command(after_help = "Example:\n  countersign authserver keys retire \
2mI5iAQ0ZgFgV0VZ4bWj6B1tVQ1y5Y0kXl8vPzq0m9Q --config authserver.toml")]
    Retire {
        /// Its thumbprint, as listed
        kid: String,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// TOML file of the server; it may be serving meanwhile
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", default_value = "authserver.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl KeysCommand {
    pub(crate) async fn run(&self) -> Result<ExitCode, CommandError> {
        match &self.action {
            Action::List(common) => {
                let keys = super::open(&common.config).await?.keys().list().await;
                show(&keys.map_err(CommandError::internal)?, common.json)
            }
            Action::Rotate { common, now } => {
                let keys = super::open(&common.config).await?.keys().rotate(*now).await;
                let shown = show(&keys.map_err(CommandError::internal)?, common.json)?;
                if !now {
                    let minutes = PUBLISHED_BEFORE / 60;
                    render::status(format_args!("the next key signs {minutes} minutes after it was made"));
                }
                Ok(shown)
            }
            Action::Retire { kid, common } => retire(kid, common).await,
        }
    }
}

async fn retire(kid: &str, common: &Common) -> Result<ExitCode, CommandError> {
    let keeper = super::open(&common.config).await?.keys();
    match keeper.retire(kid).await.map_err(CommandError::internal)? {
        Ok(()) => show(&keeper.list().await.map_err(CommandError::internal)?, common.json),
        Err(RetireRefusal::Unknown) => {
            render::error_line("refused", "there is no key of that name");
            Ok(ExitCode::from(1))
        }
        Err(RetireRefusal::Active) => {
            render::error_line("refused", "that key signs; rotate first, and retire it when the new one signs");
            Ok(ExitCode::from(1))
        }
    }
}

#[derive(Serialize)]
struct KeyJson<'a> {
    kid: &'a str,
    alg: &'static str,
    state: &'static str,
    created: i64,
}

fn show(keys: &[KeyListing], json: bool) -> Result<ExitCode, CommandError> {
    if json {
        let rows: Vec<KeyJson<'_>> = keys.iter().map(KeyJson::from).collect();
        render::json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    for key in keys {
        let (state, made) = (key.state.as_str(), super::date(key.created_at));
        render::line(format_args!("{}  {:<6} {state:<9} made {made}", styled(NAME, &key.kid), key.algorithm.name()));
    }
    Ok(ExitCode::SUCCESS)
}

impl<'a> From<&'a KeyListing> for KeyJson<'a> {
    fn from(key: &'a KeyListing) -> Self {
        Self { kid: &key.kid, alg: key.algorithm.name(), state: key.state.as_str(), created: key.created_at.seconds() }
    }
}
