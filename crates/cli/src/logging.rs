//! Logs on stderr. What may be logged is decided where it is logged; nothing here adds to it.

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;

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
    let level = flags.log.unwrap_or(default);
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    let _ = match flags.log_format.unwrap_or_default() {
        LogFormat::Text => lines.with_ansi(anstream::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
