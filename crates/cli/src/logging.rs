//! Logs on stderr. What may be logged is decided where it is logged; nothing here adds to it.

use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Flags of every command that serves.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct LogFlags {
    /// Least severe level logged: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", env = "COUNTERSIGN_LOG", global = false)]
    pub(crate) log: Option<LevelFilter>,
    /// Form of the log lines on stderr
    #[arg(long, value_name = "FORM", env = "COUNTERSIGN_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// Starts logging to stderr. A second start in one process keeps the first.
pub(crate) fn start(flags: &LogFlags, default: LevelFilter) {
    let (filter, handle) = reload::Layer::new(flags.log.unwrap_or(default));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match flags.log_format.unwrap_or_default() {
        LogFormat::Text => registry.with(lines.with_ansi(anstream::stderr().is_terminal())).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    if started.is_ok() {
        let _ = LEVEL.set(handle);
    }
}

/// Changes the least severe level that is logged.
pub(crate) fn set_level(level: LevelFilter) {
    if let Some(handle) = LEVEL.get() {
        // It fails only when nothing is logged any more.
        let _ = handle.reload(level);
    }
}

static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();
