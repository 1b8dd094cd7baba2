//! Reading decision logs: files of any size, one line at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use countersign_dpop::time::{Clock, SystemClock};
use countersign_gateway::config::{Date, LogConfig};
use countersign_gateway::report::{MAX_LINE, Report, Tally};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use crate::error::CommandError;
use crate::input;

/// Which decisions are read.
#[derive(Debug, clap::Args)]
pub(super) struct LogFlags {
    /// Decision log to read, - for standard input; may be given more than once [default: that of --config]
    #[arg(long, value_name = "FILE")]
    decisions: Vec<PathBuf>,
    /// Configuration whose decision log is a file
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
    /// Only what is not older: 90m, 24h, 7d, or a date
    #[arg(long, value_name = "AGE")]
    since: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// As much of a configuration as is needed here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OnlyLog {
    log: LogConfig,
}

impl LogFlags {
    /// What the logs say.
    pub(super) fn report(&self) -> Result<Report, CommandError> {
        let mut tally = Tally::since(self.since()?);
        for path in self.places()? {
            read(&path, &mut tally)?;
        }
        Ok(tally.report())
    }

    fn since(&self) -> Result<i64, CommandError> {
        let Some(age) = self.since.as_deref() else { return Ok(i64::MIN) };
        let wrong = || {
            CommandError::configuration(format!("--since {age} is neither an age nor a date"))
                .with_hint("write 90m, 24h, 7d or 2027-01-31")
        };
        if let Some(date) = Date::Quoted(age.to_owned()).timestamp() {
            return Ok(date.seconds());
        }
        let unit = age.chars().last().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return Err(wrong()),
        };
        let number: i64 = age[..age.len() - 1].parse().map_err(|_| wrong())?;
        let length = number.checked_mul(seconds).filter(|length| *length >= 0).ok_or_else(wrong)?;
        Ok(SystemClock.now().seconds().saturating_sub(length))
    }

    fn places(&self) -> Result<Vec<PathBuf>, CommandError> {
        if !self.decisions.is_empty() {
            return Ok(self.decisions.clone());
        }
        let none = |why: &str| {
            CommandError::configuration(why)
                .with_hint("name the decision log with --decisions, or - for standard input")
        };
        let config = self.config.as_ref().ok_or_else(|| none("no decision log is named"))?;
        let OnlyLog { log } = input::read_toml(config, "the configuration")?;
        match log.decisions.as_deref() {
            None | Some("stdout" | "none" | "journald") => Err(none("the configuration writes decisions into no file")),
            Some(file) => Ok(vec![config.parent().unwrap_or(Path::new(".")).join(file)]),
        }
    }
}

fn read(path: &Path, tally: &mut Tally) -> Result<(), CommandError> {
    let unreadable = |fault: io::Error| {
        CommandError::configuration(format!("cannot read the decision log {}: {fault}", path.display()))
    };
    if path.as_os_str() == "-" {
        return lines(BufReader::new(io::stdin().lock()), &ProgressBar::hidden(), tally).map_err(unreadable);
    }
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let progress = if io::stderr().is_terminal() { bar(length) } else { ProgressBar::hidden() };
    let result = lines(BufReader::with_capacity(256 * 1_024, file), &progress, tally).map_err(unreadable);
    progress.finish_and_clear();
    result
}

fn bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Counts line after line. One that is too long is passed over, in no more memory than any other.
fn lines(mut source: impl BufRead, progress: &ProgressBar, tally: &mut Tally) -> io::Result<()> {
    let limit = MAX_LINE as u64 + 1;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = source.by_ref().take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        progress.inc(read as u64);
        if read as u64 == limit && line.last() != Some(&b'\n') {
            progress.inc(source.skip_until(b'\n')? as u64);
            tally.skip();
            continue;
        }
        match std::str::from_utf8(&line) {
            Ok(text) => tally.add_line(text),
            Err(_) => tally.skip(),
        }
    }
}
