//! Where lines go: standard output, a file, the journal.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use countersign_resource::{Decision, PresentedScheme};

use super::access::AccessRecord;
use super::decisions::DecisionSink;
use super::lines::Lines;

/// Where the journal listens (systemd.journal-fields(7), the native protocol).
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Where lines go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum LogPlace {
    /// Nowhere.
    None,
    /// Standard output.
    #[default]
    Stdout,
    /// The systemd journal.
    Journald,
    /// A file that is appended to. One that was moved away is begun anew, so that logs can be rotated.
    File(PathBuf),
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LineFormat {
    /// JSON, one object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

impl FromStr for LineFormat {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(()),
        }
    }
}

/// Decision log and access log, each where and how it is wanted.
#[derive(Debug)]
pub struct Logs {
    decisions: Option<(Arc<Lines>, LineFormat)>,
    access: Option<(Arc<Lines>, LineFormat)>,
}

impl Logs {
    /// Opens both; a place that is used by both is opened once.
    ///
    /// # Errors
    /// The file or the journal's socket cannot be opened; which one stands before the colon.
    pub fn open(decisions: (&LogPlace, LineFormat), access: (&LogPlace, LineFormat)) -> io::Result<Self> {
        let first = open(decisions.0)?;
        let second = if access.0 == decisions.0 { first.clone() } else { open(access.0)? };
        Ok(Self { decisions: first.map(|lines| (lines, decisions.1)), access: second.map(|lines| (lines, access.1)) })
    }
}

impl DecisionSink for Logs {
    fn record(&self, decision: &Decision) {
        match &self.decisions {
            Some((lines, LineFormat::Json)) => lines.write(decision.to_json()),
            Some((lines, LineFormat::Text)) => lines.write(text(decision)),
            None => (),
        }
    }

    fn access(&self, access: &AccessRecord<'_>) {
        match &self.access {
            Some((lines, LineFormat::Json)) => lines.write(access.to_json()),
            Some((lines, LineFormat::Text)) => lines.write(access.to_text()),
            None => (),
        }
    }

    fn wants_access(&self) -> bool {
        self.access.is_some()
    }

    fn lost(&self) -> u64 {
        let lost = |log: &Option<(Arc<Lines>, LineFormat)>| log.as_ref().map_or(0, |(lines, _)| lines.lost());
        let shared = match (&self.decisions, &self.access) {
            (Some((one, _)), Some((other, _))) => Arc::ptr_eq(one, other),
            (None, _) | (_, None) => false,
        };
        lost(&self.decisions).saturating_add(if shared { 0 } else { lost(&self.access) })
    }
}

/// A verdict for people. What is quoted is escaped.
fn text(decision: &Decision) -> String {
    let outcome = format!("{:?}", decision.outcome).to_lowercase();
    let scheme = match decision.scheme {
        PresentedScheme::None => "none",
        PresentedScheme::Bearer => "bearer",
        PresentedScheme::Dpop => "dpop",
    };
    let mut line = format!("{} {outcome} {} stage={} scheme={scheme}", decision.time, decision.code, decision.stage);
    let quoted = |text: &str| text.chars().flat_map(char::escape_default).collect::<String>();
    let jkt = decision.jkt.map(|jkt| jkt.to_string());
    let offset = decision.offset.map(|offset| offset.to_string());
    for (name, value) in [
        ("route", decision.route.as_deref()),
        ("client", decision.client.as_deref()),
        ("jkt", jkt.as_deref()),
        ("offset", offset.as_deref()),
        ("request", decision.request.as_deref()),
    ] {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={}", quoted(value));
        }
    }
    if let Some(reason) = &decision.reason {
        let _ = write!(line, " reason=\"{}\"", quoted(reason));
    }
    line
}

fn open(place: &LogPlace) -> io::Result<Option<Arc<Lines>>> {
    let named = |what: &str, fault: io::Error| io::Error::new(fault.kind(), format!("{what}: {fault}"));
    Ok(match place {
        LogPlace::None => None,
        LogPlace::Stdout => Some(Lines::new(io::stdout())),
        LogPlace::Journald => {
            let journal = Journal::open(Path::new(JOURNAL)).map_err(|fault| named(JOURNAL, fault))?;
            Some(Lines::new(journal))
        }
        LogPlace::File(path) => {
            let file = RotatedFile::open(path.clone()).map_err(|fault| named(&path.display().to_string(), fault))?;
            Some(Lines::new(file))
        }
    }
    .map(Arc::new))
}

/// A file that is opened again when another one, or none, stands at its path.
struct RotatedFile {
    path: PathBuf,
    file: File,
}

impl RotatedFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = append(&path)?;
        Ok(Self { path, file })
    }

    fn is_moved(&self) -> bool {
        let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let (own, there) = (self.file.metadata().map(place), std::fs::metadata(&self.path).map(place));
        own.is_ok_and(|own| there.is_ok_and(|there| own != there)) || !self.path.exists()
    }
}

/// Others may not read who calls what.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

impl Write for RotatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_moved()
            && let Ok(file) = append(&self.path)
        {
            self.file = file;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The journal: one message a line.
struct Journal {
    socket: UnixDatagram,
    begun: Vec<u8>,
}

impl Journal {
    fn open(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { socket, begun: Vec::new() })
    }
}

impl Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let mut taken = Ok(bytes.len());
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            let mut message = b"SYSLOG_IDENTIFIER=countersign\nPRIORITY=6\nMESSAGE=".to_vec();
            message.extend_from_slice(&line);
            // One that the journal does not take, for its length or because it restarts, is lost; the others are not.
            if let Err(fault) = self.socket.send(&message) {
                taken = Err(fault);
            }
        }
        taken
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut file = RotatedFile::open(path.clone()).unwrap();
        file.write_all(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        file.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o007, 0);
    }

    #[test]
    fn the_journal_gets_one_message_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let listening = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        journal.write_all(b"{\"a\":1}\n{\"b\"").unwrap();
        journal.write_all(b":2}\n").unwrap();
        for line in ["{\"a\":1}", "{\"b\":2}"] {
            let mut message = [0; 256];
            let length = listening.recv(&mut message).unwrap();
            let expected = format!("SYSLOG_IDENTIFIER=countersign\nPRIORITY=6\nMESSAGE={line}\n");
            assert_eq!(&message[..length], expected.as_bytes());
        }
    }
}
