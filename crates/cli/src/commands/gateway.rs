//! `countersign gateway`: the guard in front of any API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::{input, serving};

/// Guards an API: checks token, proof and binding of every request, and forwards what is right
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign gateway --listen 127.0.0.1:8080 --public-origin https://api.example.com \\\n    \
--upstream http://127.0.0.1:9000 --issuer https://idp.example.com --audience https://api.example.com\n\n\
Every flag is also a key of the configuration file (public_origin = \"…\") and a COUNTERSIGN_* variable; a flag wins \
over a variable, a variable over the file.")]
pub(crate) struct GatewayCommand {
    /// TOML file with the same keys as the flags
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    log: LogFlags,
}

/// What can be said by flag, variable or file. Absent means: not said here.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address to listen on; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "COUNTERSIGN_LISTEN")]
    listen: Option<SocketAddr>,
    /// URL under which clients know the API; proofs must be for it
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_PUBLIC_ORIGIN")]
    public_origin: Option<String>,
    /// URL of the API to guard
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_UPSTREAM")]
    upstream: Option<String>,
    /// Issuer of the access tokens
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_ISSUER")]
    issuer: Option<String>,
    /// Audience that tokens must name [default: the public origin]
    #[arg(long, value_name = "AUD", env = "COUNTERSIGN_AUDIENCE")]
    audience: Option<String>,
    /// The issuer's keys, when they are not to be found by its metadata
    #[arg(long, value_name = "FILE-or-URL", env = "COUNTERSIGN_JWKS")]
    jwks: Option<String>,
    /// How far enforcement goes: observe, accept, prefer, require [default: require]
    #[arg(long, value_name = "STAGE", env = "COUNTERSIGN_STAGE")]
    stage: Option<String>,
    /// When proofs must carry a nonce: never, optional, required [default: optional]
    #[arg(long, value_name = "WHEN", env = "COUNTERSIGN_NONCE")]
    nonce: Option<String>,
    /// How long a proof is good: rfc, strict, fapi2, mcp, atproto [default: rfc]
    #[arg(long, value_name = "PRESET", env = "COUNTERSIGN_WINDOW")]
    window: Option<String>,
    /// Accepted proof algorithms, separated by commas [default: all that are implemented]
    #[arg(long, value_name = "LIST", env = "COUNTERSIGN_ALGS")]
    algs: Option<String>,
    /// Where used proofs are remembered: memory [default: memory]
    #[arg(long, value_name = "STORE", env = "COUNTERSIGN_REPLAY")]
    replay: Option<String>,
    /// Origin of a browser application that may call the API; may be given more than once
    #[arg(long = "cors-origin", value_name = "URL", env = "COUNTERSIGN_CORS_ORIGIN", value_delimiter = ',')]
    #[serde(default)]
    cors_origin: Vec<String>,
    /// Address for /healthz, /readyz and /metrics [default: none]
    #[arg(long, value_name = "ADDR", env = "COUNTERSIGN_ADMIN")]
    admin: Option<SocketAddr>,
}
