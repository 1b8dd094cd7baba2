//! `[log]`: what is written down, and where.

use std::path::Path;

use serde::Deserialize;

use super::error::{Key, Problem};
use super::names;
use super::resolve::Faults;
use crate::logs::{LineFormat, LogPlace};

/// `[log]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Least severe level logged on stderr: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Option<String>,
    /// Where verdicts go: `stdout`, `none`, `journald` or a file.
    pub decisions: Option<String>,
    /// `json` or `text`.
    pub decisions_format: Option<String>,
    /// Where accesses go: `none`, `stdout`, `journald` or a file.
    pub access: Option<String>,
    /// `json` or `text`.
    pub access_format: Option<String>,
}

/// What is written down, resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// Least severe level logged; the program's default when absent.
    pub level: Option<String>,
    /// Where verdicts go.
    pub decisions: LogPlace,
    /// Their form.
    pub decisions_format: LineFormat,
    /// Where accesses go.
    pub access: LogPlace,
    /// Their form.
    pub access_format: LineFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: None,
            decisions: LogPlace::Stdout,
            decisions_format: LineFormat::Json,
            access: LogPlace::None,
            access_format: LineFormat::Json,
        }
    }
}

impl LogConfig {
    pub(super) fn over(self, lower: Self) -> Self {
        Self {
            level: self.level.or(lower.level),
            decisions: self.decisions.or(lower.decisions),
            decisions_format: self.decisions_format.or(lower.decisions_format),
            access: self.access.or(lower.access),
            access_format: self.access_format.or(lower.access_format),
        }
    }

    pub(super) fn resolve(&self, directory: &Path, faults: &mut Faults) -> LogSettings {
        let default = LogSettings::default();
        let place = |value: &Option<String>, default| match value.as_deref() {
            None => default,
            Some("none") => LogPlace::None,
            Some("stdout") => LogPlace::Stdout,
            Some("journald") => LogPlace::Journald,
            Some(file) => LogPlace::File(directory.join(file)),
        };
        let mut form = |name, value: &Option<String>| {
            faults.read(Key::top(name), value.as_deref(), names::line_format).unwrap_or_default()
        };
        let (decisions_format, access_format) =
            (form("log.decisions_format", &self.decisions_format), form("log.access_format", &self.access_format));
        LogSettings {
            level: faults.read(Key::top("log.level"), self.level.as_deref(), level),
            decisions: place(&self.decisions, default.decisions),
            decisions_format,
            access: place(&self.access, default.access),
            access_format,
        }
    }
}

fn level(value: &str) -> Result<String, Problem> {
    match value {
        "error" | "warn" | "info" | "debug" | "trace" => Ok(value.to_owned()),
        _ => Err(names::not_a_choice(value, "error, warn, info, debug, trace")),
    }
}
