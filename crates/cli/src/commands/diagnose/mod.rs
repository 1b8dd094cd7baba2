//! `countersign diagnose`: explains a request that fails, from a capture, without any network.

mod show;

use std::ffi::OsString;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_diagnose::{Capture, Known, Report};
use countersign_dpop::jose::{Algorithm, Algorithms};
use countersign_dpop::time::{Clock, SystemClock, Timestamp, Window};
use zeroize::Zeroizing;

use crate::error::CommandError;
use crate::input::read_secret;
use crate::render;

/// Explains why a request with a DPoP proof fails; nothing secret is shown
///
/// Reads a bare proof, a raw HTTP request with or without its answer, what curl -v prints, a pasted curl command, or
/// header lines. Nothing is sent anywhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  curl -v https://api.example.com/orders -H \"DPoP: $PROOF\" … 2>&1 | countersign \
diagnose\n  countersign diagnose request.txt --audience https://api.example.com\n  countersign diagnose proof.txt \
--token-file token.txt --method GET --url https://api.example.com/orders\n\nExit code 0 when nothing wrong was found, \
1 for a finding, 2 when the input cannot be read.")]
pub(crate) struct DiagnoseCommand {
    /// File to read; - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Words of a capture that was given as arguments; taken so that they are not repeated in an error
    #[arg(hide = true)]
    surplus: Vec<OsString>,
    /// File with the access token; - for standard input. Overrides the token of the capture
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Method, as the server sees it [default: the capture's]
    #[arg(long, value_name = "METHOD", value_parser = method)]
    method: Option<String>,
    /// URL that was called, by the server's public name [default: the capture's]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Audience that the resource expects in the access token
    #[arg(long, value_name = "AUD")]
    audience: Option<String>,
    /// The server's window: rfc, strict, fapi2, mcp or atproto
    #[arg(long, value_name = "PRESET", default_value = "rfc", value_parser = window)]
    window: Window,
    /// Algorithms that the server accepts, with commas between [default: those of its challenge, else all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    algs: Vec<Algorithm>,
    /// Moment to judge for, in seconds since 1970 [default: the Date of the answer, else this machine's clock]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    now: Option<i64>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl DiagnoseCommand {
    /// Reads, examines, prints.
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        let report = self.report()?;
        if report.is_empty() {
            let message = "the input holds neither a proof nor an access token nor an answer, so nothing can be judged";
            return Err(CommandError::configuration(message));
        }
        if self.json {
            render::json(&report)?;
        } else {
            show::explanation(&report.explain());
        }
        Ok(if report.examination().findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn report(&self) -> Result<Report, CommandError> {
        let is_input = |path: &Path| path.as_os_str() == "-";
        if !self.surplus.is_empty() {
            return Err(CommandError::configuration("one FILE is read, and the capture is not given as arguments")
                .with_hint("pipe it in; arguments can be seen by every process"));
        }
        if is_input(&self.file) && self.token_file.as_deref().is_some_and(is_input) {
            let message = "the capture and the access token cannot both come from standard input";
            return Err(CommandError::configuration(message).with_hint("name a file for one of them"));
        }
        if is_input(&self.file) && stdin().is_terminal() {
            render::status("paste the request, then end with Ctrl-D");
        }
        let text = read("FILE", &self.file, "capture")?;
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let capture = Capture::read(&text).map_err(|fault| self.unreadable(fault))?;
        Ok(capture.examine(&self.known(token.as_ref())?, SystemClock.now()))
    }

    fn known<'a>(&'a self, token: Option<&'a Zeroizing<String>>) -> Result<Known<'a>, CommandError> {
        Ok(Known {
            moment: self.now.map(Timestamp::from_seconds),
            token: token.map(|token| token.as_str()),
            method: self.method.as_deref(),
            url: self.url.as_deref(),
            audience: self.audience.as_deref(),
            window: Some(self.window),
            algorithms: self.algorithms()?,
        })
    }

    fn algorithms(&self) -> Result<Option<Algorithms>, CommandError> {
        if self.algs.is_empty() {
            return Ok(None);
        }
        let narrowed = Algorithms::all().narrowed_to(&self.algs);
        narrowed.map(Some).ok_or_else(|| CommandError::configuration("--algs names an algorithm that is unknown here"))
    }

    fn unreadable(&self, fault: countersign_diagnose::Unreadable) -> CommandError {
        let source =
            if self.file.as_os_str() == "-" { "standard input".into() } else { self.file.display().to_string() };
        CommandError::configuration(format!("cannot read {source}: {fault}"))
    }
}

/// Reads a file or standard input. A name that names no file is not repeated: people give the proof or token itself,
/// and what is printed is kept.
fn read(argument: &str, path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    if path.as_os_str() != "-" && std::fs::metadata(path).is_err() {
        let message = format!("{argument} names no file that can be read");
        let hint = format!("write the {what} to a file, or pipe it in; arguments can be seen by every process");
        return Err(CommandError::configuration(message).with_hint(hint));
    }
    read_secret(path, what)
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let bytes = read("--token-file", path, "access token")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| CommandError::configuration("the access token is not text"))?;
    match text.trim() {
        "" => Err(CommandError::configuration("the file of the access token is empty")),
        token => Ok(Zeroizing::new(token.to_owned())),
    }
}

fn window(name: &str) -> Result<Window, &'static str> {
    Window::preset(name).ok_or("one of rfc, strict, fapi2, mcp, atproto is wanted")
}

fn method(text: &str) -> Result<String, &'static str> {
    match text.parse::<http::Method>() {
        Ok(method) => Ok(method.as_str().to_owned()),
        Err(_) => Err("not a method of HTTP"),
    }
}
