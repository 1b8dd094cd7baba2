//! `countersign agent journal`: tail, report, verify.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use countersign_agent::journal::{self, Entry};

use super::home::{JOURNAL, base_directory};
use super::steer::{Which, directories};
use crate::error::CommandError;
use crate::render::{self, BAD, BOLD, DIM, GOOD, styled};

/// Reads the journal: shows it, sums it up, makes sure that it is whole
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
#[command(after_help = "Examples:\n  countersign agent journal tail --follow\n  countersign agent journal report\n  \
countersign agent journal verify --head HASH")]
pub(crate) struct JournalCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the last lines
    #[command(after_help = "Example:\n  countersign agent journal tail -n 50 --follow")]
    Tail {
        #[command(flatten)]
        which: Place,
        /// How many lines
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        lines: usize,
        /// Show what is written from now on, too
        #[arg(long, short)]
        follow: bool,
        /// Print the lines as they are
        #[arg(long)]
        json: bool,
    },
    /// Sums up use by day, binding and tool, and names what is unusual
    #[command(after_help = "Example:\n  countersign agent journal report --json")]
    Report {
        #[command(flatten)]
        which: Place,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Makes sure that nothing was changed, moved or cut off
    #[command(after_help = "Example:\n  countersign agent journal verify --head \
n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg\n\nPrints the head, for the next time. Without --head the running agent \
is asked for its head; with neither, a cut end cannot be found. Exit code 1 when the journal is broken.")]
    Verify {
        #[command(flatten)]
        which: Place,
        /// Head that was noted before: it has to be in the journal
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// Journal to read, instead of the agent's
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

impl Place {
    /// The journal that is meant: of several, that of the one agent that runs.
    async fn path(&self) -> Result<PathBuf, CommandError> {
        if let Some(path) = self.journal.clone().or(self.which.directory.as_ref().map(|path| path.join(JOURNAL))) {
            return Ok(path);
        }
        let base = base_directory()?;
        let mut journals: Vec<PathBuf> =
            directories(&base).into_iter().map(|path| path.join(JOURNAL)).filter(|path| path.exists()).collect();
        match (journals.pop(), journals.is_empty()) {
            (Some(one), true) => Ok(one),
            (None, _) => Err(CommandError::configuration(format!("there is no journal in {}", base.display()))),
            (Some(_), false) => match self.which.agent().await {
                Ok((_, directory)) => Ok(directory.join(JOURNAL)),
                Err(_) => Err(CommandError::configuration("there is more than one journal")
                    .with_hint(format!("say which with --directory; they are in {}", base.display()))),
            },
        }
    }

    async fn open(&self) -> Result<(File, PathBuf), CommandError> {
        let path = self.path().await?;
        let file = File::open(&path);
        let file = file.map_err(|fault| CommandError::configuration(format!("{}: {fault}", path.display())))?;
        Ok((file, path))
    }
}

impl JournalCommand {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        match self.what {
            What::Tail { which, lines, follow, json } => tail(&which, lines, follow, json).await,
            What::Report { which, json } => report(&which, json).await,
            What::Verify { which, head, json } => verify(&which, head, json).await,
        }
    }
}

async fn tail(which: &Place, lines: usize, follow: bool, json: bool) -> Result<ExitCode, CommandError> {
    let (mut file, path) = which.open().await?;
    let failed = |fault: std::io::Error| CommandError::internal(format!("{}: {fault}", path.display()));
    let mut last = std::collections::VecDeque::new();
    let mut reader = BufReader::new(&mut file);
    let mut line = String::new();
    while reader.read_line(&mut line).map_err(failed)? > 0 {
        if !line.ends_with('\n') {
            break;
        }
        if last.len() >= lines {
            last.pop_front();
        }
        last.push_back(std::mem::take(&mut line));
    }
    for line in &last {
        show(line, json);
    }
    if !follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        let at = reader.stream_position().map_err(failed)?;
        match reader.read_line(&mut line).map_err(failed)? {
            read if read > 0 && line.ends_with('\n') => show(&std::mem::take(&mut line), json),
            _ => {
                // Half a line is read again when the rest is there.
                line.clear();
                reader.seek(SeekFrom::Start(at)).map_err(failed)?;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
}

fn show(line: &str, json: bool) {
    let line = line.trim_end();
    if json {
        return render::line(line);
    }
    let Ok(entry) = serde_json::from_str::<Entry<'_>>(line) else {
        return render::line(styled(BAD, "a line that cannot be read; countersign agent journal verify"));
    };
    let event = serde_json::to_value(entry.event).ok().and_then(|event| event.as_str().map(str::to_owned));
    let words = [
        entry.binding.as_deref(),
        entry.method.as_deref(),
        entry.path.as_deref(),
        entry.tool.as_deref().or(entry.mcp.as_deref()),
        entry.code.as_deref(),
        entry.note.as_deref(),
    ];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let status = entry.status.map(|status| format!(" {status}")).unwrap_or_default();
    let process = entry.process.first().map(|process| format!("  {} ({})", process.exe, process.pid));
    render::line(format_args!(
        "{:>6} {}  {:<9} {}{status}{}",
        entry.seq,
        journal::time_in_utc(entry.time),
        event.unwrap_or_default(),
        words.join(" "),
        styled(DIM, process.unwrap_or_default())
    ));
}

async fn report(which: &Place, json: bool) -> Result<ExitCode, CommandError> {
    let (file, path) = which.open().await?;
    let report = journal::report(BufReader::new(file));
    let report = report.map_err(|fault| CommandError::internal(format!("{}: {fault}", path.display())))?;
    if json {
        render::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    render::line(styled(
        BOLD,
        format_args!(
            "{:<10}  {:<20} {:<30} {:>7} {:>7} {:>7}",
            "day", "binding", "tool", "signed", "failed", "refused"
        ),
    ));
    for row in &report.rows {
        render::line(format_args!(
            "{:<10}  {:<20} {:<30} {:>7} {:>7} {:>7}",
            row.day, row.binding, row.tool, row.signed, row.failed, row.refused
        ));
    }
    if report.unusual.is_empty() {
        render::line("\nnothing unusual");
        return Ok(ExitCode::SUCCESS);
    }
    render::line(styled(BOLD, "\nunusual"));
    for unusual in &report.unusual {
        let time = journal::time_in_utc(unusual.time);
        render::line(format_args!("{time}  {:<20} {:<9} {}", unusual.binding, unusual.kind, unusual.what));
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(which: &Place, noted: Option<String>, json: bool) -> Result<ExitCode, CommandError> {
    // A running agent is asked before the file is read: it may grow meanwhile, but not lose what was said.
    let noted = match (noted, &which.journal) {
        (Some(noted), _) => Some(noted),
        (None, Some(_)) => None,
        (None, None) => match which.which.agent().await {
            Ok((agent, _)) => agent.status().await.ok().map(|status| status.journal_head),
            Err(_) => None,
        },
    };
    let (file, path) = which.open().await?;
    let verified = journal::verify(BufReader::new(file), noted.as_deref());
    let against = noted.is_some();
    if json {
        let (whole, line, fault) = match &verified {
            Ok(_) => (true, None, None),
            Err(broken) => (false, Some(broken.line), Some(broken.fault.to_string())),
        };
        let head = verified.as_ref().ok();
        render::json(&serde_json::json!({
            "journal": path, "whole": whole, "lines": head.map(|head| head.lines), "head": head.map(|head| &head.hash),
            "compared_with_a_head": against, "line": line, "fault": fault,
        }))?;
        return Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(1) });
    }
    match verified {
        Ok(head) => {
            render::line(format_args!("{GOOD}whole{GOOD:#}: {} lines, head {}", head.lines, head.hash));
            if !against {
                render::status("no head to compare with: that the end was not cut off is not known");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => {
            render::line(format_args!("{BAD}broken{BAD:#}: {}: {broken}", path.display()));
            Ok(ExitCode::from(1))
        }
    }
}
